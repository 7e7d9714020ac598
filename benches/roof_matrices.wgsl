// Nothing but products of matrices in registers: what the device's matrix units can do at best. Left, Right and Sums
// come from shaders/lib/matrix_8.wgsl or matrix_16.wgsl, the constants MATRIX and SUBGROUP from the bench.
@group(0) @binding(0) var<storage, read_write> y: array<f32>;

var<workgroup> x_slab: array<Slab, MATRIX * MATRIX / SLAB_VALUES>;
var<workgroup> w_slab: array<Slab, MATRIX * MATRIX / SLAB_VALUES>;
// The file of matrices names it.
var<workgroup> outs: array<Outs, MATRIX * MATRIX / OUT_VALUES>;

@compute @workgroup_size(4u * SUBGROUP)
fn roof(@builtin(local_invocation_index) lane: u32) {
    for (var i = lane; i < MATRIX * MATRIX / 4u; i += 4u * SUBGROUP) {
        put_x(0u, i, vec4<f32>(y[0]));
        put_w(0u, i, vec4<f32>(y[1]));
    }
    workgroupBarrier();
    let steps = u32(y[4]);
    let left = coopLoadT<Left>(&x_slab[0], MATRIX / SLAB_VALUES);
    let right = coopLoad<Right>(&w_slab[0], MATRIX / SLAB_VALUES);
    // Four sums side by side, so that none waits for itself.
    var s0 = Sums();
    var s1 = Sums();
    var s2 = Sums();
    var s3 = Sums();
    for (var i = 0u; i < steps; i++) {
        s0 = coopMultiplyAdd(left, right, s0);
        s1 = coopMultiplyAdd(left, right, s1);
        s2 = coopMultiplyAdd(left, right, s2);
        s3 = coopMultiplyAdd(left, right, s3);
    }
    coopStoreT(s0 + s1 + s2 + s3, &y[64], MATRIX);
}
