//! The product of matrices, one of which is packed once and multiplied many times: weights, and an image's keys and
//! values. Every sum runs over the inner values in their order, whatever rows and columns stand beside it.

use pulp::{Arch, Simd, WithSimd};

/// Columns of a panel. A tile of a product is as wide as two vector registers, so that this is one, two or more of them.
const PANEL: usize = if WASM { 8 } else { 32 };
/// The most rows of a tile.
const ROWS: usize = if WASM { 4 } else { 12 };
/// Browsers are given 128 bits to a register, which they keep in 15 of the machine's; pulp takes them for 32. More than
/// eight sums at a time are spilled to memory in every turn, which takes twice as long.
const WASM: bool = cfg!(target_family = "wasm");

/// The right matrix of a product, `[inner, columns]`: panel by panel `PANEL` columns, of each inner value side by side.
/// The last panel is filled up with zeroes.
#[derive(Clone, Copy)]
pub struct Packed<'a> {
    panels: &'a [f32],
    inner: usize,
    columns: usize,
}

/// Values that a packed matrix takes.
fn packed_len(inner: usize, columns: usize) -> usize {
    columns.next_multiple_of(PANEL) * inner
}

/// Packs a matrix whose columns lie as rows in `data`, `stride` values apart: weights as PyTorch has them, keys.
///
/// # Panics
/// Where `data` is too short.
pub fn pack_rows(data: &[f32], [columns, inner]: [usize; 2], stride: usize) -> Vec<f32> {
    let mut panels = vec![0.0; packed_len(inner, columns)];
    for (first, panel) in panels.chunks_exact_mut((PANEL * inner).max(1)).enumerate() {
        let first = first * PANEL;
        for column in 0..PANEL.min(columns - first) {
            let row = &data[(first + column) * stride..][..inner];
            panel.iter_mut().skip(column).step_by(PANEL).zip(row).for_each(|(to, &value)| *to = value);
        }
    }
    panels
}

/// Packs a matrix whose rows lie `stride` values apart in `data`: an image's values.
///
/// # Panics
/// Where `data` is too short.
pub fn pack_columns(data: &[f32], [inner, columns]: [usize; 2], stride: usize) -> Vec<f32> {
    let mut panels = vec![0.0; packed_len(inner, columns)];
    for (first, panel) in panels.chunks_exact_mut((PANEL * inner).max(1)).enumerate() {
        let first = first * PANEL;
        let width = PANEL.min(columns - first);
        for (k, to) in panel.chunks_exact_mut(PANEL).enumerate() {
            to[..width].copy_from_slice(&data[k * stride + first..][..width]);
        }
    }
    panels
}

impl<'a> Packed<'a> {
    /// What [`pack_rows`] or [`pack_columns`] has packed.
    ///
    /// # Panics
    /// Where it has another length.
    pub fn new(panels: &'a [f32], [inner, columns]: [usize; 2]) -> Self {
        assert_eq!(panels.len(), packed_len(inner, columns), "a packed matrix of [{inner}, {columns}]");
        Packed { panels, inner, columns }
    }
}

/// y = x w on the caller's thread; rows of x and of y lie so many values apart.
///
/// # Panics
/// Where x or y is too short for their rows, or rows of y overlap.
pub fn multiply(
    rows: usize,
    (x, x_stride): (&[f32], usize),
    w: Packed<'_>,
    (y, y_stride): (&mut [f32], usize),
) {
    if rows == 0 || w.columns == 0 {
        return;
    }
    let end = |stride: usize, width: usize| (rows - 1).checked_mul(stride)?.checked_add(width);
    assert!(end(x_stride, w.inner).is_some_and(|end| end <= x.len()), "x is too short for {rows} rows");
    assert!(end(y_stride, w.columns).is_some_and(|end| end <= y.len()), "y is too short for {rows} rows");
    assert!(rows == 1 || w.columns <= y_stride, "rows of y overlap");
    Arch::new().dispatch(Product { rows, x, x_stride, w, y, y_stride });
}

