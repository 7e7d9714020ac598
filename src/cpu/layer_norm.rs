use super::math::normalise;
use super::slices::{part, part_mut};
use super::threads::for_each_chunk;
use crate::kernels::layer_norm::Params;

/// `y = (x - mean) / sqrt(variance + eps) * weight + bias`, mean and variance over each row; an absent part is left out.
///
/// # Panics
/// Where `channels` is 0 or a slice too short.
pub fn layer_norm(params: &Params, x: &[f32], weight: Option<&[f32]>, bias: Option<&[f32]>, y: &mut [f32]) {
    let &Params { rows, channels, eps, .. } = params;
    let x = part("x", x, &[rows, channels]);
    let weight = weight.map(|weight| part("weight", weight, &[channels]));
    let bias = bias.map(|bias| part("bias", bias, &[channels]));
    let y = part_mut("y", y, &[rows, channels]);
    let channels = channels as usize;

    for_each_chunk(y, channels, |row, y| {
        normalise(&x[row * channels..][..channels], eps, y);
        if let Some(weight) = weight {
            y.iter_mut().zip(weight).for_each(|(y, weight)| *y *= weight);
        }
        if let Some(bias) = bias {
            y.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
        }
    });
}
