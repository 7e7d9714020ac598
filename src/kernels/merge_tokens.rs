//! Merging by a plan: the mean weighted by size (paper, section 3, "Tracking Token Size"), or another mode (Table 1;
//! later papers).

use super::declare::{choice, kernel};
use super::layer_norm::NormKind;
use super::{elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::{Form, ROWS};

kernel! {
    "merge_tokens" in "merge_tokens": [Element Rows];
    params {
        /// Images.
        pub batch: u32,
        /// Tokens an image before merging.
        pub tokens: u32,
        /// Tokens an image that disappear.
        pub r: u32,
        /// Values in a token; a multiple of 4.
        pub channels: u32,
        /// The way the tokens of a group become one.
        pub mode: MergeMode,
        /// The position of what a group becomes; not read without positions.
        pub positions: MergedPosition,
        /// Added to the variance of `normed`; not read without it.
        pub eps: f32,
        /// The norm of `normed`; not read without it.
        pub kind: NormKind,
    }
    read {
        /// `[batch, 3 tokens - r]`, u32, of [`rank_matches`](crate::kernels::rank_matches()). A place that keeps no
        /// token becomes zeros of size 0.
        plan: Word,
        /// `[batch, tokens, channels]`
        x: Word,
    }
    read? {
        /// `[batch, tokens]`: how many original tokens each stands for; absent where it is one. A token of size 0 counts
        /// for nothing, but where nothing else is in its group.
        size: Word,
        /// `[batch, tokens, 2]`: where each lies, see [`matmul`](crate::kernels::matmul()). It comes with `position_out`.
        position: Word,
    }
    write {
        /// `[batch, tokens - r, channels]`, written: one token for each group.
        x_out: Word,
        /// `[batch, tokens - r]`, written: the sum of each group.
        size_out: Word,
    }
    write? {
        /// `[batch, tokens - r, channels]`, written where there is one: `x_out` brought to norm over the channels,
        /// [`layer_norm`](crate::kernels::layer_norm()) without weight and bias.
        normed: Elem,
        /// `[batch, tokens - r, 2]`, written where there is `position`: where each group lies; 0, 0 where there is none.
        position_out: Word,
    }
}

choice! {
    /// The way the tokens of a group become one (paper, Table 1, unless another is named). Whatever it is, the new size is
    /// the sum of their sizes.
    pub enum MergeMode {
        /// The mean, each counting as often as its size says.
        WeightedMean,
        /// The mean, each counting once.
        Mean,
        /// The sum.
        Sum,
        /// In each channel the largest value.
        Max,
        /// In each channel the smallest value.
        Min,
        /// The destination stays as it is, the sources are dropped: pruning.
        KeepOne,
        /// The mean, each counting as often as its size says, at the norm of the largest of them: a mean of tokens that
        /// point apart is shorter than they are. A mean of zero stays zero (Kim et al., "Token Fusion", 2023, arXiv
        /// 2312.01026).
        Mlerp,
        /// In each channel the value of the largest magnitude, with its sign; of equals the destination's, then that of
        /// the source that comes first (Gong et al., "CubistMerge", 2025, arXiv 2509.21764).
        MaxMagnitude,
    }
}

choice! {
    /// Where a group lies, of tokens that have positions. Where the others are dropped ([`MergeMode::KeepOne`]) it always lies
    /// where the destination does. A token of size 0 counts for nothing.
    pub enum MergedPosition {
        /// At the mean of its tokens' positions, each counting as often as its size says.
        Mean,
        /// Where the destination lies, whatever merges into it.
        Kept,
    }
}

impl Params {
    /// The mode by which positions become one.
    #[cfg(feature = "cpu")]
    pub(crate) fn positions_mode(&self) -> MergeMode {
        match (self.positions, self.mode) {
            (MergedPosition::Kept, _) | (_, MergeMode::KeepOne) => MergeMode::KeepOne,
            _ => MergeMode::WeightedMean,
        }
    }

    /// The weighted mean of tokens of `[batch, tokens, channels]`, of which r an image disappear.
    pub fn new([batch, tokens, channels]: [u32; 3], r: u32) -> Self {
        Params { batch, tokens, r, channels, ..Params::default() }
    }
}

/// The merge that a plan describes, prepared.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where `channels` is no multiple of 4 or `r` is not below `tokens`; buffer
/// errors.
pub fn merge_tokens(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let Params { batch, tokens, r, channels, .. } = params;
    let name = SPEC.name;
    multiple_of_four(name, "channels", channels)?;
    require(name, r < tokens, || format!("r is {r} of {tokens} tokens"))?;
    require(name, io.position.is_some() == io.position_out.is_some(), || {
        "`position` and `position_out` come together".into()
    })?;
    let merged = tokens - r;
    // Without the r that is taken off: three times the tokens must not wrap either.
    elements(name, "plan", &[batch.max(1), 3, tokens])?;
    let size_out = elements(name, "size_out", &[batch, merged])?;
    let x_out = elements(name, "x_out", &[batch, merged, channels])?;
    gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: params.uniform(),
        views: &io.views(),
        elements: &[
            elements(name, "plan", &[batch, 3 * tokens - r])?,
            elements(name, "x", &[batch, tokens, channels])?,
            elements(name, "size", &[batch, tokens])?,
            elements(name, "position", &[batch, tokens, 2])?,
            x_out,
            size_out,
            x_out,
            elements(name, "position_out", &[batch, merged, 2])?,
        ],
        workgroups: size_out.div_ceil(ROWS.into()),
        shape: format!(
            "[{batch}, {tokens}, {channels}] -> [{batch}, {merged}, {channels}]{}",
            if io.normed.is_some() { " +norm" } else { "" }
        ),
    })
}
