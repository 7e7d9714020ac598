// The metric that tokens are matched by: the mean of a token's keys over the heads, for cosines brought to unit
// length. A mean without a direction (zero, too long, or not finite) and a token of size 0 become the zero vector, which
// find_matches sets apart.
struct Params {
    rows: u32,
    heads: u32,
    head_width: u32,
    stride: u32, // values between two tokens
    start: u32,  // first value of the first key
    length: u32, // 0 to bring each to unit length
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<Packed4>;           // [rows, heads, head_width], strided
@group(0) @binding(2) var<storage, read> size: array<f32>;               // [rows]
@group(0) @binding(3) var<storage, read_write> metric: array<vec4<f32>>; // [rows, head_width]

const UNIT: u32 = 0u;

// Squares of a length outside of these say nothing about a direction, or would make scores overflow.
const LEAST: u32 = 0x00800000u; // 1.2e-38, the least normal float
const MOST: f32 = 1e36;

fn mean_key(row: u32, i: u32) -> vec4<f32> {
    let vectors = params.head_width / 4u;
    let begin = (params.start + row * params.stride) / 4u + i;
    var sum = vec4<f32>();
    for (var head = 0u; head < params.heads; head++) {
        sum += unpack4(keys[begin + head * vectors]);
    }
    return sum / f32(params.heads);
}

@compute @workgroup_size(ROWS * ROW_LANES)
fn key_metric(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(workgroup, workgroups);
    if index * ROWS >= params.rows {
        return;
    }
    let row = index * ROWS + lane / ROW_LANES;
    let place = lane % ROW_LANES;
    // Nothing to do past the last row but to wait for the others.
    let vectors = select(0u, params.head_width / 4u, row < params.rows);
    var partial = 0.0;
    for (var i = place; i < vectors; i += ROW_LANES) {
        let mean = mean_key(row, i);
        partial += dot(mean, mean);
        metric[row * vectors + i] = mean;
    }
    let squares = row_sum(lane, partial);
    // As bits, which rise with floats from 0 to infinity and then NaN; comparing floats would not do, as compilers may
    // assume that they are finite.
    let bits = bitcast<u32>(squares);
    var directed = bits >= LEAST && bits <= bitcast<u32>(MOST);
    if HAS_SIZE != 0u {
        directed = directed && size[min(row, params.rows - 1u)] > 0.0;
    }
    let length = select(1.0, sqrt(squares), params.length == UNIT);
    for (var i = place; i < vectors; i += ROW_LANES) {
        metric[row * vectors + i] = select(vec4<f32>(), metric[row * vectors + i] / length, directed);
    }
}
