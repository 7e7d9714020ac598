// Nothing but multiply-adds of 32-bit floats in registers: what the device's lanes can do at best.
@group(0) @binding(0) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(256)
fn roof(@builtin(global_invocation_id) id: vec3<u32>) {
    // Read, so that no compiler knows them, nor unrolls more than is written out. Twelve sums side by side: none waits
    // for itself, and all find room in a processor's registers.
    let by = vec4<f32>(y[0].x);
    let plus = vec4<f32>(y[0].y);
    let steps = u32(y[1].x);
    var s0 = plus;
    var s1 = plus;
    var s2 = plus;
    for (var i = 0u; i < steps; i++) {
        s0 = s0 * by + plus;
        s1 = s1 * by + plus;
        s2 = s2 * by + plus;
        s0 = s0 * by + plus;
        s1 = s1 * by + plus;
        s2 = s2 * by + plus;
        s0 = s0 * by + plus;
        s1 = s1 * by + plus;
        s2 = s2 * by + plus;
        s0 = s0 * by + plus;
        s1 = s1 * by + plus;
        s2 = s2 * by + plus;
    }
    y[16u + id.x % 16u] = s0 + s1 + s2;
}
