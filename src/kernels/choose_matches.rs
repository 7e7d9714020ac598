//! Bipartite soft matching by a threshold, second half: the edges above it, as a plan in which every image has as many
//! places.

use super::declare::kernel;
use super::{elements, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::Form;
use crate::partition::Partition;

kernel! {
    "choose_matches" in "choose_matches": [];
    params {
        /// Images.
        pub batch: u32,
        /// Tokens an image, with padding.
        pub tokens: u32,
        /// The most edges that merge because they are above the threshold.
        pub r: u32,
        /// Places that disappear. An image whose tokens would not fit into what is left merges as many edges more.
        pub least: u32,
        /// Tokens at the front that never merge and that nothing merges into.
        pub protect: u32,
        /// Edges merge whose score is above it.
        pub threshold: f32,
    }
    read {
        /// `[batch, tokens / 2]`, rounded up, of [`find_matches`](crate::kernels::find_matches()); tokens alternate.
        score: Word,
        /// `[batch, tokens / 2]`, rounded up, u32.
        best: Word,
    }
    read? {
        /// `[batch, tokens]`: a token of size 0 is padding. Absent where there is none.
        size: Word,
    }
    write {
        /// `[batch, tokens / 2]`, rounded up, u32, written: a source's place in the order of similarity, the lower index
        /// first on equal scores; [`END`](crate::kernels::rank_matches::END) for protected tokens and padding.
        rank: Word,
        /// `[batch, 3 tokens - least]`, u32, written: as that of [`rank_matches`](crate::kernels::rank_matches()), with
        /// [`END`](crate::kernels::rank_matches::END) at the last places, which keep nobody.
        plan: Word,
        /// `[batch, tokens - least]`, written: 1 for each place that keeps a token, 0 for the others.
        mask: Word,
    }
}

impl Params {
    /// Elements of an image's plan.
    pub fn plan_len(&self) -> u32 {
        3 * self.tokens - self.least
    }

    /// Checks that the numbers fit together.
    ///
    /// # Errors
    /// [`Error::Params`](crate::Error::Params) where more tokens are protected than there are, the threshold is not
    /// finite, or more places are to disappear than may merge at once.
    pub fn check(&self) -> Result<()> {
        let &Params { tokens, least, protect, threshold, .. } = self;
        let name = SPEC.name;
        require(name, tokens > 0 && protect <= tokens, || format!("{protect} of {tokens} tokens protected"))?;
        require(name, threshold.is_finite(), || format!("threshold is {threshold}"))?;
        let most = Partition::Alternating.most(tokens, protect);
        require(name, least <= most, || {
            format!("least is {least}; {tokens} tokens, {protect} of them protected, allow {most}")
        })
    }
}

/// The merge plan of a threshold, prepared. In each image the edges above it merge, at most the r best of them, or so many
/// that the tokens fit into the places that are left; never an edge with padding, or more than half of the tokens. The output is ordered protected
/// tokens, unmerged sources, destinations, each as [`rank_matches`](crate::kernels::rank_matches()) has them, or as it was
/// where nothing merges; then empty places, so that padding is always behind.
///
/// # Errors
/// Those of [`Params::check`]; buffer errors.
pub fn choose_matches(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    params.check()?;
    let Params { batch, tokens, r, least, .. } = params;
    let name = SPEC.name;
    let edges = elements(name, "scores", &[batch, tokens.div_ceil(2)])?;
    // Without what is taken off: three times the tokens must not wrap either.
    elements(name, "plan", &[batch.max(1), 3, tokens])?;
    gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: params.uniform(),
        views: &io.views(),
        elements: &[
            edges,
            edges,
            elements(name, "size", &[batch, tokens])?,
            edges,
            elements(name, "plan", &[batch, params.plan_len()])?,
            elements(name, "mask", &[batch, tokens - least])?,
        ],
        workgroups: batch.into(),
        shape: format!("[{batch}, {tokens}] {least} to {r}"),
    })
}
