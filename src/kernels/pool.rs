//! All tokens of an image to one row, timm's `global_pool`.

use super::declare::{choice, kernel};
use super::{elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::Form;

kernel! {
    "pool" in "pool": [];
    params {
        /// Images.
        pub batch: u32,
        /// Tokens an image.
        pub tokens: u32,
        /// Values in a token; a multiple of 4.
        pub channels: u32,
        /// The first token that counts: the number of prefix tokens for a mean. With [`PoolMode::MeanBefore`] the first
        /// that does not.
        pub first_token: u32,
        /// The way they become one row.
        pub mode: PoolMode,
    }
    read {
        /// `[batch, tokens, channels]`
        x: Word,
    }
    read? {
        /// `[batch, tokens]`; needed by [`PoolMode::MeanBySize`] only. A token of size 0 counts for nothing.
        size: Word,
    }
    write {
        /// `[batch, channels]`, written; 0 where nothing counts.
        y: Word,
    }
}

choice! {
    /// The way tokens become one row.
    pub enum PoolMode {
        /// The token at `first_token` alone.
        Token,
        /// The mean of the tokens from `first_token` on, each counting once.
        Mean,
        /// The mean of the tokens from `first_token` on, each counting as often as its size says.
        MeanBySize,
        /// The mean of the tokens before `first_token`, each counting once.
        MeanBefore,
    }
}

impl Params {
    /// One row an image of `[batch, tokens, channels]`.
    pub fn new([batch, tokens, channels]: [u32; 3], first_token: u32, mode: PoolMode) -> Self {
        Params { batch, tokens, channels, first_token, mode }
    }
}

/// The pooled row of each image, prepared.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where `channels` is no multiple of 4, no token is left from `first_token` on or
/// before it, or sizes are needed and absent; buffer errors.
pub fn pool(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let Params { batch, tokens, channels, first_token, mode } = params;
    let name = SPEC.name;
    multiple_of_four(name, "channels", channels)?;
    match mode {
        PoolMode::MeanBefore => require(name, (1..=tokens).contains(&first_token), || {
            format!("no tokens before {first_token}, of {tokens}")
        })?,
        _ => require(name, first_token < tokens, || format!("no token from {first_token} on, of {tokens}"))?,
    }
    require(name, mode != PoolMode::MeanBySize || io.size.is_some(), || "a mean by size needs sizes".into())?;
    gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: params.uniform(),
        views: &io.views(),
        elements: &[
            elements(name, "x", &[batch, tokens, channels])?,
            elements(name, "size", &[batch, tokens])?,
            elements(name, "y", &[batch, channels])?,
        ],
        workgroups: batch.into(),
        shape: format!("[{batch}, {tokens}, {channels}] -> [{batch}, {channels}]"),
    })
}
