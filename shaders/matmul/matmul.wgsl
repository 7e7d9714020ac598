// y = residual + gate * activation(x w^T + bias), every part but the product optional. Which of them there are is
// compiled in (ACTIVATION and HAS_BIAS to HAS_RESIDUAL): a software driver computes both sides of a branch.
struct Params {
    rows: u32,
    inner: u32,
    columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Elem4>;       // [rows, inner]
@group(0) @binding(2) var<storage, read> w: array<Weight4>;     // [columns, inner]
@group(0) @binding(3) var<storage, read> bias: array<f32>;      // [columns]
@group(0) @binding(4) var<storage, read> gate: array<Elem>;     // [rows, columns]
@group(0) @binding(5) var<storage, read> residual: array<f32>;  // [rows, columns]
@group(0) @binding(6) var<storage, read_write> y: array<Out>;   // [rows, columns]

const GELU: u32 = 1u;
const GELU_TANH: u32 = 2u;
const QUICK_GELU: u32 = 3u;
const SILU: u32 = 4u;
const RELU: u32 = 5u;
const SIGMOID: u32 = 6u;

fn activate(v: f32) -> f32 {
    if ACTIVATION == GELU {
        // x times the normal distribution's share below x, by the error function.
        return 0.5 * v * (1.0 + erf_f32(v * 0.70710678));
    } else if ACTIVATION == GELU_TANH {
        // Its approximation by tanh: 0.5 (1 + tanh(u)) = 1 / (1 + e^(-2u)).
        return v / (1.0 + exp_f32(-1.5957691 * (v + 0.044715 * v * v * v)));
    } else if ACTIVATION == QUICK_GELU {
        // The approximation of OpenAI's CLIP.
        return v / (1.0 + exp_f32(-1.702 * v));
    } else if ACTIVATION == SILU {
        return v / (1.0 + exp_f32(-v));
    } else if ACTIVATION == RELU {
        // Written so that NaN stays NaN.
        return select(v, 0.0, v < 0.0);
    } else if ACTIVATION == SIGMOID {
        return 1.0 / (1.0 + exp_f32(-v));
    }
    return v;
}

fn x_start(row: u32) -> u32 {
    return row * (params.inner / 4u);
}

fn x_load(start: u32, k: u32) -> Elem4 {
    return x[start + k];
}

fn w_load(column: u32, k: u32) -> Elem4 {
    return Elem4(w[column * (params.inner / 4u) + k]);
}

// What becomes of a sum, and where it goes.
fn put(row: u32, column: u32, sum: f32) {
    if column >= params.columns {
        return;
    }
    let at = row * params.columns + column;
    var v = sum;
    if HAS_BIAS != 0u {
        v += bias[column];
    }
    v = activate(v);
    if HAS_GATE != 0u {
        v *= f32(gate[at]);
    }
    if HAS_RESIDUAL != 0u {
        v += residual[at];
    }
    y[at] = Out(v);
}

fn compute_tile(index: u32, lane: Lane) {
    let across = (params.columns + TILE_COLUMNS - 1u) / TILE_COLUMNS;
    let row = index / across * TILE_ROWS;
    if row >= params.rows {
        return;
    }
    multiply_tile(lane, row, index % across * TILE_COLUMNS, params.inner / 4u, params.rows, params.columns);
}
