// Slabs of both operands on their way from the buffers to workgroup memory: the next one is read while the last one is
// multiplied. So nothing here may wait for what has been read: where rows start is found before the loop, reads have no
// condition (past the last inner value they read that one again), and values are made of what was read, or zeroes, only
// when they are shared. The kernel defines XStep, XRaw, x_start, x_step, x_load, x_value, w_start and w_load; the tile
// TILE_LANES, SLAB, ROW, column_of, put_x and put_w.

// Vectors of a slab of x and of w that each lane brings. All have the same place in their rows.
const X_SHARE: u32 = TILE_ROWS * SLAB / TILE_LANES;
const W_SHARE: u32 = TILE_COLUMNS * SLAB / TILE_LANES;

// Where the rows of those vectors start: rows past the last are that one again and never put.
struct Starts {
    x: array<u32, X_SHARE>,
    w: array<u32, W_SHARE>,
}

fn starts_of(lane: u32, row: u32, column: u32, rows: u32, columns: u32) -> Starts {
    var starts: Starts;
    for (var i = 0u; i < X_SHARE; i++) {
        starts.x[i] = x_start(min(row + (lane + i * TILE_LANES) / SLAB, rows - 1u));
    }
    for (var i = 0u; i < W_SHARE; i++) {
        starts.w[i] = w_start(min(column + column_of((lane + i * TILE_LANES) / SLAB), columns - 1u));
    }
    return starts;
}

// A lane's part of a slab of each operand, as it was read.
struct Slabs {
    x: array<XRaw, X_SHARE>,
    w: array<Weight4, W_SHARE>,
}

fn fetch(starts: Starts, step: XStep, k: u32) -> Slabs {
    var slabs: Slabs;
    for (var i = 0u; i < W_SHARE; i++) {
        slabs.w[i] = w_load(starts.w[i], k);
    }
    for (var i = 0u; i < X_SHARE; i++) {
        slabs.x[i] = x_load(starts.x[i], step);
    }
    return slabs;
}

// Lays it out in workgroup memory for every lane; inner values past the last are 0 in both, as 0 times infinity is not 0.
fn share(lane: u32, starts: Starts, step: XStep, slabs: Slabs, is_there: bool) {
    workgroupBarrier(); // the previous slab's readers are done
    for (var i = 0u; i < X_SHARE; i++) {
        let x = x_value(slabs.x[i], starts.x[i], step);
        let to = (lane + i * TILE_LANES) / SLAB * ROW;
        put_x(to, lane % SLAB, select(vec4<f32>(), x, WHOLE_SLABS != 0u || is_there));
    }
    for (var i = 0u; i < W_SHARE; i++) {
        let to = (lane + i * TILE_LANES) / SLAB * ROW;
        put_w(to, lane % SLAB, select(vec4<f32>(), weight4(slabs.w[i]), WHOLE_SLABS != 0u || is_there));
    }
    workgroupBarrier();
}
