//! Merging by a plan: the mean weighted by size (paper, section 3, "Tracking Token Size").

use bytemuck::{Pod, Zeroable};

use super::{elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::{Access, KernelSpec, Part};
use crate::view::View;

/// The kernel's description.
pub const SPEC: KernelSpec = KernelSpec {
    name: "merge_tokens",
    source: include_str!("../../shaders/merge_tokens.wgsl"),
    bindings: &[
        ("params", Access::Uniform),
        ("plan", Access::Read),
        ("x", Access::Read),
        ("size", Access::Read),
        ("source", Access::Read),
        ("x_out", Access::Write),
        ("size_out", Access::Write),
        ("source_out", Access::Write),
    ],
    parts: &[Part::Grid],
    params_size: size_of::<Params>(),
};

/// Scalars of the kernel and of its twin.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Params {
    /// Images.
    pub batch: u32,
    /// Tokens an image before merging.
    pub tokens: u32,
    /// Tokens an image that disappear.
    pub r: u32,
    /// Values in a token; a multiple of 4.
    pub channels: u32,
    /// Original tokens an image in the source map.
    pub sources: u32,
}

/// Buffers of the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Io<'a> {
    /// `[batch, 3 tokens - r]`, u32, of [`rank_matches`](crate::kernels::rank_matches()).
    pub plan: View<'a>,
    /// `[batch, tokens, channels]`
    pub x: View<'a>,
    /// `[batch, tokens]`: how many original tokens each stands for.
    pub size: View<'a>,
    /// `[batch, sources]`, u32: for each original token the token that holds it.
    pub source: View<'a>,
    /// `[batch, tokens - r, channels]`, written: the mean of each group weighted by size.
    pub x_out: View<'a>,
    /// `[batch, tokens - r]`, written: the sum of each group.
    pub size_out: View<'a>,
    /// `[batch, sources]`, u32, written.
    pub source_out: View<'a>,
}

/// Prepares the merge that a plan describes.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where `channels` is no multiple of 4 or `r` is not below `tokens`; buffer
/// errors.
pub fn merge_tokens(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let Params { batch, tokens, r, channels, sources } = params;
    let name = SPEC.name;
    multiple_of_four(name, "channels", channels)?;
    require(name, r < tokens, || format!("r is {r} of {tokens} tokens"))?;
    let merged = tokens - r;
    // Without the r that is taken off: three times the tokens must not wrap either.
    elements(name, "plan", &[batch.max(1), 3, tokens])?;
    let source = elements(name, "source", &[batch, sources])?;
    let size_out = elements(name, "size_out", &[batch, merged])?;
    gpu.dispatch(Call {
        spec: &SPEC,
        head_width: 0,
        params: bytemuck::bytes_of(&params),
        views: &[
            (io.plan, elements(name, "plan", &[batch, 3 * tokens - r])?),
            (io.x, elements(name, "x", &[batch, tokens, channels])?),
            (io.size, elements(name, "size", &[batch, tokens])?),
            (io.source, source),
            (io.x_out, elements(name, "x_out", &[batch, merged, channels])?),
            (io.size_out, size_out),
            (io.source_out, source),
        ],
        workgroups: size_out,
        shape: format!("[{batch}, {tokens}, {channels}] -> [{batch}, {merged}, {channels}]"),
    })
}
