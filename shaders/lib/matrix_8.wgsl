// Matrices of 8 x 8 that a subgroup multiplies at once. Twin of matrix_16.wgsl.
alias Left = coop_mat8x8<f16, A>;
alias Right = coop_mat8x8<f16, B>;
alias Sums = coop_mat8x8<f32, C>;
// Slabs lie in workgroup memory by single values: Metal loads its matrices from nothing else.
alias Slab = f16;
const SLAB_VALUES: u32 = 1u;

fn put_x(vector: u32, v: vec4<f16>) {
    let at = vector * 4u;
    x_slab[at] = v.x;
    x_slab[at + 1u] = v.y;
    x_slab[at + 2u] = v.z;
    x_slab[at + 3u] = v.w;
}

fn put_w(vector: u32, v: vec4<f16>) {
    let at = vector * 4u;
    w_slab[at] = v.x;
    w_slab[at + 1u] = v.y;
    w_slab[at + 2u] = v.z;
    w_slab[at + 3u] = v.w;
}
