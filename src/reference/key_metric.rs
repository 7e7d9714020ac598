use super::rows::size_of;
use crate::kernels::key_metric::{Length, Params};

/// The metric that tokens are matched by: `metric = mean of the keys over the heads`, brought to length 1 where
/// cosines are wanted (paper, section 3, "Token Similarity"; Table 1's features and heads).
///
/// The zero vector, which merges last and attracts nobody, for a mean without a direction in f32 (shorter than about
/// 1e-19, longer than 1e18, or with a component that is not finite) and for a token of size 0.
///
/// `keys` is `[rows, heads, head_width]`, a row every `stride` values from `start` on; `size` is `[rows]`, `metric`
/// `[rows, head_width]`.
pub fn key_metric(params: &Params, keys: &[f32], size: Option<&[f32]>, metric: &mut [f32]) {
    let &Params { rows, heads, head_width, stride, start, length } = params;
    let [rows, heads, width, stride] = [rows, heads, head_width, stride].map(|v| v as usize);
    let keys = &keys[start as usize..];
    for row in 0..rows {
        let keys = &keys[row * stride..][..heads * width];
        let key = |head: usize, i: usize| f64::from(keys[head * width + i]);
        let mean: Vec<f64> =
            (0..width).map(|i| (0..heads).map(|head| key(head, i)).sum::<f64>() / heads as f64).collect();
        let squares: f64 = mean.iter().map(|v| v * v).sum();
        // NaN is not among them.
        let directed = (f32::MIN_POSITIVE..=1e36).contains(&(squares as f32));
        let length = if length == Length::Own { 1.0 } else { squares.sqrt() };
        for i in 0..width {
            let counts = directed && size_of(size, row) > 0.0;
            metric[row * width + i] = if counts { (mean[i] / length) as f32 } else { 0.0 };
        }
    }
}
