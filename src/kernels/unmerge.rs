//! Merged tokens back to their original places, for dense outputs.

use bytemuck::{Pod, Zeroable};

use super::{elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::{Access, Form, KernelSpec, Part};
use crate::view::View;

/// The kernel's description.
pub const SPEC: KernelSpec = KernelSpec {
    name: "unmerge",
    source: include_str!("../../shaders/unmerge.wgsl"),
    bindings: &[
        ("params", Access::Uniform),
        ("x", Access::Read),
        ("source", Access::Read),
        ("residual", Access::Read),
        ("y", Access::Write),
    ],
    parts: &[Part::Grid],
    params_size: size_of::<Params>(),
};

/// Scalars of the kernel and of its twin.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Params {
    /// Images.
    pub batch: u32,
    /// Merged tokens an image.
    pub tokens: u32,
    /// Original tokens an image.
    pub sources: u32,
    /// The first original token that is wanted: 0 for all, the number of prefix tokens for patches alone.
    pub first: u32,
    /// Values in a token; a multiple of 4.
    pub channels: u32,
    /// 1 where there is a residual. Set by [`unmerge`] from what [`Io`] holds.
    pub has_residual: u32,
}

/// Buffers of the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Io<'a> {
    /// `[batch, tokens, channels]`
    pub x: View<'a>,
    /// `[batch, sources]`, u32: for each original token the merged token that holds it.
    pub source: View<'a>,
    /// `[batch, sources - first, channels]`: is added; absent where nothing is.
    pub residual: Option<View<'a>>,
    /// `[batch, sources - first, channels]`, written.
    pub y: View<'a>,
}

/// Prepares `y = x[source] + residual`: a copy of every group's token to all its members, in original order, through any
/// number of merges and with any number of protected tokens.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where `channels` is no multiple of 4, a count is 0 or `first` leaves none;
/// buffer errors.
pub fn unmerge(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let Params { batch, tokens, sources, first, channels, .. } = params;
    let name = SPEC.name;
    multiple_of_four(name, "channels", channels)?;
    require(name, tokens > 0 && sources > 0, || format!("{tokens} tokens from {sources}"))?;
    require(name, first < sources, || format!("from token {first} of {sources} on"))?;
    let params = Params { has_residual: io.residual.is_some().into(), ..params };
    let rows = elements(name, "y", &[batch, sources - first])?;
    let values = elements(name, "y", &[batch, sources - first, channels])?;
    gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: bytemuck::bytes_of(&params),
        views: &[
            (io.x, elements(name, "x", &[batch, tokens, channels])?),
            (io.source, elements(name, "source", &[batch, sources])?),
            gpu.optional(io.residual, values),
            (io.y, values),
        ],
        workgroups: rows,
        shape: format!("[{batch}, {tokens}, {channels}] -> [{batch}, {}, {channels}]", sources - first),
    })
}
