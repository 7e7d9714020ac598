// One matrix of sums a subgroup.
// Twin of cooperative_medium.wgsl and cooperative_large.wgsl.
const SPAN: u32 = 1u;

// Rows and columns from `row` and `column` on, over `vectors` groups of four inner values.
fn multiply_tile(lane: TileLane, row: u32, column: u32, vectors: u32, rows: u32, columns: u32) {
    let origin = square(lane.subgroup);
    var s00 = Sums();
    var slabs = fetch(lane.index, row, column, 0u, vectors, rows, columns);
    for (var k = 0u; k < vectors; k += SLAB) {
        share(lane.index, slabs);
        // On their way while this slab is multiplied.
        slabs = fetch(lane.index, row, column, k + SLAB, vectors, rows, columns);
        for (var at = 0u; at < SLAB * 4u; at += MATRIX) {
            let w0 = right(origin.y, at);
            let x0 = left(origin.x, at);
            s00 = coopMultiplyAdd(x0, w0, s00);
        }
    }
    let tile = vec2<u32>(row, column);
    put_matrix(lane, tile, 0u, 0u, rows, s00);
}
