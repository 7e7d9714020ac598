// y = (x - mean) / sqrt(variance + eps) * weight + bias + residual over each row, all but the first optional. The variance
// is taken around the mean in a second pass, as the squares of large activations would lose digits.
struct Params {
    rows: u32,
    channels: u32,
    eps: f32,
    kind: u32,
    residual_rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;        // [rows, channels]
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;   // [channels]
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;     // [channels]
@group(0) @binding(4) var<storage, read> residual: array<vec4<f32>>; // [residual_rows, channels]
@group(0) @binding(5) var<storage, read_write> y: array<Elem4>;      // [rows, channels]

const RMS: u32 = 1u;

@compute @workgroup_size(ROWS * ROW_LANES)
fn layer_norm(
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
    let vectors = select(0u, params.channels / 4u, row < params.rows);
    let start = row * vectors;

    var sum = 0.0;
    for (var i = place; i < vectors; i += ROW_LANES) {
        sum += dot(x[start + i], vec4<f32>(1.0));
    }
    let mean = select(row_sum(lane, sum) / f32(params.channels), 0.0, params.kind == RMS);

    var squares = 0.0;
    for (var i = place; i < vectors; i += ROW_LANES) {
        let centred = x[start + i] - mean;
        squares += dot(centred, centred);
    }
    let variance = row_sum(lane, squares) / f32(params.channels);

    let scale = 1.0 / sqrt(variance + params.eps);
    let added = row % max(params.residual_rows, 1u) * vectors;
    for (var i = place; i < vectors; i += ROW_LANES) {
        var value = (x[start + i] - mean) * scale;
        if HAS_WEIGHT != 0u {
            value *= weight[i];
        }
        if HAS_BIAS != 0u {
            value += bias[i];
        }
        if HAS_RESIDUAL != 0u {
            value += residual[added + i];
        }
        y[start + i] = Elem4(value);
    }
}
