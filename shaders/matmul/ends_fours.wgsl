// What becomes of sums, and where they go, where columns come in fours. Twin of ends_ones.wgsl.
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;     // [columns]
@group(0) @binding(4) var<storage, read> gate: array<Packed4>;       // [rows, columns]
@group(0) @binding(5) var<storage, read> residual: array<vec4<f32>>; // [rows, columns]
@group(0) @binding(6) var<storage, read> position: array<vec2<f32>>; // [rows, 2]
@group(0) @binding(7) var<storage, read> turn: array<vec4<f32>>;     // [columns / 2, 2]
@group(0) @binding(8) var<storage, read_write> y: array<Out4>;       // [rows, columns]

// Sums of a row from `column` on.
fn put(row: u32, column: u32, sums: vec4<f32>) {
    if column >= params.columns {
        return;
    }
    let at = (row * params.columns + column) / 4u;
    var v = sums;
    if HAS_BIAS != 0u {
        v += bias[column / 4u];
    }
    if HAS_TURN != 0u {
        v = turned(v, position[row], turn[column / 4u]);
    }
    v = vec4<f32>(activate(v.x), activate(v.y), activate(v.z), activate(v.w));
    if HAS_GATE != 0u {
        v *= unpack4(gate[at]);
    }
    if HAS_RESIDUAL != 0u {
        v += residual[at];
    }
    y[at] = Out4(v);
}
