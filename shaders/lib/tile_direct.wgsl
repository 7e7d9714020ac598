// A tile of x times w transposed, every lane reading for itself. All lanes of a workgroup share their rows of x,
// so that those loads are uniform, which a software driver turns into one load for all lanes. Its other loads are
// slow, one by one, which is why a lane has many rows: 16 is the most that lavapipe still keeps in registers.
// The kernel defines x_start, x_load, w_load and put. Twin of tile_workgroup.wgsl and tile_cooperative.wgsl.
const TILE_LANES: u32 = 16u;
const TILE_ROWS: u32 = 16u;
const TILE_COLUMNS: u32 = 64u;
const LANE_ROWS: u32 = 16u;

struct TileLane {
    @builtin(local_invocation_index) index: u32,
}

// Rows and columns from `row` and `column` on, over `vectors` groups of four inner values.
fn multiply_tile(lane: TileLane, row: u32, column: u32, vectors: u32, rows: u32, columns: u32) {
    let c0 = column + lane.index * 4u;
    if c0 >= columns {
        return;
    }
    var sums: array<vec4<f32>, LANE_ROWS>;
    var starts: array<u32, LANE_ROWS>;
    for (var i = 0u; i < LANE_ROWS; i++) {
        starts[i] = x_start(min(row + i, rows - 1u));
    }
    let c1 = min(c0 + 1u, columns - 1u);
    let c2 = min(c0 + 2u, columns - 1u);
    let c3 = min(c0 + 3u, columns - 1u);
    for (var k = 0u; k < vectors; k++) {
        let w0 = vec4<f32>(w_load(c0, k));
        let w1 = vec4<f32>(w_load(c1, k));
        let w2 = vec4<f32>(w_load(c2, k));
        let w3 = vec4<f32>(w_load(c3, k));
        for (var i = 0u; i < LANE_ROWS; i++) {
            let a = vec4<f32>(x_load(starts[i], k));
            sums[i] += vec4<f32>(dot(a, w0), dot(a, w1), dot(a, w2), dot(a, w3));
        }
    }
    // Without a way out of the loop, so that compilers unroll it and the sums stay in registers.
    for (var i = 0u; i < LANE_ROWS; i++) {
        if row + i < rows {
            put(row + i, c0, sums[i].x);
            put(row + i, c0 + 1u, sums[i].y);
            put(row + i, c0 + 2u, sums[i].z);
            put(row + i, c0 + 3u, sums[i].w);
        }
    }
}
