use super::math::{normalise, turn};
use super::slices::{elements, part};
use super::threads::for_each_chunk;
use crate::kernels::norm_heads::Params;

/// Brings each head's values of each part to norm, times `weight`, plus `bias`, in place; what is absent is left out.
/// `turned` is `position` and `turn`.
///
/// # Panics
/// Where a dimension is 0, `stride` less than all parts together, or a slice too short.
pub fn norm_heads(
    params: &Params,
    weight: Option<&[f32]>,
    bias: Option<&[f32]>,
    turned: Option<(&[f32], &[f32])>,
    x: &mut [f32],
) {
    let &Params { rows, parts, heads, head_width, stride, eps, kind, .. } = params;
    let (all, stride) = (elements(&[parts, heads, head_width]), stride as usize);
    let (channels, width) = (elements(&[heads, head_width]), head_width as usize);
    let counted = params.counted() as usize;
    assert!(all <= stride, "stride {stride} is less than all parts, {all}");

    let [weight, bias] =
        [weight, bias].map(|of| of.map(|of| part("weight or bias", of, &[parts, head_width])));
    let turned = turned.map(|(position, turn)| {
        (part("position", position, &[rows, 2]), part("turn", turn, &[parts, heads, head_width]))
    });
    // The last row ends after its own values.
    let end = (rows as usize * stride).saturating_sub(stride - all);
    for_each_chunk(&mut x[..end], stride, |row, x| {
        let mut head = vec![0.0; counted];
        for (part, x) in x[..all].chunks_exact_mut(channels).enumerate() {
            for x in x.chunks_exact_mut(width) {
                let x = &mut x[..counted];
                normalise(kind, x, eps, &mut head);
                x.copy_from_slice(&head);
                if let Some(weight) = weight {
                    x.iter_mut().zip(&weight[part * width..]).for_each(|(x, weight)| *x *= weight);
                }
                if let Some(bias) = bias {
                    x.iter_mut().zip(&bias[part * width..]).for_each(|(x, bias)| *x += bias);
                }
            }
        }
        if let Some((position, turns)) = turned {
            turn(&mut x[..all], &position[2 * row..][..2], turns);
        }
    });
}
