// A tile of x times w transposed, slabs of both operands shared in workgroup memory.
// The kernel defines x_start, x_load and w_load. Twin of tile_direct.wgsl.
const TILE_LANES: u32 = 256u;
const TILE_ROWS: u32 = 64u;
const TILE_COLUMNS: u32 = 64u;
const LANE_ROWS: u32 = 4u;
// Vectors of four inner values in a slab.
const SLAB: u32 = 4u;
// One vector more than a slab, so that lanes on neighbouring rows hit different banks.
const PITCH: u32 = SLAB + 1u;

var<workgroup> x_slab: array<vec4<f32>, TILE_ROWS * PITCH>;
var<workgroup> w_slab: array<vec4<f32>, TILE_COLUMNS * PITCH>;

// Sums for rows row .. row + LANE_ROWS and columns column .. column + 4, unclipped.
struct Products {
    row: u32,
    column: u32,
    sums: array<vec4<f32>, LANE_ROWS>,
}

// Rows and columns from `row` and `column` on, over `vectors` groups of four inner values.
fn multiply_tile(lane: u32, row: u32, column: u32, vectors: u32, rows: u32, columns: u32) -> Products {
    // Loading: 64 rows by 4 vectors of each operand, one vector a lane.
    let load_at = lane / SLAB;
    let load_k = lane % SLAB;
    let x_from = x_start(min(row + load_at, rows - 1u));
    let w_from = min(column + load_at, columns - 1u);
    // Multiplying: 16 by 16 lanes, 4 by 4 products a lane.
    let at_row = lane / 16u * LANE_ROWS;
    let at_column = lane % 16u * 4u;
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    for (var k = 0u; k < vectors; k += SLAB) {
        var a = vec4<f32>();
        var b = vec4<f32>();
        if k + load_k < vectors {
            a = x_load(x_from, k + load_k);
            b = w_load(w_from, k + load_k);
        }
        workgroupBarrier(); // the previous slab's readers are done
        x_slab[load_at * PITCH + load_k] = a;
        w_slab[load_at * PITCH + load_k] = b;
        workgroupBarrier();
        for (var i = 0u; i < SLAB; i++) {
            let w0 = w_slab[at_column * PITCH + i];
            let w1 = w_slab[(at_column + 1u) * PITCH + i];
            let w2 = w_slab[(at_column + 2u) * PITCH + i];
            let w3 = w_slab[(at_column + 3u) * PITCH + i];
            let x0 = x_slab[at_row * PITCH + i];
            let x1 = x_slab[(at_row + 1u) * PITCH + i];
            let x2 = x_slab[(at_row + 2u) * PITCH + i];
            let x3 = x_slab[(at_row + 3u) * PITCH + i];
            s0 += vec4<f32>(dot(x0, w0), dot(x0, w1), dot(x0, w2), dot(x0, w3));
            s1 += vec4<f32>(dot(x1, w0), dot(x1, w1), dot(x1, w2), dot(x1, w3));
            s2 += vec4<f32>(dot(x2, w0), dot(x2, w1), dot(x2, w2), dot(x2, w3));
            s3 += vec4<f32>(dot(x3, w0), dot(x3, w1), dot(x3, w2), dot(x3, w3));
        }
    }
    return Products(row + at_row, column + at_column, array<vec4<f32>, LANE_ROWS>(s0, s1, s2, s3));
}
