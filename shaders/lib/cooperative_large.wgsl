// Sixteen matrices of sums a subgroup, written out: compilers keep named ones in registers.
// Twin of cooperative_small.wgsl and cooperative_medium.wgsl.
const SPAN: u32 = 4u;

// Rows and columns from `row` and `column` on, over `vectors` groups of four inner values.
fn multiply_tile(lane: TileLane, row: u32, column: u32, vectors: u32, rows: u32, columns: u32) {
    let origin = square(lane.subgroup);
    var s00 = Sums();
    var s01 = Sums();
    var s02 = Sums();
    var s03 = Sums();
    var s10 = Sums();
    var s11 = Sums();
    var s12 = Sums();
    var s13 = Sums();
    var s20 = Sums();
    var s21 = Sums();
    var s22 = Sums();
    var s23 = Sums();
    var s30 = Sums();
    var s31 = Sums();
    var s32 = Sums();
    var s33 = Sums();
    var slabs = fetch(lane.index, row, column, 0u, vectors, rows, columns);
    for (var k = 0u; k < vectors; k += SLAB) {
        share(lane.index, slabs);
        // On their way while this slab is multiplied.
        slabs = fetch(lane.index, row, column, k + SLAB, vectors, rows, columns);
        for (var at = 0u; at < SLAB * 4u; at += MATRIX) {
            let w0 = right(origin.y, at);
            let w1 = right(origin.y + MATRIX, at);
            let w2 = right(origin.y + 2u * MATRIX, at);
            let w3 = right(origin.y + 3u * MATRIX, at);
            let x0 = left(origin.x, at);
            s00 = coopMultiplyAdd(x0, w0, s00);
            s01 = coopMultiplyAdd(x0, w1, s01);
            s02 = coopMultiplyAdd(x0, w2, s02);
            s03 = coopMultiplyAdd(x0, w3, s03);
            let x1 = left(origin.x + MATRIX, at);
            s10 = coopMultiplyAdd(x1, w0, s10);
            s11 = coopMultiplyAdd(x1, w1, s11);
            s12 = coopMultiplyAdd(x1, w2, s12);
            s13 = coopMultiplyAdd(x1, w3, s13);
            let x2 = left(origin.x + 2u * MATRIX, at);
            s20 = coopMultiplyAdd(x2, w0, s20);
            s21 = coopMultiplyAdd(x2, w1, s21);
            s22 = coopMultiplyAdd(x2, w2, s22);
            s23 = coopMultiplyAdd(x2, w3, s23);
            let x3 = left(origin.x + 3u * MATRIX, at);
            s30 = coopMultiplyAdd(x3, w0, s30);
            s31 = coopMultiplyAdd(x3, w1, s31);
            s32 = coopMultiplyAdd(x3, w2, s32);
            s33 = coopMultiplyAdd(x3, w3, s33);
        }
    }
    let tile = vec2<u32>(row, column);
    put_matrix(lane, tile, 0u, 0u, rows, s00);
    put_matrix(lane, tile, 0u, 1u, rows, s01);
    put_matrix(lane, tile, 0u, 2u, rows, s02);
    put_matrix(lane, tile, 0u, 3u, rows, s03);
    put_matrix(lane, tile, 1u, 0u, rows, s10);
    put_matrix(lane, tile, 1u, 1u, rows, s11);
    put_matrix(lane, tile, 1u, 2u, rows, s12);
    put_matrix(lane, tile, 1u, 3u, rows, s13);
    put_matrix(lane, tile, 2u, 0u, rows, s20);
    put_matrix(lane, tile, 2u, 1u, rows, s21);
    put_matrix(lane, tile, 2u, 2u, rows, s22);
    put_matrix(lane, tile, 2u, 3u, rows, s23);
    put_matrix(lane, tile, 3u, 0u, rows, s30);
    put_matrix(lane, tile, 3u, 1u, rows, s31);
    put_matrix(lane, tile, 3u, 2u, rows, s32);
    put_matrix(lane, tile, 3u, 3u, rows, s33);
}
