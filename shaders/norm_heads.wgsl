// x = (x - mean) / sqrt(variance + eps) * weight + bias over each head's values of q and of k, in place. A head is
// short, so one lane has one.
struct Params {
    rows: u32,
    heads: u32,
    head_width: u32,
    stride: u32, // values between two tokens
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weight: array<vec4<f32>>; // [2, head_width]
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;   // [2, head_width]
@group(0) @binding(3) var<storage, read_write> x: array<Elem4>;    // [rows, 2, heads, head_width], strided

const LANES: u32 = 64u;

@compute @workgroup_size(LANES)
fn norm_heads(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(workgroup, workgroups) * LANES + lane;
    let row = index / (2u * params.heads);
    let head = index % (2u * params.heads);
    if row >= params.rows {
        return;
    }
    let vectors = params.head_width / 4u;
    let start = row * params.stride / 4u + head * vectors;
    let of_part = head / params.heads * vectors;

    var sum = vec4<f32>();
    for (var i = 0u; i < vectors; i++) {
        sum += vec4<f32>(x[start + i]);
    }
    let mean = dot(sum, vec4<f32>(1.0)) / f32(params.head_width);

    var squares = vec4<f32>();
    for (var i = 0u; i < vectors; i++) {
        let centred = vec4<f32>(x[start + i]) - mean;
        squares += centred * centred;
    }
    let variance = dot(squares, vec4<f32>(1.0)) / f32(params.head_width);

    let scale = 1.0 / sqrt(variance + params.eps);
    for (var i = 0u; i < vectors; i++) {
        x[start + i] = Elem4((vec4<f32>(x[start + i]) - mean) * scale * weight[of_part + i] + bias[of_part + i]);
    }
}
