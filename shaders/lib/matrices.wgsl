// Matrices in workgroup memory, whichever their size: matrix_8.wgsl and matrix_16.wgsl say of what slabs are made. From an
// element of a slab on, rows so many elements apart.
fn left_of_x(at: u32, row: u32) -> Left {
    return coopLoadT<Left>(&x_slab[at], row);
}

fn right_of_x(at: u32, row: u32) -> Right {
    return coopLoad<Right>(&x_slab[at], row);
}

fn right_of_w(at: u32, row: u32) -> Right {
    return coopLoad<Right>(&w_slab[at], row);
}

fn put_sums(sums: Sums, at: u32, row: u32) {
    coopStoreT(sums, &outs[at], row);
}
