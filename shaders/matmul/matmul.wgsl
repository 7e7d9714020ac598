// y = residual + gate * activation(turned(x w^T + bias)), every part but the product optional. Which of them there are is
// compiled in (ACTIVATION and HAS_BIAS to HAS_TURN): a software driver computes both sides of a branch. The bindings
// of what follows the product are in ends_fours.wgsl and ends_ones.wgsl.
struct Params {
    rows: u32,
    inner: u32,
    columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Packed4>; // [rows, inner]
@group(0) @binding(2) var<storage, read> w: array<Weight4>; // [columns, inner]

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

// A row of x is read from its start on, by vectors.
alias XStep = u32;
alias XRaw = Packed4;

fn x_start(row: u32) -> u32 {
    return row * (params.inner / 4u);
}

fn x_step(k: u32) -> XStep {
    return k;
}

fn x_load(start: u32, step: XStep) -> XRaw {
    return x[start + step];
}

fn x_value(raw: XRaw, start: u32, step: XStep) -> vec4<f32> {
    return unpack4(raw);
}

fn w_start(column: u32) -> u32 {
    return column * (params.inner / 4u);
}

fn w_load(start: u32, k: u32) -> Weight4 {
    return w[start + k];
}

fn compute_tile(index: u32, lane: Lane) {
    let across = (params.columns + TILE_COLUMNS - 1u) / TILE_COLUMNS;
    let row = index / across * TILE_ROWS;
    if row >= params.rows {
        return;
    }
    multiply_tile(lane, row, index % across * TILE_COLUMNS, params.inner / 4u, params.rows, params.columns);
}
