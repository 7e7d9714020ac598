// The metric that tokens are matched by: the mean of a token's keys over the heads, brought to unit length.
// A mean without a direction (zero, or not finite) becomes the zero vector, which find_matches sets apart.
struct Params {
    rows: u32,
    heads: u32,
    head_width: u32,
    stride: u32, // values between two tokens
    start: u32,  // first value of the first key
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<Elem4>;             // [rows, heads, head_width], strided
@group(0) @binding(2) var<storage, read_write> metric: array<vec4<f32>>; // [rows, head_width]

fn mean_key(row: u32, i: u32) -> vec4<f32> {
    let vectors = params.head_width / 4u;
    let begin = (params.start + row * params.stride) / 4u + i;
    var sum = vec4<f32>();
    for (var head = 0u; head < params.heads; head++) {
        sum += vec4<f32>(keys[begin + head * vectors]);
    }
    return sum / f32(params.heads);
}

@compute @workgroup_size(WG)
fn key_metric(grid: Grid, lane: Lane) {
    let row = workgroup_index(grid);
    if row >= params.rows {
        return;
    }
    let vectors = params.head_width / 4u;
    var squares = 0.0;
    for (var i = lane.index; i < vectors; i += WG) {
        let mean = mean_key(row, i);
        squares += dot(mean, mean);
    }
    let length = sqrt(workgroup_sum(lane, squares));
    // An exponent of all ones is an infinity or a NaN; comparing would not do, as compilers may assume neither.
    let finite = (bitcast<u32>(length) & 0x7f800000u) != 0x7f800000u;
    let directed = finite && length > 0.0;
    for (var i = lane.index; i < vectors; i += WG) {
        metric[row * vectors + i] = select(vec4<f32>(), mean_key(row, i) / length, directed);
    }
}
