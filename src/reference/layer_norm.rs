use super::rows::normalise;
use crate::kernels::layer_norm::Params;

/// Layer normalisation, `torch.nn.LayerNorm`: `y = (x - mean) / sqrt(variance + eps) * weight + bias`, where mean and
/// variance are those of a row.
///
/// `x` and `y` are `[rows, channels]`, `weight` (1 where absent) and `bias` (0 where absent) `[channels]`.
pub fn layer_norm(params: &Params, x: &[f32], weight: Option<&[f32]>, bias: Option<&[f32]>, y: &mut [f32]) {
    let [rows, channels] = [params.rows, params.channels].map(|v| v as usize);
    for row in 0..rows {
        let normal = normalise(&x[row * channels..][..channels], params.eps);
        for i in 0..channels {
            let weight = weight.map_or(1.0, |weight| weight[i].into());
            let bias = bias.map_or(0.0, |bias| bias[i].into());
            y[row * channels + i] = (normal[i] * weight + bias) as f32;
        }
    }
}
