// What becomes of sums, and where they go, for any number of columns. Twin of ends_fours.wgsl.
@group(0) @binding(3) var<storage, read> bias: array<f32>;      // [columns]
@group(0) @binding(4) var<storage, read> gate: array<Elem>;     // [rows, columns]
@group(0) @binding(5) var<storage, read> residual: array<f32>;  // [rows, columns]
// Pairs are turned where columns come in fours only.
@group(0) @binding(6) var<storage, read> position: array<f32>;  // [rows, 2]
@group(0) @binding(7) var<storage, read> turn: array<f32>;      // [columns / 2, 2]
@group(0) @binding(8) var<storage, read_write> y: array<Out>;   // [rows, columns]

fn put_one(row: u32, column: u32, sum: f32) {
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

// Sums of a row from `column` on.
fn put(row: u32, column: u32, sums: vec4<f32>) {
    put_one(row, column, sums.x);
    put_one(row, column + 1u, sums.y);
    put_one(row, column + 2u, sums.z);
    put_one(row, column + 3u, sums.w);
}
