use super::slices::{part, part_mut};
use crate::kernels::unmerge::Params;

/// Every original token from `first_source` on gets a copy of the token that holds it, and its residual.
///
/// # Panics
/// Where a dimension is 0, `first_source` is past the end, `source` names a token that is not there, or a slice is too short.
pub fn unmerge(params: &Params, x: &[f32], source: &[u32], residual: Option<&[f32]>, y: &mut [f32]) {
    let &Params { batch, tokens, sources, first_source, channels, .. } = params;
    let x = part("x", x, &[batch, tokens, channels]);
    let source = part("source", source, &[batch, sources]);
    let residual =
        residual.map(|residual| part("residual", residual, &[batch, sources - first_source, channels]));
    let y = part_mut("y", y, &[batch, sources - first_source, channels]);
    let [tokens, sources, first_source, channels] =
        [tokens, sources, first_source, channels].map(|v| v as usize);

    let images = x.chunks_exact(tokens * channels).zip(source.chunks_exact(sources));
    for ((x, source), y) in images.zip(y.chunks_exact_mut((sources - first_source) * channels)) {
        for (y, &holder) in y.chunks_exact_mut(channels).zip(&source[first_source..]) {
            assert!((holder as usize) < tokens, "source names token {holder} of {tokens}");
            y.copy_from_slice(&x[holder as usize * channels..][..channels]);
        }
    }
    if let Some(residual) = residual {
        y.iter_mut().zip(residual).for_each(|(y, v)| *y += v);
    }
}
