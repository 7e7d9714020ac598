// A tile of x times w transposed, slabs of both operands shared in workgroup memory; the next ones are on their way
// from the buffers while these are multiplied. A lane has SPAN x SPAN sums, ACROSS apart, so that neighbouring lanes
// read neighbouring rows and write neighbouring columns. The kernel defines x_start, x_load, w_load and put. Twin of
// tile_direct.wgsl and tile_matrices.wgsl.
const TILE_LANES: u32 = ACROSS * ACROSS;
const ACROSS: u32 = TILE_COLUMNS / SPAN;
// One vector more than a slab, so that lanes on neighbouring rows hit different banks.
const PITCH: u32 = SLAB + 1u;
// Vectors of a slab that each lane brings.
const SHARE: u32 = TILE_ROWS * SLAB / TILE_LANES;

var<workgroup> x_slab: array<vec4<f32>, TILE_ROWS * PITCH>;
var<workgroup> w_slab: array<vec4<f32>, TILE_COLUMNS * PITCH>;

// A lane's part of a slab of each operand.
struct Slabs {
    x: array<vec4<f32>, SHARE>,
    w: array<vec4<f32>, SHARE>,
}

// Reads them from the buffers: rows past the last are that one again and never put, inner values past the last are 0.
fn fetch(lane: u32, row: u32, column: u32, k: u32, vectors: u32, rows: u32, columns: u32) -> Slabs {
    var slabs: Slabs;
    for (var i = 0u; i < SHARE; i++) {
        let at = lane + i * TILE_LANES;
        let vector = k + at % SLAB;
        if vector < vectors {
            slabs.x[i] = vec4<f32>(x_load(x_start(min(row + at / SLAB, rows - 1u)), vector));
            slabs.w[i] = vec4<f32>(w_load(min(column + at / SLAB, columns - 1u), vector));
        }
    }
    return slabs;
}

// Rows and columns from `row` and `column` on, over `vectors` groups of four inner values.
fn multiply_tile(lane: Lane, row: u32, column: u32, vectors: u32, rows: u32, columns: u32) {
    let down = lane.index / ACROSS;
    let across = lane.index % ACROSS;
    var sums: array<vec4<f32>, SPAN * SPAN / 4u>;
    var slabs = fetch(lane.index, row, column, 0u, vectors, rows, columns);
    for (var k = 0u; k < vectors; k += SLAB) {
        workgroupBarrier(); // the previous slab's readers are done
        for (var i = 0u; i < SHARE; i++) {
            let at = lane.index + i * TILE_LANES;
            x_slab[at / SLAB * PITCH + at % SLAB] = slabs.x[i];
            w_slab[at / SLAB * PITCH + at % SLAB] = slabs.w[i];
        }
        workgroupBarrier();
        slabs = fetch(lane.index, row, column, k + SLAB, vectors, rows, columns);
        for (var at = 0u; at < SLAB; at++) {
            var w = array<vec4<f32>, SPAN>();
            for (var j = 0u; j < SPAN; j++) {
                w[j] = w_slab[(across + j * ACROSS) * PITCH + at];
            }
            for (var i = 0u; i < SPAN; i++) {
                let x = x_slab[(down + i * ACROSS) * PITCH + at];
                for (var j = 0u; j < SPAN; j += 4u) {
                    sums[(i * SPAN + j) / 4u] += vec4<f32>(dot(x, w[j]), dot(x, w[j + 1u]), dot(x, w[j + 2u]), dot(x, w[j + 3u]));
                }
            }
        }
    }
    for (var i = 0u; i < SPAN; i++) {
        let to = row + down + i * ACROSS;
        if to < rows {
            for (var j = 0u; j < SPAN; j++) {
                put(to, column + across + j * ACROSS, sums[(i * SPAN + j) / 4u][j % 4u]);
            }
        }
    }
}
