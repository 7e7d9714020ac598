// A tile of x times w transposed by the device's matrix units: DOWN x ACROSS subgroups, each with RISE x SPAN matrices of
// sums. Slabs are in slabs.wgsl, and what the kernel defines is listed there; besides it defines put. Twin of
// tile_direct.wgsl and tile_workgroup.wgsl.
const TILE_LANES: u32 = DOWN * ACROSS * SUBGROUP;
// Eight values more than a slab, so that a matrix's rows lie in different banks.
const PITCH: u32 = SLAB + 2u;
// In elements of slabs: a row, and a matrix's width. No index is divided, so that compilers see how all of them are
// aligned and which differ by a constant.
const ROW: u32 = PITCH * 4u / SLAB_VALUES;
const WIDE: u32 = MATRIX / SLAB_VALUES;

var<workgroup> x_slab: array<Slab, TILE_ROWS * ROW>;
var<workgroup> w_slab: array<Slab, TILE_COLUMNS * ROW>;

// Sums on their way out, a strip of STRIP matrices a subgroup: what a lane holds of a matrix is its driver's secret.
const OUT4: u32 = STRIP * MATRIX / 4u;
const OUT_ROW: u32 = (STRIP * MATRIX + 4u) / OUT_VALUES;
const OUT_SIZE: u32 = MATRIX * OUT_ROW;
var<workgroup> outs: array<Outs, DOWN * ACROSS * OUT_SIZE>;

fn column_of(line: u32) -> u32 {
    return line;
}

// Where a subgroup's matrices start in the tile, in rows and columns. Were subgroups smaller than they say, several would
// compute the same.
fn square(subgroup: u32) -> vec2<u32> {
    return vec2<u32>(subgroup / ACROSS % DOWN * RISE, subgroup % ACROSS * SPAN) * MATRIX;
}

// Hands each subgroup's strip to the kernel: matrices i down and from j on across. Those past STRIP are not there.
fn put_strip(lane: Lane, tile: vec2<u32>, i: u32, j: u32, rows: u32, s0: Sums, s1: Sums, s2: Sums, s3: Sums) {
    let to = lane.subgroup % (DOWN * ACROSS) * OUT_SIZE;
    workgroupBarrier(); // the previous strip's readers are done
    put_sums(s0, to, OUT_ROW);
    if STRIP > 1u {
        put_sums(s1, to + MATRIX / OUT_VALUES, OUT_ROW);
    }
    if STRIP > 2u {
        put_sums(s2, to + 2u * MATRIX / OUT_VALUES, OUT_ROW);
        put_sums(s3, to + 3u * MATRIX / OUT_VALUES, OUT_ROW);
    }
    workgroupBarrier();
    for (var at = lane.index; at < DOWN * ACROSS * MATRIX * OUT4; at += TILE_LANES) {
        let subgroup = at / (MATRIX * OUT4);
        let row = at / OUT4 % MATRIX;
        let vector = at % OUT4;
        let place = tile + square(subgroup) + vec2<u32>(i * MATRIX + row, j * MATRIX + vector * 4u);
        if place.x < rows {
            put(place.x, place.y, out4(subgroup * OUT_SIZE + row * OUT_ROW + vector * (4u / OUT_VALUES)));
        }
    }
}

// The same for a row of matrices. Those past SPAN are not there.
fn put_row(lane: Lane, tile: vec2<u32>, i: u32, rows: u32, s0: Sums, s1: Sums, s2: Sums, s3: Sums) {
    put_strip(lane, tile, i, 0u, rows, s0, s1, s2, s3);
    if STRIP < SPAN {
        put_strip(lane, tile, i, 1u, rows, s1, s1, s1, s1);
    }
}

// Rows and columns from `row` and `column` on, over `vectors` groups of four inner values. Sums are written out, as
// compilers keep named ones in registers; those past SPAN are never touched and cost nothing.
fn multiply_tile(lane: Lane, row: u32, column: u32, vectors: u32, rows: u32, columns: u32) {
    let x_row = square(lane.subgroup).x * ROW;
    let w_row = square(lane.subgroup).y * ROW;
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
    let place = lane.index % SLAB;
    let starts = starts_of(lane.index, row, column, rows, columns);
    var next = min(place, vectors - 1u);
    var step = x_step(next);
    var slabs = fetch(starts, step, next);
    for (var k = 0u; k < vectors; k += SLAB) {
        next = min(k + SLAB + place, vectors - 1u);
        let next_step = x_step(next);
        share(lane.index, starts, step, slabs, k + place < vectors);
        step = next_step;
        slabs = fetch(starts, step, next);
        for (var at = 0u; at < SLAB * 4u / SLAB_VALUES; at += WIDE) {
            // Those past SPAN and RISE are read again and never touched.
            let w0 = right_of_w(w_row + at, ROW);
            let w1 = right_of_w(w_row + 1u % SPAN * MATRIX * ROW + at, ROW);
            let w2 = right_of_w(w_row + 2u % SPAN * MATRIX * ROW + at, ROW);
            let w3 = right_of_w(w_row + 3u % SPAN * MATRIX * ROW + at, ROW);
            let x0 = left_of_x(x_row + at, ROW);
            s00 = coopMultiplyAdd(x0, w0, s00);
            if SPAN > 1u {
                s01 = coopMultiplyAdd(x0, w1, s01);
            }
            if SPAN > 2u {
                s02 = coopMultiplyAdd(x0, w2, s02);
                s03 = coopMultiplyAdd(x0, w3, s03);
            }
            if RISE > 1u {
                let x1 = left_of_x(x_row + MATRIX * ROW + at, ROW);
                s10 = coopMultiplyAdd(x1, w0, s10);
                if SPAN > 1u {
                    s11 = coopMultiplyAdd(x1, w1, s11);
                }
                if SPAN > 2u {
                    s12 = coopMultiplyAdd(x1, w2, s12);
                    s13 = coopMultiplyAdd(x1, w3, s13);
                }
            }
            if RISE > 2u {
                let x2 = left_of_x(x_row + 2u * MATRIX * ROW + at, ROW);
                s20 = coopMultiplyAdd(x2, w0, s20);
                if SPAN > 1u {
                    s21 = coopMultiplyAdd(x2, w1, s21);
                }
                if SPAN > 2u {
                    s22 = coopMultiplyAdd(x2, w2, s22);
                    s23 = coopMultiplyAdd(x2, w3, s23);
                }
            }
            if RISE > 2u {
                let x3 = left_of_x(x_row + 3u * MATRIX * ROW + at, ROW);
                s30 = coopMultiplyAdd(x3, w0, s30);
                if SPAN > 1u {
                    s31 = coopMultiplyAdd(x3, w1, s31);
                }
                if SPAN > 2u {
                    s32 = coopMultiplyAdd(x3, w2, s32);
                    s33 = coopMultiplyAdd(x3, w3, s33);
                }
            }
        }
    }
    let tile = vec2<u32>(row, column);
    put_row(lane, tile, 0u, rows, s00, s01, s02, s03);
    if RISE > 1u {
        put_row(lane, tile, 1u, rows, s10, s11, s12, s13);
    }
    if RISE > 2u {
        put_row(lane, tile, 2u, rows, s20, s21, s22, s23);
        put_row(lane, tile, 3u, rows, s30, s31, s32, s33);
    }
}
