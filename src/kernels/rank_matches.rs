//! Bipartite soft matching, second half: the r best edges, as a plan for merging (paper, section 3).

use super::declare::kernel;
use super::find_matches::split_elements;
use super::{elements, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::Form;
use crate::partition::Partition;

kernel! {
    "rank_matches" in "rank_matches": [Split];
    params {
        /// Images.
        pub batch: u32,
        /// Tokens an image.
        pub tokens: u32,
        /// Edges to take: tokens that disappear; at most the unprotected sources, and where tokens alternate at most half
        /// of the unprotected tokens.
        pub r: u32,
        /// Tokens at the front that never merge and that nothing merges into.
        pub protect: u32,
        /// Sources in `split`; where there is none they are half of the tokens, rounded up.
        pub srcs: u32,
        /// Elements from one image's list in `split` to the next: 0 where all share one.
        pub split_stride: u32,
    }
    read {
        /// `[batch, srcs]` of [`find_matches`](crate::kernels::find_matches()); not NaN.
        score: Word,
        /// `[batch, srcs]`, u32.
        best: Word,
    }
    read? {
        /// `[batch or 1, tokens]`, u32, as in [`find_matches`](crate::kernels::find_matches()).
        split: Word,
    }
    write {
        /// `[batch, srcs]`, u32, written: 0 is the most similar; the lower index first on equal scores.
        rank: Word,
        /// `[batch, plan_len]`, u32, written.
        plan: Word,
    }
}

/// In the plan's list of followers: the last token of its group.
pub const END: u32 = u32::MAX;

impl Params {
    /// Tokens that alternate.
    pub fn new(batch: u32, tokens: u32, r: u32, protect: u32) -> Self {
        Params { batch, tokens, r, protect, ..Params::default() }
    }

    /// Elements of an image's plan: three lists of tokens one after the other. `keep [tokens - r]`: for each output
    /// token the input token that stays in place. `next [tokens]`: for each input token the next of its group,
    /// [`END`] after the last. `group [tokens]`: for each input token the output token that holds it.
    pub fn plan_len(&self) -> u32 {
        3 * self.tokens - self.r
    }

    /// The same with as many sources as there are, and r held against them.
    pub(crate) fn with_split(self, listed: bool) -> Result<Self> {
        let Params { tokens, r, protect, .. } = self;
        let name = SPEC.name;
        require(name, tokens > 0 && protect <= tokens, || format!("{protect} of {tokens} tokens protected"))?;
        let srcs = if listed { self.srcs } else { tokens.div_ceil(2) };
        require(name, srcs > 0 && srcs <= tokens, || format!("{srcs} sources of {tokens} tokens"))?;
        let most = match listed {
            false => Partition::Alternating.most(tokens, protect),
            // Somebody must be there to merge into.
            true if srcs == tokens => 0,
            true => srcs.saturating_sub(protect),
        };
        require(name, r <= most, || {
            format!("r is {r}; {tokens} tokens, {protect} of them protected, allow {most}")
        })?;
        Ok(Params { srcs, ..self })
    }
}

/// The merge plan, prepared: the r best edges merge, and the output is ordered protected tokens, unmerged sources,
/// destinations. The unmerged stay in order of position, or, where nothing is protected, in falling order of
/// similarity, as in ToMe's code. With r = 0 nothing moves.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where `r` is more than may merge; buffer errors.
pub fn rank_matches(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let params = params.with_split(io.split.is_some())?;
    let Params { batch, tokens, r, srcs, split_stride, .. } = params;
    let name = SPEC.name;
    let edges = elements(name, "scores", &[batch, srcs])?;
    // Without the r that is taken off: three times the tokens must not wrap either.
    elements(name, "plan", &[batch.max(1), 3, tokens])?;
    gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: params.uniform(),
        views: &io.views(),
        elements: &[
            edges,
            edges,
            split_elements(name, batch, tokens, split_stride)?,
            edges,
            elements(name, "plan", &[batch, params.plan_len()])?,
        ],
        workgroups: batch.into(),
        shape: format!("[{batch}, {srcs}] best {r}"),
    })
}
