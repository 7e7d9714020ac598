use super::math::normalise;
use super::slices::{part, part_mut};
use super::threads::for_each_chunk;
use crate::kernels::layer_norm::Params;

/// `y = (x - mean) / sqrt(variance + eps) * weight + bias + residual`, mean and variance over each row, the mean 0 where
/// `kind` says so; an absent part is left out.
///
/// # Panics
/// Where `channels` is 0, a residual has no rows, or a slice too short.
pub fn layer_norm(
    params: &Params,
    x: &[f32],
    weight: Option<&[f32]>,
    bias: Option<&[f32]>,
    residual: Option<&[f32]>,
    y: &mut [f32],
) {
    let &Params { rows, channels, eps, kind, residual_rows } = params;
    let x = part("x", x, &[rows, channels]);
    let weight = weight.map(|weight| part("weight", weight, &[channels]));
    let bias = bias.map(|bias| part("bias", bias, &[channels]));
    let residual = residual.map(|residual| part("residual", residual, &[residual_rows.min(rows), channels]));
    let y = part_mut("y", y, &[rows, channels]);
    let channels = channels as usize;

    for_each_chunk(y, channels, |row, y| {
        normalise(kind, &x[row * channels..][..channels], eps, y);
        if let Some(weight) = weight {
            y.iter_mut().zip(weight).for_each(|(y, weight)| *y *= weight);
        }
        if let Some(bias) = bias {
            y.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
        }
        if let Some(residual) = residual {
            let residual = &residual[row % residual_rows as usize * channels..];
            y.iter_mut().zip(residual).for_each(|(y, residual)| *y += residual);
        }
    });
}
