// A tile of x times w transposed without workgroup memory, for software drivers. They read a vector lane by lane,
// which takes as long as dozens of products: so a lane has many rows and four columns of sums. Rows come in eights,
// summed one by one by their numbers: what a loop within the loop indexes FXC gathers by products with 0 and 1, so that
// one row's NaN is in all eight. The kernel defines XStep, x_start, x_step, x_load, x_value, w_start, w_load and put. Twin
// of tile_workgroup.wgsl and tile_matrices.wgsl.
const TILE_LANES: u32 = TILE_COLUMNS / 4u;

// A lane's sums of eight rows, four columns each.
alias EightSums = array<vec4<f32>, 8>;

fn products(x: vec4<f32>, w: array<vec4<f32>, 4>) -> vec4<f32> {
    return vec4<f32>(dot(x, w[0]), dot(x, w[1]), dot(x, w[2]), dot(x, w[3]));
}

fn multiply_eight(sums: ptr<function, EightSums>, starts: EightStarts, step: XStep, w: array<vec4<f32>, 4>) {
    let x = eight_vectors(starts, step);
    (*sums)[0] += products(x[0], w);
    (*sums)[1] += products(x[1], w);
    (*sums)[2] += products(x[2], w);
    (*sums)[3] += products(x[3], w);
    (*sums)[4] += products(x[4], w);
    (*sums)[5] += products(x[5], w);
    (*sums)[6] += products(x[6], w);
    (*sums)[7] += products(x[7], w);
}

fn put_eight(sums: EightSums, row: u32, column: u32, rows: u32) {
    // Without a way out of the loop, so that compilers unroll it.
    for (var i = 0u; i < 8u; i++) {
        if row + i < rows {
            put(row + i, column, sums[i]);
        }
    }
}

// Rows and columns from `row` and `column` on, over `vectors` groups of four inner values.
fn multiply_tile(lane: Lane, row: u32, column: u32, vectors: u32, rows: u32, columns: u32) {
    let first = column + lane.index * 4u;
    // What is past the last column reads that one and is never put: all lanes stay, since some of them read for others.
    let c0 = w_start(min(first, columns - 1u));
    let c1 = w_start(min(first + 1u, columns - 1u));
    let c2 = w_start(min(first + 2u, columns - 1u));
    let c3 = w_start(min(first + 3u, columns - 1u));
    let r0 = eight_starts(lane, row, rows);
    let r1 = eight_starts(lane, row + 8u, rows);
    let r2 = eight_starts(lane, row + 16u, rows);
    let r3 = eight_starts(lane, row + 24u, rows);
    var s0: EightSums;
    var s1: EightSums;
    var s2: EightSums;
    var s3: EightSums;
    for (var k = 0u; k < vectors; k++) {
        let step = x_step(k);
        let w = array<vec4<f32>, 4>(
            weight4(w_load(c0, k)), weight4(w_load(c1, k)), weight4(w_load(c2, k)), weight4(w_load(c3, k)),
        );
        multiply_eight(&s0, r0, step, w);
        multiply_eight(&s1, r1, step, w);
        multiply_eight(&s2, r2, step, w);
        multiply_eight(&s3, r3, step, w);
    }
    put_eight(s0, row, first, rows);
    put_eight(s1, row + 8u, first, rows);
    put_eight(s2, row + 16u, first, rows);
    put_eight(s3, row + 24u, first, rows);
}
