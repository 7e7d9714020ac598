use super::slices::{part, part_mut};
use crate::kernels::unmerge::Params;

/// Every original token gets a copy of the token that holds it.
///
/// # Panics
/// Where a dimension is 0, `source` names a token that is not there, or a slice is too short.
pub fn unmerge(params: &Params, x: &[f32], source: &[u32], y: &mut [f32]) {
    let &Params { batch, tokens, sources, channels } = params;
    let x = part("x", x, &[batch, tokens, channels]);
    let source = part("source", source, &[batch, sources]);
    let y = part_mut("y", y, &[batch, sources, channels]);
    let [tokens, sources, channels] = [tokens, sources, channels].map(|v| v as usize);

    for (row, (y, &holder)) in y.chunks_exact_mut(channels).zip(source).enumerate() {
        assert!((holder as usize) < tokens, "source names token {holder} of {tokens}");
        let from = row / sources * tokens + holder as usize;
        y.copy_from_slice(&x[from * channels..][..channels]);
    }
}
