// Matrices of 8 x 8 that a subgroup multiplies at once. Twin of matrix_16.wgsl.
alias Left = coop_mat8x8<f16, A>;
alias Right = coop_mat8x8<f16, B>;
alias Sums = coop_mat8x8<f32, C>;
// Slabs lie in workgroup memory by single values: Metal loads its matrices from nothing else.
alias Slab = f16;
const SLAB_VALUES: u32 = 1u;

// Puts values 4 k to 4 k + 3 of a row that starts at an element of a slab.
fn put_x(row: u32, k: u32, v: vec4<f32>) {
    let at = row + k * 4u;
    x_slab[at] = f16(v.x);
    x_slab[at + 1u] = f16(v.y);
    x_slab[at + 2u] = f16(v.z);
    x_slab[at + 3u] = f16(v.w);
}

fn put_w(row: u32, k: u32, v: vec4<f32>) {
    let at = row + k * 4u;
    w_slab[at] = f16(v.x);
    w_slab[at + 1u] = f16(v.y);
    w_slab[at + 2u] = f16(v.z);
    w_slab[at + 3u] = f16(v.w);
}

// Sums on their way out of matrices.
alias Outs = f32;
const OUT_VALUES: u32 = 1u;

// Four sums from an element on.
fn out4(at: u32) -> vec4<f32> {
    return vec4<f32>(outs[at], outs[at + 1u], outs[at + 2u], outs[at + 3u]);
}
