//! All tokens of an image to one row, timm's `global_pool`.

use bytemuck::{Pod, Zeroable};

use super::{elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::{Access, Form, KernelSpec, Part};
use crate::view::View;

/// The kernel's description.
pub const SPEC: KernelSpec = KernelSpec {
    name: "pool",
    source: include_str!("../../shaders/pool.wgsl"),
    bindings: &[
        ("params", Access::Uniform),
        ("x", Access::Read),
        ("size", Access::Read),
        ("y", Access::Write),
    ],
    parts: &[Part::Grid],
    params_size: size_of::<Params>(),
};

/// What becomes of the tokens.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Mode(pub u32);

impl Mode {
    /// The token at `first` alone.
    pub const TOKEN: Mode = Mode(0);
    /// The mean of the tokens from `first` on, each counting once.
    pub const MEAN: Mode = Mode(1);
    /// The mean of the tokens from `first` on, each counting as often as its size says.
    pub const MEAN_BY_SIZE: Mode = Mode(2);
}

/// Scalars of the kernel and of its twin.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Params {
    /// Images.
    pub batch: u32,
    /// Tokens an image.
    pub tokens: u32,
    /// Values in a token; a multiple of 4.
    pub channels: u32,
    /// The first token that counts: the number of prefix tokens for a mean.
    pub first: u32,
    /// What becomes of them.
    pub mode: Mode,
}

/// Buffers of the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Io<'a> {
    /// `[batch, tokens, channels]`
    pub x: View<'a>,
    /// `[batch, tokens]`; needed by [`Mode::MEAN_BY_SIZE`] only.
    pub size: Option<View<'a>>,
    /// `[batch, channels]`, written.
    pub y: View<'a>,
}

/// Prepares the pooled row of each image.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where `channels` is no multiple of 4, no token is left from `first` on, or
/// sizes are needed and absent; buffer errors.
pub fn pool(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let Params { batch, tokens, channels, first, mode } = params;
    let name = SPEC.name;
    multiple_of_four(name, "channels", channels)?;
    require(name, first < tokens, || format!("no token from {first} on, of {tokens}"))?;
    require(name, mode != Mode::MEAN_BY_SIZE || io.size.is_some(), || "a mean by size needs sizes".into())?;
    gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: bytemuck::bytes_of(&params),
        views: &[
            (io.x, elements(name, "x", &[batch, tokens, channels])?),
            gpu.optional(io.size, elements(name, "size", &[batch, tokens])?),
            (io.y, elements(name, "y", &[batch, channels])?),
        ],
        workgroups: batch.into(),
        shape: format!("[{batch}, {tokens}, {channels}] -> [{batch}, {channels}]"),
    })
}
