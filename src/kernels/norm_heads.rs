//! Layer normalisation of each head's queries and keys, `q_norm` and `k_norm` of timm's `Attention`.

use super::declare::kernel;
use super::{elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::Form;

kernel! {
    "norm_heads" in "norm_heads": [Element];
    params {
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
    read {
        /// `[2, head_width]`: of q, then of k.
        weight: Word,
        /// `[2, head_width]`
        bias: Word,
    }
    write {
        /// `[rows, 2, heads, head_width]`, strided: q and k, overwritten.
        x: Elem,
    }
}

/// Heads that one workgroup brings to norm: `LANES` of the shader.
const LANES: u64 = 64;

impl Params {
    /// The norm of q and k in the output of one projection to q, k and v, `[rows, 3, heads, head_width]`.
    pub fn fused(rows: u32, heads: u32, head_width: u32, eps: f32) -> Self {
        Params { rows, heads, head_width, stride: 3 * heads * head_width, eps }
    }
}

/// `x = (x - mean) / sqrt(variance + eps) * weight + bias` in place, prepared; mean and variance over each head.
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
        params: params.uniform(),
        views: &io.views(),
        elements: &[weights, weights, end],
        workgroups: elements(name, "heads", &[rows, 2, heads])?.div_ceil(LANES),
        shape: format!("[{rows}, 2, {heads}, {head_width}]"),
    })?;
    Ok(call.skipping(between * gpu.variant().element.bytes()))
}
