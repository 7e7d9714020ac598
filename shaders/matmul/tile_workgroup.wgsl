// A tile of x times w transposed, slabs of both operands shared in workgroup memory. A lane has RISE x SPAN sums: rows
// are DOWN apart, columns come in fours, so that neighbouring lanes read neighbouring rows and write neighbouring
// vectors. Slabs are in slabs.wgsl, and what the kernel defines is listed there; besides it defines put. Twin of
// tile_direct.wgsl and tile_matrices.wgsl.
const TILE_LANES: u32 = DOWN * ACROSS;
const DOWN: u32 = TILE_ROWS / RISE;
const ACROSS: u32 = TILE_COLUMNS / SPAN;
// One vector more than a slab, so that lanes on neighbouring rows hit different banks.
const ROW: u32 = SLAB + 1u;

var<workgroup> x_slab: array<vec4<f32>, TILE_ROWS * ROW>;
var<workgroup> w_slab: array<vec4<f32>, TILE_COLUMNS * ROW>;

// Puts vector k of a row that starts at an element of a slab.
fn put_x(row: u32, k: u32, value: vec4<f32>) {
    x_slab[row + k] = value;
}

fn put_w(row: u32, k: u32, value: vec4<f32>) {
    w_slab[row + k] = value;
}

// The column of the tile that a line of its slab holds: line `across + j * ACROSS` has the lane's column j.
fn column_of(line: u32) -> u32 {
    let j = line / ACROSS;
    return (j / 4u * ACROSS + line % ACROSS) * 4u + j % 4u;
}

// Rows and columns from `row` and `column` on, over `vectors` groups of four inner values.
fn multiply_tile(lane: Lane, row: u32, column: u32, vectors: u32, rows: u32, columns: u32) {
    let down = lane.index / ACROSS;
    let across = lane.index % ACROSS;
    let place = lane.index % SLAB;
    let starts = starts_of(lane.index, row, column, rows, columns);
    var sums: array<vec4<f32>, RISE * SPAN / 4u>;
    var next = min(place, vectors - 1u);
    var step = x_step(next);
    var slabs = fetch(starts, step, next);
    for (var k = 0u; k < vectors; k += SLAB) {
        next = min(k + SLAB + place, vectors - 1u);
        let next_step = x_step(next);
        share(lane.index, starts, step, slabs, k + place < vectors);
        step = next_step;
        slabs = fetch(starts, step, next);
        for (var at = 0u; at < SLAB; at++) {
            var w = array<vec4<f32>, SPAN>();
            for (var j = 0u; j < SPAN; j++) {
                w[j] = w_slab[(across + j * ACROSS) * ROW + at];
            }
            for (var i = 0u; i < RISE; i++) {
                let x = x_slab[(down + i * DOWN) * ROW + at];
                for (var j = 0u; j < SPAN; j += 4u) {
                    let at = (i * SPAN + j) / 4u;
                    sums[at] = add_dots(sums[at], x, w[j], w[j + 1u], w[j + 2u], w[j + 3u]);
                }
            }
        }
    }
    // Always the first of the sums, the others move up: indices stay constants whatever compilers make of the loop.
    for (var n = 0u; n < RISE * SPAN / 4u; n++) {
        let sum = sums[0];
        for (var m = 1u; m < RISE * SPAN / 4u; m++) {
            sums[m - 1u] = sums[m];
        }
        let to = row + down + n * 4u / SPAN * DOWN;
        if to < rows {
            put(to, column + (n % (SPAN / 4u) * ACROSS + across) * 4u, sum);
        }
    }
}
