//! Normalisation in place: of each head's queries and keys, `q_norm` and `k_norm` of timm's `Attention`, or of whole rows.

use super::declare::kernel;
use super::layer_norm::NormKind;
use super::{elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::{Form, ROWS};

kernel! {
    "norm_heads" in "norm_heads": [Element Rows Math];
    params {
        /// Batch times tokens.
        pub rows: u32,
        /// Parts of a token with a weight and a bias each: 2, of q and k.
        pub parts: u32,
        /// Heads of a part; 1 where rows are brought to norm as a whole.
        pub heads: u32,
        /// Values of a head; a multiple of 4.
        pub head_width: u32,
        /// Those of them that count, 0 for all: what is behind them is 0, as where a width was rounded up, and means nothing
        /// afterwards.
        pub filled: u32,
        /// Values from one token to the next: three times the channels for the output of a fused projection; a multiple
        /// of 4.
        pub stride: u32,
        /// Added to the variance.
        pub eps: f32,
        /// What is taken off before the variance.
        pub kind: NormKind,
    }
    read? {
        /// `[parts, head_width]`: of q, then of k; absent where it is part of what reads x.
        weight: Word,
        /// `[parts, head_width]`; likewise.
        bias: Word,
        /// `[rows, 2]`: where each row's token lies. It comes with `turn`.
        position: Word,
        /// `[parts, heads, head_width / 2, 2]`: what each pair of neighbours is turned by at last, see
        /// [`matmul`](crate::kernels::matmul()).
        turn: Word,
    }
    write {
        /// `[rows, parts, heads, head_width]`, strided: overwritten.
        x: Elem,
    }
}

impl Params {
    /// The norm of q and k in the output of one projection to q, k and v, `[rows, 3, heads, head_width]`.
    pub fn fused(rows: u32, heads: u32, head_width: u32, eps: f32) -> Self {
        let stride = 3 * heads * head_width;
        Params { rows, parts: 2, heads, head_width, filled: 0, stride, eps, kind: NormKind::Layer }
    }

    /// The norm of rows as a whole, `[rows, channels]`; rows lie a multiple of 4 apart.
    pub fn whole(rows: u32, channels: u32, eps: f32) -> Self {
        let (kind, stride) = (NormKind::Layer, channels.next_multiple_of(4));
        Params { rows, parts: 1, heads: 1, head_width: stride, filled: channels, stride, eps, kind }
    }

    /// The values of a head that count.
    pub(crate) fn counted(&self) -> u32 {
        if self.filled == 0 { self.head_width } else { self.filled }
    }
}

/// `x = turned((x - mean) / sqrt(variance + eps) * weight + bias)` in place, prepared; mean and variance over each head, the mean 0
/// where `kind` says so, and an absent part left out.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where a width or stride is no multiple of 4 or too short, `filled` is more than
/// the width, or `parts` or `heads` is 0;
/// buffer errors.
pub fn norm_heads(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let Params { rows, parts, heads, head_width, stride, .. } = params;
    let name = SPEC.name;
    multiple_of_four(name, "head_width", head_width)?;
    multiple_of_four(name, "stride", stride)?;
    require(name, parts > 0 && heads > 0, || "parts and heads must be positive".into())?;
    require(name, params.filled <= head_width, || {
        format!("filled is {} of {head_width} values", params.filled)
    })?;
    let all = elements(name, "parts", &[parts, heads, head_width])?;
    require(name, u64::from(stride) >= all, || format!("stride {stride} is less than all parts, {all}"))?;
    require(name, io.position.is_some() == io.turn.is_some(), || {
        "`position` and `turn` come together".into()
    })?;
    // The last token ends after its own values, not after a whole stride.
    let end = elements(name, "x", &[rows, stride])?.saturating_sub(u64::from(stride) - all);
    let weights = elements(name, "weight", &[parts, head_width])?;
    let between = end.saturating_sub(u64::from(rows) * all);
    let call = gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: params.uniform(),
        views: &io.views(),
        elements: &[weights, weights, 2 * u64::from(rows), all, end],
        workgroups: elements(name, "heads", &[rows, parts, heads])?.div_ceil(ROWS.into()),
        shape: format!("[{rows}, {parts}, {heads}, {head_width}]"),
    })?;
    Ok(call.skipping(between * gpu.variant().element.bytes()))
}
