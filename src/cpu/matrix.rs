//! The product of matrices: the one library call.

use gemm::{Parallelism, gemm};

use super::threads::threads;

/// A matrix in a slice.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows one after the other, each `row_stride` values after the one before.
    ///
    /// # Panics
    /// Where the slice ends before the last row does.
    pub fn new(data: &'a [f32], [rows, columns]: [usize; 2], row_stride: usize) -> Self {
        assert!(fits(data.len(), [rows, columns], row_stride), "{rows} x {columns} in {} values", data.len());
        Matrix { data, rows, columns, row_stride, column_stride: 1 }
    }

    /// Rows as columns.
    pub fn transposed(self) -> Self {
        Matrix {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

fn fits(values: usize, [rows, columns]: [usize; 2], row_stride: usize) -> bool {
    let end = |last: usize| last.checked_mul(row_stride)?.checked_add(columns);
    rows == 0 || end(rows - 1).is_some_and(|end| end <= values)
}

/// y = scale * a b, the rows of y `y_stride` values apart.
///
/// # Panics
/// Where the shapes do not fit together, rows of y overlap, or y is too short.
pub fn multiply(a: Matrix<'_>, b: Matrix<'_>, scale: f32, y: &mut [f32], y_stride: usize) {
    let (m, n, k) = (a.rows, b.columns, a.columns);
    assert_eq!(b.rows, k, "inner dimensions");
    assert!(y_stride >= n && fits(y.len(), [m, n], y_stride), "{m} x {n} in {} values", y.len());
    let parallelism = if threads() > 1 { Parallelism::Rayon(0) } else { Parallelism::None };
    let [y_stride, a_row, a_column, b_row, b_column] =
        [y_stride, a.row_stride, a.column_stride, b.row_stride, b.column_stride]
            .map(|stride| stride as isize);
    // SAFETY: every element of a, b and y that the dimensions and strides reach lies in its slice (`fits`, checked
    // here for y and in `Matrix::new` for the others), rows of y do not overlap, and y is borrowed alone. Strides
    // fit in isize, as the slices they lie in do, or are not used, with a single row.
    unsafe {
        gemm(
            m,
            n,
            k,
            y.as_mut_ptr(),
            1,
            y_stride,
            false,
            a.data.as_ptr(),
            a_column,
            a_row,
            b.data.as_ptr(),
            b_column,
            b_row,
            0.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}
