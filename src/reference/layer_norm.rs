use super::rows::normalise;
use crate::kernels::layer_norm::Params;

/// Normalisation, `torch.nn.LayerNorm` and `torch.nn.RMSNorm`: `y = (x - mean) / sqrt(variance + eps) * weight + bias +
/// residual`, where mean and variance are those of a row; an RMSNorm takes the mean for 0.
///
/// `x` and `y` are `[rows, channels]`, `weight` (1 where absent) and `bias` (0 where absent) `[channels]`, `residual` (0
/// where absent) `[residual_rows, channels]`, which repeats.
pub fn layer_norm(
    params: &Params,
    x: &[f32],
    weight: Option<&[f32]>,
    bias: Option<&[f32]>,
    residual: Option<&[f32]>,
    y: &mut [f32],
) {
    let [rows, channels] = [params.rows, params.channels].map(|v| v as usize);
    for row in 0..rows {
        let normal = normalise(params.kind, &x[row * channels..][..channels], params.eps);
        for i in 0..channels {
            let weight = weight.map_or(1.0, |weight| weight[i].into());
            let bias = bias.map_or(0.0, |bias| bias[i].into());
            let row_added = row % params.residual_rows.max(1) as usize;
            let added = residual.map_or(0.0, |residual| residual[row_added * channels + i].into());
            y[row * channels + i] = (normal[i] * weight + bias + added) as f32;
        }
    }
}
