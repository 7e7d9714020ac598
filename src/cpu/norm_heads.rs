use super::math::normalise;
use super::slices::elements;
use crate::kernels::norm_heads::Params;

/// Brings each head's values of q and of k to mean 0 and variance 1, times `weight`, plus `bias`, in place.
///
/// # Panics
/// Where a dimension is 0, `stride` less than q and k together, or a slice too short.
pub fn norm_heads(params: &Params, weight: &[f32], bias: &[f32], x: &mut [f32]) {
    let &Params { rows, heads, head_width, stride, eps } = params;
    let (both, stride) = (elements(&[2, heads, head_width]), stride as usize);
    let (channels, width) = (both / 2, head_width as usize);
    assert!(both <= stride, "stride {stride} is less than q and k, {both}");

    let mut head = vec![0.0; width];
    for row in 0..rows as usize {
        for (part, x) in x[row * stride..][..both].chunks_exact_mut(channels).enumerate() {
            let (weight, bias) = (&weight[part * width..][..width], &bias[part * width..][..width]);
            for x in x.chunks_exact_mut(width) {
                normalise(x, eps, &mut head);
                for (((x, normed), weight), bias) in x.iter_mut().zip(&head).zip(weight).zip(bias) {
                    *x = normed * weight + bias;
                }
            }
        }
    }
}
