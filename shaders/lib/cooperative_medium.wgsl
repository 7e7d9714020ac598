// Four matrices of sums a subgroup, written out: compilers keep named ones in registers.
// Twin of cooperative_small.wgsl and cooperative_large.wgsl.
const SPAN: u32 = 2u;

// Rows and columns from `row` and `column` on, over `vectors` groups of four inner values.
fn multiply_tile(lane: TileLane, row: u32, column: u32, vectors: u32, rows: u32, columns: u32) {
    let origin = square(lane.subgroup);
    var s00 = Sums();
    var s01 = Sums();
    var s10 = Sums();
    var s11 = Sums();
    var slabs = fetch(lane.index, row, column, 0u, vectors, rows, columns);
    for (var k = 0u; k < vectors; k += SLAB) {
        share(lane.index, slabs);
        // On their way while this slab is multiplied.
        slabs = fetch(lane.index, row, column, k + SLAB, vectors, rows, columns);
        for (var at = 0u; at < SLAB * 4u; at += MATRIX) {
            let w0 = right(origin.y, at);
            let w1 = right(origin.y + MATRIX, at);
            let x0 = left(origin.x, at);
            s00 = coopMultiplyAdd(x0, w0, s00);
            s01 = coopMultiplyAdd(x0, w1, s01);
            let x1 = left(origin.x + MATRIX, at);
            s10 = coopMultiplyAdd(x1, w0, s10);
            s11 = coopMultiplyAdd(x1, w1, s11);
        }
    }
    let tile = vec2<u32>(row, column);
    put_matrix(lane, tile, 0u, 0u, rows, s00);
    put_matrix(lane, tile, 0u, 1u, rows, s01);
    put_matrix(lane, tile, 1u, 0u, rows, s10);
    put_matrix(lane, tile, 1u, 1u, rows, s11);
}
