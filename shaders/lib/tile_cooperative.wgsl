// A tile of x times w transposed by the device's matrix units: four subgroups, two by two, each with a square of
// SPAN x SPAN matrices of sums. Slabs of both operands stand in workgroup memory; the next ones are on their way
// from the buffers while these are multiplied. The kernel defines x_start, x_load, w_load and put. Twin of
// tile_direct.wgsl and tile_workgroup.wgsl.
const TILE_LANES: u32 = 4u * SUBGROUP;
const TILE_ROWS: u32 = 2u * SPAN * MATRIX;
const TILE_COLUMNS: u32 = 2u * SPAN * MATRIX;
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

struct TileLane {
    @builtin(local_invocation_index) index: u32,
    @builtin(subgroup_id) subgroup: u32,
}

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
fn put_matrix(lane: TileLane, tile: vec2<u32>, i: u32, j: u32, rows: u32, sums: Sums) {
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
