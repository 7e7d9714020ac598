// y = residual + gate * scale * activation(x w^T + bias), every part but the product optional.
struct Params {
    rows: u32,
    inner: u32,
    columns: u32,
    activation: u32, // 0 none, 1 gelu (erf), 2 gelu (tanh), 3 quick gelu, 4 silu, 5 relu, 6 sigmoid
    has_bias: u32,
    has_scale: u32,
    has_gate: u32,
    has_residual: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Elem4>;       // [rows, inner]
@group(0) @binding(2) var<storage, read> w: array<Elem4>;       // [columns, inner]
@group(0) @binding(3) var<storage, read> bias: array<f32>;      // [columns]
@group(0) @binding(4) var<storage, read> scale: array<f32>;     // [columns]
@group(0) @binding(5) var<storage, read> gate: array<Elem>;     // [rows, columns]
@group(0) @binding(6) var<storage, read> residual: array<f32>;  // [rows, columns]
@group(0) @binding(7) var<storage, read_write> y: array<Out>;   // [rows, columns]

fn x_start(row: u32) -> u32 {
    return row * (params.inner / 4u);
}

fn x_load(start: u32, k: u32) -> Elem4 {
    return x[start + k];
}

fn w_load(column: u32, k: u32) -> Elem4 {
    return w[column * (params.inner / 4u) + k];
}

fn activate(v: f32) -> f32 {
    switch params.activation {
        case 1u: {
            return 0.5 * v * (1.0 + erf_f32(v * 0.70710678));
        }
        case 2u: {
            // 0.5 (1 + tanh(u)) = 1 / (1 + e^(-2u))
            return v / (1.0 + exp_f32(-1.5957691 * (v + 0.044715 * v * v * v)));
        }
        case 3u: {
            return v / (1.0 + exp_f32(-1.702 * v));
        }
        case 4u: {
            return v / (1.0 + exp_f32(-v));
        }
        case 5u: {
            // Written so that NaN stays NaN.
            return select(v, 0.0, v < 0.0);
        }
        case 6u: {
            return 1.0 / (1.0 + exp_f32(-v));
        }
        default: {
            return v;
        }
    }
}

// What becomes of a sum, and where it goes.
fn put(row: u32, column: u32, sum: f32) {
    if column >= params.columns {
        return;
    }
    let at = row * params.columns + column;
    var v = sum;
    if params.has_bias != 0u {
        v += bias[column];
    }
    if params.activation != 0u {
        v = activate(v);
    }
    if params.has_scale != 0u {
        v *= scale[column];
    }
    if params.has_gate != 0u {
        v *= f32(gate[at]);
    }
    if params.has_residual != 0u {
        v += residual[at];
    }
    y[at] = Out(v);
}

@compute @workgroup_size(TILE_LANES)
fn matmul(grid: Grid, lane: TileLane) {
    let across = (params.columns + TILE_COLUMNS - 1u) / TILE_COLUMNS;
    let index = workgroup_index(grid);
    let row = index / across * TILE_ROWS;
    if row >= params.rows {
        return;
    }
    multiply_tile(lane, row, index % across * TILE_COLUMNS, params.inner / 4u, params.rows, params.columns);
}
