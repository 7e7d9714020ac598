use super::rows::{angle, normalise};
use crate::kernels::norm_heads::Params;

/// Normalisation in place, of each head's queries and keys as `q_norm` and `k_norm` of timm's `Attention`, or of whole rows:
/// `x = (x - mean) / sqrt(variance + eps) * weight + bias`, where mean and variance are those of a head; an RMSNorm takes
/// the mean for 0.
///
/// Of each head only the first [`filled`](Params::filled) values are read and written where that is not 0.
///
/// At last pairs of neighbours are turned, as by [`matmul`](super::matmul()): `turned` is `position`, `[rows, 2]`, and
/// `turn`, `[parts, heads, head_width / 2, 2]`.
///
/// `x` is `[rows, parts, heads, head_width]`, a row every `stride` values, `weight` (1 where absent) and `bias` (0 where
/// absent) `[parts, head_width]`.
pub fn norm_heads(
    params: &Params,
    weight: Option<&[f32]>,
    bias: Option<&[f32]>,
    turned: Option<(&[f32], &[f32])>,
    x: &mut [f32],
) {
    let &Params { rows, parts, heads, head_width, stride, eps, kind, .. } = params;
    let [rows, parts, heads, width, stride] = [rows, parts, heads, head_width, stride].map(|v| v as usize);
    let counted = params.counted() as usize;
    for row in 0..rows {
        for part in 0..parts {
            for head in 0..heads {
                let x = &mut x[row * stride + (part * heads + head) * width..][..counted];
                let normal = normalise(kind, x, eps);
                for i in 0..counted {
                    let weight = weight.map_or(1.0, |weight| f64::from(weight[part * width + i]));
                    let bias = bias.map_or(0.0, |bias| f64::from(bias[part * width + i]));
                    x[i] = (normal[i] * weight + bias) as f32;
                }
                let Some((position, turn)) = turned else { continue };
                for (pair, values) in x.chunks_exact_mut(2).enumerate() {
                    let at = (part * heads + head) * width / 2 + pair;
                    let [sin, cos] = angle(&position[2 * row..], &turn[2 * at..]);
                    let [first, second] = [0, 1].map(|i| f64::from(values[i]));
                    values[0] = (first * cos - second * sin) as f32;
                    values[1] = (second * cos + first * sin) as f32;
                }
            }
        }
    }
}
