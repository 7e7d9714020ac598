//! Layer normalisation of each head's queries and keys, `q_norm` and `k_norm` of timm's `Attention`.

use bytemuck::{Pod, Zeroable};

use super::{elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::{Access, Form, KernelSpec, Part};
use crate::view::View;

/// The kernel's description.
pub const SPEC: KernelSpec = KernelSpec {
    name: "norm_heads",
    source: include_str!("../../shaders/norm_heads.wgsl"),
    bindings: &[
        ("params", Access::Uniform),
        ("weight", Access::Read),
        ("bias", Access::Read),
        ("x", Access::WriteElem),
    ],
    parts: &[Part::Grid, Part::Element],
    params_size: size_of::<Params>(),
};

/// Heads that one workgroup brings to norm: `LANES` of the shader.
const LANES: u64 = 64;

/// Scalars of the kernel and of its twin.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Params {
    /// Batch times tokens.
    pub rows: u32,
    /// Heads of q, and as many of k.
    pub heads: u32,
    /// Values of a head; a multiple of 4.
    pub head_width: u32,
    /// Values from one token to the next: three times the channels for the output of a fused projection; a multiple
    /// of 4.
    pub stride: u32,
    /// Added to the variance.
    pub eps: f32,
}

/// Buffers of the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Io<'a> {
    /// `[2, head_width]`: of q, then of k.
    pub weight: View<'a>,
    /// `[2, head_width]`
    pub bias: View<'a>,
    /// `[rows, 2, heads, head_width]`, strided: q and k, overwritten.
    pub x: View<'a>,
}

/// Prepares `x = (x - mean) / sqrt(variance + eps) * weight + bias` in place, mean and variance over each head.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where a width or stride is no multiple of 4 or too short, or `heads` is 0;
/// buffer errors.
pub fn norm_heads(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let Params { rows, heads, head_width, stride, .. } = params;
    let name = SPEC.name;
    multiple_of_four(name, "head_width", head_width)?;
    multiple_of_four(name, "stride", stride)?;
    require(name, heads > 0, || "heads is 0".into())?;
    let both = elements(name, "q and k", &[2, heads, head_width])?;
    require(name, u64::from(stride) >= both, || format!("stride {stride} is less than q and k, {both}"))?;
    // The last token ends after its own values, not after a whole stride.
    let end = elements(name, "x", &[rows, stride])?.saturating_sub(u64::from(stride) - both);
    let weights = 2 * u64::from(head_width);
    let between = end.saturating_sub(u64::from(rows) * both);
    let call = gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: bytemuck::bytes_of(&params),
        views: &[(io.weight, weights), (io.bias, weights), (io.x, end)],
        workgroups: elements(name, "heads", &[rows, 2, heads])?.div_ceil(LANES),
        shape: format!("[{rows}, 2, {heads}, {head_width}]"),
    })?;
    Ok(call.skipping(between * gpu.variant().element.bytes()))
}
