// The simplest matmul that is not slow: every lane multiplies 4 rows by 4 columns straight from the buffers with
// vector loads. What the crate's own matmul is measured against. Shapes are multiples of the tile.
struct Params {
    rows: u32,
    inner: u32,
    columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;       // [rows, inner]
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;       // [columns, inner]
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>; // [rows, columns]

// A workgroup covers 4 rows by 256 columns.
@compute @workgroup_size(64)
fn simple_matmul(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.y * 4u;
    let column = group.x * 256u + lane * 4u;
    let vectors = params.inner / 4u;
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    for (var k = 0u; k < vectors; k++) {
        let w0 = w[column * vectors + k];
        let w1 = w[(column + 1u) * vectors + k];
        let w2 = w[(column + 2u) * vectors + k];
        let w3 = w[(column + 3u) * vectors + k];
        let x0 = x[row * vectors + k];
        let x1 = x[(row + 1u) * vectors + k];
        let x2 = x[(row + 2u) * vectors + k];
        let x3 = x[(row + 3u) * vectors + k];
        s0 += vec4<f32>(dot(x0, w0), dot(x0, w1), dot(x0, w2), dot(x0, w3));
        s1 += vec4<f32>(dot(x1, w0), dot(x1, w1), dot(x1, w2), dot(x1, w3));
        s2 += vec4<f32>(dot(x2, w0), dot(x2, w1), dot(x2, w2), dot(x2, w3));
        s3 += vec4<f32>(dot(x3, w0), dot(x3, w1), dot(x3, w2), dot(x3, w3));
    }
    let across = params.columns / 4u;
    let at = row * across + column / 4u;
    y[at] = s0;
    y[at + across] = s1;
    y[at + 2u * across] = s2;
    y[at + 3u * across] = s3;
}
