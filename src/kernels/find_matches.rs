//! Bipartite soft matching, first half: each source's most similar destination (paper, section 3 and appendix D).

use super::declare::{choice, kernel};
use super::{elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::{BESTS, Form};

kernel! {
    "find_matches" in "find_matches/find_matches" with "find_matches/entry" "find_matches/entry_subgroup": [Search Split];
    params {
        /// Images.
        pub batch: u32,
        /// Tokens an image.
        pub tokens: u32,
        /// Values of a metric; a multiple of 4.
        pub width: u32,
        /// Tokens at the front that never merge and that nothing merges into.
        pub protect: u32,
        /// The measure by which two tokens are alike.
        pub similarity: Similarity,
        /// Sources in `split`; where there is none they are half of the tokens, rounded up.
        pub srcs: u32,
        /// Elements from one image's list in `split` to the next: 0 where all share one.
        pub split_stride: u32,
        /// Sources at the front of `split` that never merge; those that are protected are held in any case.
        pub held: u32,
        /// How much the sizes of two tokens count against their match: with p and the sizes' harmonic mean h, a
        /// similarity s becomes `(s - top) h^p + top`, where top is 1 for cosines and 0 for distances, so that large
        /// tokens must be more alike to merge. 0: not at all; 1 with distances: the loss that Ward's clustering goes by
        /// (Ward, "Hierarchical Grouping to Optimize an Objective Function", 1963). From 0 to [`MOST_BY_SIZE`]; not for
        /// dot products.
        pub by_size: f32,
    }
    read {
        /// `[batch, tokens, width]` of [`key_metric`](crate::kernels::key_metric()).
        metric: Word,
    }
    read? {
        /// `[batch or 1, tokens]`, u32, of [`split_tokens`](crate::kernels::split_tokens()): first the sources, then the
        /// destinations, protected and held tokens being the first sources. Absent where tokens alternate: source i is
        /// token 2 i and destination i token 2 i + 1.
        split: Word,
        /// `[batch, tokens]`: how many original tokens each stands for; absent where it is one.
        size: Word,
    }
    write {
        /// `[batch, srcs]`, written: the similarity to the best destination, [`UNDIRECTED`] where one of the two is the
        /// zero vector, [`PROTECTED`] for protected and held tokens.
        score: Word,
        /// `[batch, srcs]`, u32, written: which destination it is, counted from 0; on equal scores the lowest.
        best: Word,
    }
}

choice! {
    /// The measure by which two metrics are alike (paper, Table 1).
    pub enum Similarity {
        /// The cosine of the angle between them; wants metrics of unit length.
        Cosine,
        /// Their dot product.
        Dot,
        /// Their negative Euclidean distance. Scores are minus its square, which ranks alike and needs no root.
        Euclidean,
    }
}

/// The score of an edge with a token that has no direction: below every similarity of metrics as
/// [`key_metric`](crate::kernels::key_metric()) leaves them, which lie within 4e36.
pub const UNDIRECTED: f32 = -1e38;
/// The largest `by_size`.
pub const MOST_BY_SIZE: f32 = 2.0;
/// The lowest score of two tokens that have a direction, however large and far apart they are.
pub(crate) const FARTHEST: f32 = -5e37;
/// The score of an edge with a protected token: below everything.
pub const PROTECTED: f32 = -2e38;

impl Params {
    /// Tokens that alternate, matched by cosine.
    pub fn new(batch: u32, tokens: u32, width: u32, protect: u32) -> Self {
        Params { batch, tokens, width, protect, ..Params::default() }
    }

    /// The same with as many sources as there are, and as many of them held as must be.
    pub(crate) fn with_split(self, listed: bool) -> Self {
        let Params { tokens, protect, .. } = self;
        match listed {
            true => Params { held: self.held.max(protect), ..self },
            // The protected ones among the even.
            false => Params { srcs: tokens.div_ceil(2), held: protect.div_ceil(2), ..self },
        }
    }
}

/// The best edge of each source, prepared.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where `width` is no multiple of 4, `tokens` is 0, there are no sources or more
/// than tokens, or `by_size` is out of range or for dot products; buffer errors.
pub fn find_matches(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let params = params.with_split(io.split.is_some());
    let Params { batch, tokens, width, srcs, split_stride, by_size, similarity, .. } = params;
    let name = SPEC.name;
    multiple_of_four(name, "width", width)?;
    require(name, tokens > 0, || "tokens is 0".into())?;
    require(name, srcs > 0 && srcs <= tokens, || format!("{srcs} sources of {tokens} tokens"))?;
    require(name, (0.0..=MOST_BY_SIZE).contains(&by_size), || {
        format!("by_size is {by_size}; it lies between 0 and {MOST_BY_SIZE}")
    })?;
    require(name, by_size == 0.0 || similarity != Similarity::Dot, || {
        "by_size is for cosines and distances; a dot product has no largest value".into()
    })?;
    let edges = elements(name, "scores", &[batch, srcs])?;
    let call = gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: params.uniform(),
        views: &io.views(),
        elements: &[
            elements(name, "metric", &[batch, tokens, width])?,
            split_elements(name, batch, tokens, split_stride)?,
            elements(name, "size", &[batch, tokens])?,
            edges,
            edges,
        ],
        workgroups: u64::from(batch) * u64::from(srcs.div_ceil(BESTS)),
        shape: format!("[{batch}, {tokens}, {width}] -> [{batch}, {srcs}]"),
    })?;
    Ok(call.of_flops(2 * edges * u64::from(tokens - srcs) * u64::from(width)))
}

/// The end of the last image's list in `split`.
pub(crate) fn split_elements(name: &'static str, batch: u32, tokens: u32, stride: u32) -> Result<u64> {
    Ok(elements(name, "split", &[batch.saturating_sub(1), stride])? + u64::from(tokens))
}
