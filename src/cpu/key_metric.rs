use super::math::{mean_of_rows, squares};
use super::slices::{elements, part, part_mut};
use super::threads::{for_each_chunk, threads};
use crate::kernels::key_metric::{Length, Params};

/// The mean of each token's keys over the heads, brought to unit length if that is asked for. A mean of length zero
/// (below about 1e-19) or above 1e18, or with a component that is not finite, becomes the zero vector, and so does that of
/// a token of size 0.
///
/// # Panics
/// Where a dimension is 0, `stride` less than a token, or a slice too short.
pub fn key_metric(params: &Params, keys: &[f32], size: Option<&[f32]>, metric: &mut [f32]) {
    let &Params { rows, heads, head_width, stride, start, length } = params;
    let size = size.map(|size| part("size", size, &[rows]));
    let metric = part_mut("metric", metric, &[rows, head_width]);
    let channels = elements(&[heads, head_width]);
    assert!(channels <= stride as usize, "stride {stride} is less than a token, {channels}");

    let [width, near] = [head_width as usize, (rows as usize).div_ceil(threads()).max(1)];
    let each = |row: usize, metric: &mut [f32], sums: &mut [f64]| {
        let keys = &keys[start as usize + row * stride as usize..][..channels];
        mean_of_rows(keys, sums, metric);
        let squares = squares(metric);
        // As an f32, since that is what the kernel sums; NaN is not among them.
        let directed = (f32::MIN_POSITIVE..=1e36).contains(&(squares as f32));
        let directed = directed && size.is_none_or(|size| size[row] > 0.0);
        let length = if length == Length::Own { 1.0 } else { squares.sqrt() };
        metric.iter_mut().for_each(|v| *v = if directed { (f64::from(*v) / length) as f32 } else { 0.0 });
    };
    for_each_chunk(metric, near * width, |chunk, metric| {
        let mut sums = vec![0.0; width];
        let rows = (chunk * near..).zip(metric.chunks_exact_mut(width));
        rows.for_each(|(row, metric)| each(row, metric, &mut sums));
    });
}
