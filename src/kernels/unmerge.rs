//! Merged tokens back to their original places, for dense outputs.

use super::declare::kernel;
use super::{elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::Form;

kernel! {
    "unmerge" in "unmerge": [];
    params {
        /// Images.
        pub batch: u32,
        /// Merged tokens an image.
        pub tokens: u32,
        /// Original tokens an image.
        pub sources: u32,
        /// The first original token that is wanted: 0 for all, the number of prefix tokens for patches alone.
        pub first_source: u32,
        /// Values in a token; a multiple of 4.
        pub channels: u32,
    }
    read {
        /// `[batch, tokens, channels]`
        x: Word,
        /// `[batch, sources]`, u32: for each original token the merged token that holds it.
        source: Word,
    }
    read? {
        /// `[batch, sources - first_source, channels]`: is added; absent where nothing is.
        residual: Word,
    }
    write {
        /// `[batch, sources - first_source, channels]`, written.
        y: Word,
    }
}

impl Params {
    /// All of an image's original tokens from its merged ones.
    pub fn new(batch: u32, tokens: u32, sources: u32, channels: u32) -> Self {
        Params { batch, tokens, sources, first_source: 0, channels }
    }
}

/// `y = x[source] + residual`, prepared: a copy of every group's token to all its members, in original order, through any
/// number of merges and with any number of protected tokens.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where `channels` is no multiple of 4, a count is 0 or `first_source` leaves none;
/// buffer errors.
pub fn unmerge(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let Params { batch, tokens, sources, first_source, channels, .. } = params;
    let name = SPEC.name;
    multiple_of_four(name, "channels", channels)?;
    require(name, tokens > 0 && sources > 0, || format!("{tokens} tokens from {sources}"))?;
    require(name, first_source < sources, || format!("from token {first_source} of {sources} on"))?;
    let rows = elements(name, "y", &[batch, sources - first_source])?;
    let values = elements(name, "y", &[batch, sources - first_source, channels])?;
    gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: params.uniform(),
        views: &io.views(),
        elements: &[
            elements(name, "x", &[batch, tokens, channels])?,
            elements(name, "source", &[batch, sources])?,
            values,
            values,
        ],
        workgroups: rows,
        shape: format!(
            "[{batch}, {tokens}, {channels}] -> [{batch}, {}, {channels}]",
            sources - first_source
        ),
    })
}
