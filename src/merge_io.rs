//! The buffers that a merge works on.

use crate::merger::TokenMerger;
use crate::view::View;

/// Buffers of one merge.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct MergeIo<'a> {
    /// `[batch, tokens, heads, head_width]`, strided: attention keys, or any metric with one head, also x itself.
    pub keys: View<'a>,
    /// `[batch, tokens, channels]`
    pub x: View<'a>,
    /// `[batch, tokens]`: how many original tokens each stands for; absent before the first merge, where that is one.
    pub size: Option<View<'a>>,
    /// `[batch, sources]`, u32: for each original token the token that holds it; absent before the first merge, where
    /// that is itself.
    pub source: Option<View<'a>>,
    /// `[batch, tokens_out, channels]`, written.
    pub x_out: View<'a>,
    /// `[batch, tokens_out]`, written; where it is absent the merger has a buffer of its own.
    pub size_out: Option<View<'a>>,
    /// `[batch, sources]`, u32, written; where it is absent the merger has a buffer of its own.
    pub source_out: Option<View<'a>>,
    /// `[batch, tokens_out, channels]`, written where there is one: `x_out` brought to mean 0 and variance 1 over the
    /// channels, as the linear layer behind a LayerNorm wants it.
    pub normed: Option<View<'a>>,
    /// `[batch, tokens, 2]`: where each token lies, of models where that counts: with rotary positions or a relative position
    /// bias. It comes with `position_out`.
    pub position: Option<View<'a>>,
    /// `[batch, tokens_out, 2]`, written where there is `position`: where each token lies that is left, by
    /// [`MergeShape::positions`](crate::MergeShape::positions).
    pub position_out: Option<View<'a>>,
}

impl<'a> MergeIo<'a> {
    /// The first merge of a network: every token stands for itself.
    pub fn new(keys: impl Into<View<'a>>, x: impl Into<View<'a>>, x_out: impl Into<View<'a>>) -> Self {
        let (keys, x, x_out) = (keys.into(), x.into(), x_out.into());
        MergeIo {
            keys,
            x,
            size: None,
            source: None,
            x_out,
            size_out: None,
            source_out: None,
            normed: None,
            position: None,
            position_out: None,
        }
    }

    /// The same with sizes.
    #[must_use]
    pub fn size(self, view: impl Into<View<'a>>) -> Self {
        MergeIo { size: Some(view.into()), ..self }
    }

    /// The same with a source map.
    #[must_use]
    pub fn source(self, view: impl Into<View<'a>>) -> Self {
        MergeIo { source: Some(view.into()), ..self }
    }

    /// The same with sizes written to a buffer of the caller's.
    #[must_use]
    pub fn size_out(self, view: impl Into<View<'a>>) -> Self {
        MergeIo { size_out: Some(view.into()), ..self }
    }

    /// The same with the source map written to a buffer of the caller's.
    #[must_use]
    pub fn source_out(self, view: impl Into<View<'a>>) -> Self {
        MergeIo { source_out: Some(view.into()), ..self }
    }

    /// The same with normalised tokens written too.
    #[must_use]
    pub fn normed(self, view: impl Into<View<'a>>) -> Self {
        MergeIo { normed: Some(view.into()), ..self }
    }

    /// The same with positions before and after.
    #[must_use]
    pub fn positions(self, before: impl Into<View<'a>>, after: impl Into<View<'a>>) -> Self {
        MergeIo { position: Some(before.into()), position_out: Some(after.into()), ..self }
    }

    /// The sizes and the source map that another merge has left.
    #[must_use]
    pub fn after(self, merger: &'a TokenMerger) -> Self {
        MergeIo { size: Some(merger.size()), source: Some(merger.source()), ..self }
    }
}
