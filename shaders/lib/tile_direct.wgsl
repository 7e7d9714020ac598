// A tile of x times w transposed, every lane reading for itself. All lanes of a workgroup share their rows of x,
// so that those loads are uniform, which a software driver turns into one load for all lanes. Its other loads are
// slow, one by one, which is why a lane has many rows: 16 is the most that lavapipe still keeps in registers.
// The kernel defines x_start, x_load and w_load. Twin of tile_workgroup.wgsl.
const TILE_LANES: u32 = 16u;
const TILE_ROWS: u32 = 16u;
const TILE_COLUMNS: u32 = 64u;
const LANE_ROWS: u32 = 16u;

// Sums for rows row .. row + LANE_ROWS and columns column .. column + 4, unclipped.
struct Products {
    row: u32,
    column: u32,
    sums: array<vec4<f32>, LANE_ROWS>,
}

// Rows and columns from `row` and `column` on, over `vectors` groups of four inner values.
fn multiply_tile(lane: u32, row: u32, column: u32, vectors: u32, rows: u32, columns: u32) -> Products {
    var tile = Products(row, column + lane * 4u, array<vec4<f32>, LANE_ROWS>());
    if tile.column >= columns {
        return tile;
    }
    var starts: array<u32, LANE_ROWS>;
    for (var i = 0u; i < LANE_ROWS; i++) {
        starts[i] = x_start(min(row + i, rows - 1u));
    }
    let c0 = tile.column;
    let c1 = min(c0 + 1u, columns - 1u);
    let c2 = min(c0 + 2u, columns - 1u);
    let c3 = min(c0 + 3u, columns - 1u);
    for (var k = 0u; k < vectors; k++) {
        let w0 = w_load(c0, k);
        let w1 = w_load(c1, k);
        let w2 = w_load(c2, k);
        let w3 = w_load(c3, k);
        for (var i = 0u; i < LANE_ROWS; i++) {
            let a = x_load(starts[i], k);
            tile.sums[i] += vec4<f32>(dot(a, w0), dot(a, w1), dot(a, w2), dot(a, w3));
        }
    }
    return tile;
}
