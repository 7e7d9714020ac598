// y = residual + gate * scale * activation(x w^T + bias), every part but the product optional. Which of them there are
// is compiled in (`activate` and HAS_BIAS to HAS_RESIDUAL): a software driver computes both sides of a branch.
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

// What becomes of a sum, and where it goes.
fn put(row: u32, column: u32, sum: f32) {
    if column >= params.columns {
        return;
    }
    let at = row * params.columns + column;
    var v = sum;
    if HAS_BIAS {
        v += bias[column];
    }
    v = activate(v);
    if HAS_SCALE {
        v *= scale[column];
    }
    if HAS_GATE {
        v *= f32(gate[at]);
    }
    if HAS_RESIDUAL {
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