struct Product<'a> {
    rows: usize,
    x: &'a [f32],
    x_stride: usize,
    w: Packed<'a>,
    y: &'a mut [f32],
    y_stride: usize,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Product { rows, x, x_stride, w: Packed { panels, inner, columns }, y, y_stride } = self;
        // Two registers a row for sums, two for the panel, one for x.
        let most = if WASM || S::REGISTER_COUNT >= 32 { ROWS } else { ROWS / 2 };
        // Tiles of about the same height: a low one at the end would take as long as a high one.
        let tiles = rows.div_ceil(most);
        for first_column in (0..columns).step_by(PANEL) {
            let panel = &panels[first_column * inner..][..PANEL * inner];
            let width = PANEL.min(columns - first_column);
            for tile in 0..tiles {
                let first = rows * tile / tiles;
                let height = rows * (tile + 1) / tiles - first;
                // Says which of the functions below are never called.
                assert!(height <= most);
                let x = &x[first * x_stride..];
                let mut sums = [[0.0; PANEL]; ROWS];
                match height {
                    1 => multiply_tile::<S, 1>(simd, (x, x_stride), panel, &mut sums),
                    2 => multiply_tile::<S, 2>(simd, (x, x_stride), panel, &mut sums),
                    3 => multiply_tile::<S, 3>(simd, (x, x_stride), panel, &mut sums),
                    4 => multiply_tile::<S, 4>(simd, (x, x_stride), panel, &mut sums),
                    5 => multiply_tile::<S, 5>(simd, (x, x_stride), panel, &mut sums),
                    6 => multiply_tile::<S, 6>(simd, (x, x_stride), panel, &mut sums),
                    7 => multiply_tile::<S, 7>(simd, (x, x_stride), panel, &mut sums),
                    8 => multiply_tile::<S, 8>(simd, (x, x_stride), panel, &mut sums),
                    9 => multiply_tile::<S, 9>(simd, (x, x_stride), panel, &mut sums),
                    10 => multiply_tile::<S, 10>(simd, (x, x_stride), panel, &mut sums),
                    11 => multiply_tile::<S, 11>(simd, (x, x_stride), panel, &mut sums),
                    _ => multiply_tile::<S, 12>(simd, (x, x_stride), panel, &mut sums),
                }
                for (row, sums) in (first..).zip(&sums[..height]) {
                    y[row * y_stride + first_column..][..width].copy_from_slice(&sums[..width]);
                }
            }
        }
    }
}

/// The product of `HEIGHT` rows of x and a panel.
#[inline(always)]
fn multiply_tile<S: Simd, const HEIGHT: usize>(
    simd: S,
    (x, x_stride): (&[f32], usize),
    panel: &[f32],
    y: &mut [[f32; PANEL]; ROWS],
) {
    let inner = panel.len() / PANEL;
    assert!(HEIGHT <= ROWS);
    let x: [&[f32]; HEIGHT] = std::array::from_fn(|row| &x[row * x_stride..][..inner]);
    let vectors: &[S::f32s] = bytemuck::cast_slice(panel);
    let across = PANEL / S::F32_LANES;
    // Where a register is as wide as the panel there is one to a row.
    let pair = usize::from(across > 1);
    for first in (0..across).step_by(1 + pair) {
        let mut low = [simd.splat_f32s(0.0); HEIGHT];
        let mut high = low;
        for (k, panel) in vectors.chunks_exact(across).enumerate() {
            let (left, right) = (panel[first], panel[first + pair]);
            for row in 0..HEIGHT {
                // SAFETY: k is below `inner`, the number of the panel's chunks and of the row's values.
                let x = simd.splat_f32s(unsafe { *x[row].get_unchecked(k) });
                low[row] = simd.mul_add_e_f32s(x, left, low[row]);
                high[row] = simd.mul_add_e_f32s(x, right, high[row]);
            }
        }
        for row in 0..HEIGHT {
            let to: &mut [S::f32s] = bytemuck::cast_slice_mut(&mut y[row]);
            to[first] = low[row];
            to[first + pair] = high[row];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole numbers, so that sums are exact in any order.
    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7 + seed * 13) % 11) as f32 - 5.0).collect()
    }

    #[test]
    fn every_height_width_and_depth_is_the_sum_of_products() {
        for rows in (1..=26).chain([197]) {
            for (inner, columns) in [(1, 1), (3, 31), (4, 32), (5, 33), (17, 64), (64, 100)] {
                let (x_stride, w_stride, y_stride) = (inner + 3, inner + 2, columns + 1);
                let x = numbers(rows * x_stride, 1);
                let w = numbers(columns * w_stride, 2);
                let turned: Vec<f32> =
                    (0..inner * columns).map(|i| w[i % columns * w_stride + i / columns]).collect();
                let by_rows = pack_rows(&w, [columns, inner], w_stride);
                assert_eq!(by_rows, pack_columns(&turned, [inner, columns], columns));

                // What lies between rows stays.
                let mut y = vec![0.5; rows * y_stride];
                multiply(rows, (&x, x_stride), Packed::new(&by_rows, [inner, columns]), (&mut y, y_stride));
                for (row, y) in y.chunks_exact(y_stride).enumerate() {
                    for (column, &y) in y.iter().enumerate() {
                        let product = |k| x[row * x_stride + k] * w[column * w_stride + k];
                        let want = if column < columns { (0..inner).map(product).sum() } else { 0.5 };
                        assert_eq!(y, want, "row {row}, column {column} of {rows} x {inner} x {columns}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_nan_stays_in_its_row() {
        let (rows, inner, columns) = (25, 9, 40);
        let mut x = numbers(rows * inner, 1);
        x[13 * inner + 8] = f32::NAN;
        let w = pack_rows(&numbers(columns * inner, 2), [columns, inner], inner);
        let mut y = vec![0.0; rows * columns];
        multiply(rows, (&x, inner), Packed::new(&w, [inner, columns]), (&mut y, columns));
        for (i, y) in y.iter().enumerate() {
            assert_eq!(y.is_nan(), i / columns == 13, "{y} at {i}");
        }
    }
}
