//! Normalisation of rows, `torch.nn.LayerNorm` and `torch.nn.RMSNorm`.

use super::declare::{choice, kernel};
use super::{elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::{Form, ROWS};

kernel! {
    "layer_norm" in "layer_norm": [Element Rows];
    params {
        /// Rows, all independent.
        pub rows: u32,
        /// Values in a row; a multiple of 4.
        pub channels: u32,
        /// Added to the variance; 1e-6 in timm's ViTs.
        pub eps: f32,
        /// What is taken off before the variance.
        pub kind: NormKind,
        /// Rows of `residual`, which repeat; not read without it.
        pub residual_rows: u32,
    }
    read {
        /// `[rows, channels]`
        x: Word,
    }
    read? {
        /// `[channels]`; absent where it is part of what reads y.
        weight: Word,
        /// `[channels]`; likewise.
        bias: Word,
        /// `[residual_rows, channels]`: added to the rows in turn, from the first again when they are over.
        residual: Word,
    }
    write {
        /// `[rows, channels]`, written.
        y: Elem,
    }
}

choice! {
    /// What a norm does to a row.
    pub enum NormKind {
        /// Mean 0 and variance 1: LayerNorm.
        Layer,
        /// The mean of the squares becomes 1, the mean stays: RMSNorm.
        Rms,
    }
}

impl Params {
    /// A LayerNorm of so many rows.
    pub fn new(rows: u32, channels: u32, eps: f32) -> Self {
        Params { rows, channels, eps, ..Params::default() }
    }
}

/// `y = (x - mean) / sqrt(variance + eps) * weight + bias + residual`, prepared; mean and variance over each row; the mean
/// is taken for 0 where `kind` says so, and an absent part is left out.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where `channels` is 0 or no multiple of 4, or there is a residual of no rows;
/// buffer errors.
pub fn layer_norm(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let Params { rows, channels, residual_rows, .. } = params;
    multiple_of_four(SPEC.name, "channels", channels)?;
    require(SPEC.name, residual_rows > 0 || io.residual.is_none(), || "residual_rows is 0".into())?;
    let all = elements(SPEC.name, "x", &[rows, channels])?;
    let residual = elements(SPEC.name, "residual", &[residual_rows.min(rows), channels])?;
    gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: params.uniform(),
        views: &io.views(),
        elements: &[all, channels.into(), channels.into(), residual, all],
        workgroups: rows.div_ceil(ROWS).into(),
        shape: format!("[{rows}, {channels}]"),
    })
}
