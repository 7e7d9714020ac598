// Matrices of 16 x 16 that a subgroup multiplies at once. Twin of matrix_8.wgsl.
alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sums = coop_mat16x16<f32, C>;
// Slabs lie in workgroup memory by vectors.
alias Slab = vec4<f16>;
const SLAB_VALUES: u32 = 4u;

fn put_x(vector: u32, v: vec4<f16>) {
    x_slab[vector] = v;
}

fn put_w(vector: u32, v: vec4<f16>) {
    w_slab[vector] = v;
}
