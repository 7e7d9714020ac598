// Nothing but products of matrices in registers: what the device's matrix units can do at best. MATRIX, Left, Right and
// Sums come from shaders/lib/cooperative_8.wgsl or cooperative_16.wgsl, SUBGROUP from subgroup_8.wgsl and its like.
@group(0) @binding(0) var<storage, read_write> y: array<f32>;

const STEPS: u32 = 256u;

var<workgroup> x_slab: array<Slab, MATRIX * MATRIX / SLAB_VALUES>;
var<workgroup> w_slab: array<Slab, MATRIX * MATRIX / SLAB_VALUES>;

@compute @workgroup_size(4u * SUBGROUP)
fn roof(@builtin(local_invocation_index) lane: u32) {
    for (var i = lane; i < MATRIX * MATRIX / 4u; i += 4u * SUBGROUP) {
        put_x(i, vec4<f16>(f16(y[0])));
        put_w(i, vec4<f16>(f16(y[1])));
    }
    workgroupBarrier();
    let left = coopLoadT<Left>(&x_slab[0], MATRIX / SLAB_VALUES);
    let right = coopLoad<Right>(&w_slab[0], MATRIX / SLAB_VALUES);
    // Eight sums side by side, so that none waits for itself.
    var s0 = Sums();
    var s1 = Sums();
    var s2 = Sums();
    var s3 = Sums();
    var s4 = Sums();
    var s5 = Sums();
    var s6 = Sums();
    var s7 = Sums();
    for (var i = 0u; i < STEPS; i++) {
        s0 = coopMultiplyAdd(left, right, s0);
        s1 = coopMultiplyAdd(left, right, s1);
        s2 = coopMultiplyAdd(left, right, s2);
        s3 = coopMultiplyAdd(left, right, s3);
        s4 = coopMultiplyAdd(left, right, s4);
        s5 = coopMultiplyAdd(left, right, s5);
        s6 = coopMultiplyAdd(left, right, s6);
        s7 = coopMultiplyAdd(left, right, s7);
    }
    coopStoreT(s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7, &y[64], MATRIX);
}
