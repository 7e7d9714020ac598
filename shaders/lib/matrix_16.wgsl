// Matrices of 16 x 16 that a subgroup multiplies at once. Twin of matrix_8.wgsl.
alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sums = coop_mat16x16<f32, C>;
// Slabs lie in workgroup memory by vectors.
alias Slab = vec4<f16>;
const SLAB_VALUES: u32 = 4u;

// Puts values 4 k to 4 k + 3 of a row that starts at an element of a slab.
fn put_x(row: u32, k: u32, v: vec4<f32>) {
    x_slab[row + k] = vec4<f16>(v);
}

fn put_w(row: u32, k: u32, v: vec4<f32>) {
    w_slab[row + k] = vec4<f16>(v);
}

// Sums on their way out of matrices lie by four.
alias Outs = vec4<f32>;
const OUT_VALUES: u32 = 4u;

// Four sums from an element on.
fn out4(at: u32) -> vec4<f32> {
    return outs[at];
}
