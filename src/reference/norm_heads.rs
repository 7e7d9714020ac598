use super::rows::normalise;
use crate::kernels::norm_heads::Params;

/// Layer normalisation of each head's queries and keys in place, `q_norm` and `k_norm` of timm's `Attention`:
/// `x = (x - mean) / sqrt(variance + eps) * weight + bias`, where mean and variance are those of a head.
///
/// `x` is `[rows, 2, heads, head_width]`, a row every `stride` values; `weight` and `bias` are `[2, head_width]`.
pub fn norm_heads(params: &Params, weight: &[f32], bias: &[f32], x: &mut [f32]) {
    let &Params { rows, heads, head_width, stride, eps } = params;
    let [rows, heads, width, stride] = [rows, heads, head_width, stride].map(|v| v as usize);
    for row in 0..rows {
        for part in 0..2 {
            for head in 0..heads {
                let x = &mut x[row * stride + (part * heads + head) * width..][..width];
                let normal = normalise(x, eps);
                for i in 0..width {
                    let [weight, bias] = [weight, bias].map(|v| f64::from(v[part * width + i]));
                    x[i] = (normal[i] * weight + bias) as f32;
                }
            }
        }
    }
}
