// A tile of x times w transposed by the device's matrix units: four subgroups, two by two, each with a square of
// SPAN x SPAN matrices of sums. Slabs of both operands stand in workgroup memory; the next ones are on their way
// from the buffers while these are multiplied. The kernel defines x_start, x_load, w_load and put. Twin of
// tile_direct.wgsl and tile_workgroup.wgsl.
const TILE_LANES: u32 = 4u * SUBGROUP;
// Vectors of four inner values in a slab.
const SLAB: u32 = 8u;
// Eight values more than a slab, so that a matrix's rows lie in different banks.
const PITCH: u32 = SLAB + 2u;
// Vectors of a slab that each lane brings.
const SHARE: u32 = TILE_ROWS * SLAB / TILE_LANES;

var<workgroup> x_slab: array<Slab, TILE_ROWS * PITCH * 4u / SLAB_VALUES>;
var<workgroup> w_slab: array<Slab, TILE_COLUMNS * PITCH * 4u / SLAB_VALUES>;

// Sums on their way out, one matrix a subgroup: what a lane holds of a matrix is its driver's secret.
const OUT_PITCH: u32 = MATRIX + 4u;
const OUT_SIZE: u32 = MATRIX * OUT_PITCH;
var<workgroup> out: array<f32, 4u * OUT_SIZE>;

// Where a subgroup's square starts in the tile, in rows and columns. Were subgroups smaller than they say, several
// would compute the same.
fn square(subgroup: u32) -> vec2<u32> {
    return vec2<u32>(subgroup / 2u % 2u, subgroup % 2u) * (SPAN * MATRIX);
}

fn left(row: u32, k: u32) -> Left {
    return coopLoadT<Left>(&x_slab[(row * PITCH * 4u + k) / SLAB_VALUES], PITCH * 4u / SLAB_VALUES);
}

fn right(column: u32, k: u32) -> Right {
    return coopLoad<Right>(&w_slab[(column * PITCH * 4u + k) / SLAB_VALUES], PITCH * 4u / SLAB_VALUES);
}

// Hands each subgroup's matrix to the kernel: the ones at (i, j) of their squares.
fn put_matrix(lane: Lane, tile: vec2<u32>, i: u32, j: u32, rows: u32, sums: Sums) {
    workgroupBarrier(); // the previous matrix's readers are done
    coopStoreT(sums, &out[lane.subgroup % 4u * OUT_SIZE], OUT_PITCH);
    workgroupBarrier();
    for (var at = lane.index; at < 4u * MATRIX * MATRIX; at += TILE_LANES) {
        let subgroup = at / (MATRIX * MATRIX);
        let row = at / MATRIX % MATRIX;
        let column = at % MATRIX;
        let place = tile + square(subgroup) + vec2<u32>(i * MATRIX + row, j * MATRIX + column);
        if place.x < rows {
            put(place.x, place.y, out[subgroup * OUT_SIZE + row * OUT_PITCH + column]);
        }
    }
}

// A lane's part of a slab of each operand.
struct Slabs {
    x: array<vec4<f16>, SHARE>,
    w: array<vec4<f16>, SHARE>,
}

// Reads them from the buffers: rows past the last are that one again and never put, inner values past the last are 0.
fn fetch(lane: u32, row: u32, column: u32, k: u32, vectors: u32, rows: u32, columns: u32) -> Slabs {
    var slabs: Slabs;
    for (var i = 0u; i < SHARE; i++) {
        let at = lane + i * TILE_LANES;
        let vector = k + at % SLAB;
        if vector < vectors {
            slabs.x[i] = x_load(x_start(min(row + at / SLAB, rows - 1u)), vector);
            slabs.w[i] = w_load(min(column + at / SLAB, columns - 1u), vector);
        }
    }
    return slabs;
}

// Lays them out in workgroup memory for every lane.
fn share(lane: u32, slabs: Slabs) {
    workgroupBarrier(); // the previous slab's readers are done
    for (var i = 0u; i < SHARE; i++) {
        let at = lane + i * TILE_LANES;
        put_x(at / SLAB * PITCH + at % SLAB, slabs.x[i]);
        put_w(at / SLAB * PITCH + at % SLAB, slabs.w[i]);
    }
    workgroupBarrier();
}

// Rows and columns from `row` and `column` on, over `vectors` groups of four inner values. Sums are written out, as
// compilers keep named ones in registers; those past SPAN are never touched and cost nothing.
fn multiply_tile(lane: Lane, row: u32, column: u32, vectors: u32, rows: u32, columns: u32) {
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
            let x0 = left(origin.x, at);
            let w0 = right(origin.y, at);
            s00 = coopMultiplyAdd(x0, w0, s00);
            if SPAN > 1u {
                let x1 = left(origin.x + MATRIX, at);
                let w1 = right(origin.y + MATRIX, at);
                s01 = coopMultiplyAdd(x0, w1, s01);
                s10 = coopMultiplyAdd(x1, w0, s10);
                s11 = coopMultiplyAdd(x1, w1, s11);
                if SPAN > 2u {
                    let w2 = right(origin.y + 2u * MATRIX, at);
                    let w3 = right(origin.y + 3u * MATRIX, at);
                    s02 = coopMultiplyAdd(x0, w2, s02);
                    s03 = coopMultiplyAdd(x0, w3, s03);
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
        }
    }
    let tile = vec2<u32>(row, column);
    put_matrix(lane, tile, 0u, 0u, rows, s00);
    if SPAN > 1u {
        put_matrix(lane, tile, 0u, 1u, rows, s01);
        put_matrix(lane, tile, 1u, 0u, rows, s10);
        put_matrix(lane, tile, 1u, 1u, rows, s11);
    }
    if SPAN > 2u {
        put_matrix(lane, tile, 0u, 2u, rows, s02);
        put_matrix(lane, tile, 0u, 3u, rows, s03);
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
}
