//! Layer normalisation of rows, `torch.nn.LayerNorm`.

use super::declare::kernel;
use super::{elements, multiple_of_four};
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
    }
    write {
        /// `[rows, channels]`, written.
        y: Elem,
    }
}

impl Params {
    /// A norm of so many rows.
    pub fn new(rows: u32, channels: u32, eps: f32) -> Self {
        Params { rows, channels, eps }
    }
}

/// `y = (x - mean) / sqrt(variance + eps) * weight + bias`, prepared; mean and variance over each row; an absent part is
/// left out.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where `channels` is 0 or no multiple of 4; buffer errors.
pub fn layer_norm(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let Params { rows, channels, .. } = params;
    multiple_of_four(SPEC.name, "channels", channels)?;
    let all = elements(SPEC.name, "x", &[rows, channels])?;
    gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: params.uniform(),
        views: &io.views(),
        elements: &[all, channels.into(), channels.into(), all],
        workgroups: rows.div_ceil(ROWS).into(),
        shape: format!("[{rows}, {channels}]"),
    })
}
