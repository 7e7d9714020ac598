// x = turned((x - mean) / sqrt(variance + eps) * weight + bias) over each head's values of each part, in place; weight, bias
// and turns optional.
struct Params {
    rows: u32,
    parts: u32,
    heads: u32,
    head_width: u32,
    filled: u32, // values of a head that count, 0 for all: those behind are 0
    stride: u32, // values between two tokens
    eps: f32,
    kind: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weight: array<vec4<f32>>; // [parts, head_width]
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;   // [parts, head_width]
@group(0) @binding(3) var<storage, read> position: array<vec2<f32>>; // [rows, 2]
@group(0) @binding(4) var<storage, read> turn: array<vec4<f32>>;   // [parts, heads, head_width / 2, 2]
@group(0) @binding(5) var<storage, read_write> x: array<Elem4>;    // [rows, parts, heads, head_width], strided

const RMS: u32 = 1u;

@compute @workgroup_size(ROWS * ROW_LANES)
fn norm_heads(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let begin = workgroup_index(workgroup, workgroups) * ROWS;
    let all = params.rows * params.parts * params.heads;
    if begin >= all {
        return;
    }
    let index = begin + lane / ROW_LANES;
    let place = lane % ROW_LANES;
    let row = index / (params.parts * params.heads);
    let head = index % (params.parts * params.heads);
    // Nothing to do past the last head but to wait for the others.
    let width = params.head_width / 4u;
    let vectors = select(0u, width, index < all);
    let start = row * (params.stride / 4u) + head * width;
    let of_part = head / params.heads * width;
    let filled = select(params.filled, params.head_width, params.filled == 0u);

    var sum = 0.0;
    for (var i = place; i < vectors; i += ROW_LANES) {
        sum += dot(vec4<f32>(x[start + i]), vec4<f32>(1.0));
    }
    let mean = select(row_sum(lane, sum) / f32(filled), 0.0, params.kind == RMS);

    var squares = 0.0;
    for (var i = place; i < vectors; i += ROW_LANES) {
        let centred = vec4<f32>(x[start + i]) - mean;
        squares += dot(centred, centred);
    }
    // Each of those behind has brought the mean's.
    let beyond = mean * mean * f32(params.head_width - filled);
    let variance = (row_sum(lane, squares) - beyond) / f32(filled);

    let scale = 1.0 / sqrt(variance + params.eps);
    for (var i = place; i < vectors; i += ROW_LANES) {
        var value = (vec4<f32>(x[start + i]) - mean) * scale;
        if HAS_WEIGHT != 0u {
            value *= weight[of_part + i];
        }
        if HAS_BIAS != 0u {
            value += bias[of_part + i];
        }
        if HAS_TURN != 0u {
            value = turned(value, position[row], turn[head * width + i]);
        }
        x[start + i] = Elem4(value);
    }
}
