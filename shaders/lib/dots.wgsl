// Sums and the products of a vector with four others, each by a chain of fused multiply-adds: a quarter less work than
// `sums + dot(..)`, of which compilers make a multiplication, three of those and an addition.
fn add_dots(sums: vec4<f32>, x: vec4<f32>, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(add_dot(sums.x, x, a), add_dot(sums.y, x, b), add_dot(sums.z, x, c), add_dot(sums.w, x, d));
}

fn add_dot(sum: f32, x: vec4<f32>, w: vec4<f32>) -> f32 {
    return fma(x.w, w.w, fma(x.z, w.z, fma(x.y, w.y, fma(x.x, w.x, sum))));
}
