// Nothing but multiply-adds of 32-bit floats in registers: what the device's lanes can do at best.
@group(0) @binding(0) var<storage, read_write> y: array<vec4<f32>>;

const STEPS: u32 = 256u;

@compute @workgroup_size(256)
fn roof(@builtin(global_invocation_id) id: vec3<u32>) {
    // Read, so that no compiler knows them; eight sums side by side, so that none waits for itself.
    let by = y[0];
    let plus = y[1];
    var s0 = plus;
    var s1 = plus;
    var s2 = plus;
    var s3 = plus;
    var s4 = plus;
    var s5 = plus;
    var s6 = plus;
    var s7 = plus;
    for (var i = 0u; i < STEPS; i++) {
        s0 = fma(s0, by, plus);
        s1 = fma(s1, by, plus);
        s2 = fma(s2, by, plus);
        s3 = fma(s3, by, plus);
        s4 = fma(s4, by, plus);
        s5 = fma(s5, by, plus);
        s6 = fma(s6, by, plus);
        s7 = fma(s7, by, plus);
    }
    y[16u + id.x % 16u] = s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7;
}
