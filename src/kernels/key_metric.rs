//! The metric that tokens are matched by: mean of the keys over the heads (paper, section 3, "Token Similarity"), or
//! any other rows.

use bytemuck::{Pod, Zeroable};

use super::{ROWS, elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::{Access, Form, KernelSpec, Part};
use crate::view::View;

/// The kernel's description.
pub const SPEC: KernelSpec = KernelSpec {
    name: "key_metric",
    source: include_str!("../../shaders/key_metric.wgsl"),
    bindings: &[("params", Access::Uniform), ("keys", Access::ReadElem), ("metric", Access::Write)],
    parts: &[Part::Grid, Part::Element, Part::Rows],
    params_size: size_of::<Params>(),
};

/// Scalars of the kernel and of its twin.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Params {
    /// Batch times tokens.
    pub rows: u32,
    /// Heads that are averaged; 1 for rows that are no heads.
    pub heads: u32,
    /// Values of a head; a multiple of 4.
    pub head_width: u32,
    /// Values from one token to the next; a multiple of 4.
    pub stride: u32,
    /// First value of the first key; a multiple of 4.
    pub start: u32,
    /// 1 to bring each to unit length, as cosines need it; 0 to leave it as long as it is.
    pub unit: u32,
}

/// Buffers of the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Io<'a> {
    /// `[rows, heads, head_width]`, strided.
    pub keys: View<'a>,
    /// `[rows, head_width]`, written.
    pub metric: View<'a>,
}

/// Prepares the mean of each token's keys over the heads. A mean without a direction in f32 (shorter than about 1e-19,
/// longer than 1e18, or with a component that is not finite) becomes the zero vector: no score of
/// [`find_matches`](crate::kernels::find_matches()) overflows.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where a width, stride or start is no multiple of 4 or heads is 0; buffer
/// errors.
pub fn key_metric(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let Params { rows, heads, head_width, stride, start, .. } = params;
    let name = SPEC.name;
    multiple_of_four(name, "head_width", head_width)?;
    multiple_of_four(name, "stride", stride)?;
    require(name, heads > 0, || "heads is 0".into())?;
    require(name, start.is_multiple_of(4), || format!("start is {start} and must be a multiple of 4"))?;
    let channels = elements(name, "token", &[heads, head_width])?;
    require(name, u64::from(stride) >= channels, || {
        format!("stride {stride} is less than a token, {channels}")
    })?;
    let end = elements(name, "keys", &[rows, stride])?.saturating_sub(u64::from(stride) - channels);
    let between = (end + u64::from(start)).saturating_sub(u64::from(rows) * channels);
    let call = gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: bytemuck::bytes_of(&params),
        views: &[
            (io.keys, end + u64::from(start)),
            (io.metric, elements(name, "metric", &[rows, head_width])?),
        ],
        workgroups: u64::from(rows).div_ceil(ROWS),
        shape: format!("[{rows}, {heads}, {head_width}] -> [{rows}, {head_width}]"),
    })?;
    Ok(call.skipping(between * gpu.variant().element.bytes()))
}
