// Somebody's attention: one head, written without this crate in mind but for `size`, by which a token that stands for
// several counts as several.
const C: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;         // [tokens, C]
@group(0) @binding(1) var<storage, read> w: array<f32>;         // [3 C, C]
@group(0) @binding(2) var<storage, read_write> qkv: array<f32>; // [tokens, 3, C]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;   // [tokens, C]
@group(0) @binding(4) var<storage, read> size: array<f32>;      // [tokens]

@compute @workgroup_size(64)
fn project(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= arrayLength(&qkv) {
        return;
    }
    let token = id.x / (3u * C);
    let column = id.x % (3u * C);
    var sum = 0.0;
    for (var i = 0u; i < C; i++) {
        sum += x[token * C + i] * w[column * C + i];
    }
    qkv[id.x] = sum;
}

@compute @workgroup_size(64)
fn attend(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= arrayLength(&y) {
        return;
    }
    let query = id.x / C;
    var total = 0.0;
    var sum = 0.0;
    for (var key = 0u; key < arrayLength(&y) / C; key++) {
        var score = 0.0;
        for (var i = 0u; i < C; i++) {
            score += qkv[query * 3u * C + i] * qkv[key * 3u * C + C + i];
        }
        let weight = size[key] * exp(score / 8.0);
        total += weight;
        sum += weight * qkv[key * 3u * C + 2u * C + id.x % C];
    }
    y[id.x] = x[id.x] + sum / total;
}
