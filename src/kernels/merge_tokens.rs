//! Merging by a plan: the mean weighted by size (paper, section 3, "Tracking Token Size"), or another mode (Table 1).

use bytemuck::{Pod, Zeroable};

use super::{ROWS, elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::{Access, Form, KernelSpec, Part};
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
        ("normed", Access::WriteElem),
    ],
    parts: &[Part::Grid, Part::Element, Part::Rows],
    params_size: size_of::<Params>(),
};

/// What becomes of the tokens of a group (paper, Table 1). Whatever it is, the new size is the sum of their sizes.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Mode(pub u32);

impl Mode {
    /// The mean, each counting as often as its size says.
    pub const WEIGHTED_MEAN: Mode = Mode(0);
    /// The mean, each counting once.
    pub const MEAN: Mode = Mode(1);
    /// The sum.
    pub const SUM: Mode = Mode(2);
    /// In each channel the largest value.
    pub const MAX: Mode = Mode(3);
    /// In each channel the smallest value.
    pub const MIN: Mode = Mode(4);
    /// The destination stays as it is, the sources are dropped: pruning.
    pub const KEEP_ONE: Mode = Mode(5);

    /// Whether there is such a mode.
    pub(crate) fn exists(self) -> bool {
        self.0 <= Mode::KEEP_ONE.0
    }
}

/// Scalars of the kernel and of its twin.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
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
    /// What becomes of the tokens of a group.
    pub mode: Mode,
    /// 1 where there are sizes. Set by [`merge_tokens`] from what [`Io`] holds.
    pub has_size: u32,
    /// 1 where there is a source map to follow. Set by [`merge_tokens`] from what [`Io`] holds.
    pub has_source: u32,
    /// 1 where `normed` is written. Set by [`merge_tokens`] from what [`Io`] holds.
    pub has_normed: u32,
    /// Added to the variance of `normed`; not read without it.
    pub eps: f32,
}

/// Buffers of the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Io<'a> {
    /// `[batch, 3 tokens - r]`, u32, of [`rank_matches`](crate::kernels::rank_matches()).
    pub plan: View<'a>,
    /// `[batch, tokens, channels]`
    pub x: View<'a>,
    /// `[batch, tokens]`: how many original tokens each stands for; absent where it is one.
    pub size: Option<View<'a>>,
    /// `[batch, sources]`, u32: for each original token the token that holds it; absent where that is itself.
    pub source: Option<View<'a>>,
    /// `[batch, tokens - r, channels]`, written: one token for each group.
    pub x_out: View<'a>,
    /// `[batch, tokens - r]`, written: the sum of each group.
    pub size_out: View<'a>,
    /// `[batch, sources]`, u32, written.
    pub source_out: View<'a>,
    /// `[batch, tokens - r, channels]`, written where there is one: `x_out` brought to mean 0 and variance 1 over the
    /// channels, [`layer_norm`](crate::kernels::layer_norm()) without weight and bias.
    pub normed: Option<View<'a>>,
}

/// Prepares the merge that a plan describes.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where `channels` is no multiple of 4, `r` is not below `tokens`, there is no
/// such mode, or without a source map to follow `sources` is neither `tokens` nor 0; buffer errors.
pub fn merge_tokens(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let Params { batch, tokens, r, channels, sources, mode, .. } = params;
    let name = SPEC.name;
    multiple_of_four(name, "channels", channels)?;
    require(name, r < tokens, || format!("r is {r} of {tokens} tokens"))?;
    require(name, mode.exists(), || format!("there is no {mode:?}"))?;
    require(name, io.source.is_some() || sources == tokens || sources == 0, || {
        format!("{sources} original tokens of {tokens}, and no source map")
    })?;
    let params = Params {
        has_size: io.size.is_some().into(),
        has_source: io.source.is_some().into(),
        has_normed: io.normed.is_some().into(),
        ..params
    };
    let merged = tokens - r;
    // Without the r that is taken off: three times the tokens must not wrap either.
    elements(name, "plan", &[batch.max(1), 3, tokens])?;
    let source = elements(name, "source", &[batch, sources])?;
    let size_out = elements(name, "size_out", &[batch, merged])?;
    let x_out = elements(name, "x_out", &[batch, merged, channels])?;
    // What is bound to be written may be bound nowhere else, even where nothing is.
    let nowhere = gpu.buffer("tome.nowhere", 4)?;
    let normed = io.normed.map_or((View::from(&nowhere), 4), |normed| (normed, x_out));
    gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: bytemuck::bytes_of(&params),
        views: &[
            (io.plan, elements(name, "plan", &[batch, 3 * tokens - r])?),
            (io.x, elements(name, "x", &[batch, tokens, channels])?),
            gpu.optional(io.size, elements(name, "size", &[batch, tokens])?),
            gpu.optional(io.source, source),
            (io.x_out, x_out),
            (io.size_out, size_out),
            (io.source_out, source),
            normed,
        ],
        workgroups: size_out.div_ceil(ROWS),
        shape: format!(
            "[{batch}, {tokens}, {channels}] -> [{batch}, {merged}, {channels}]{}",
            if io.normed.is_some() { " +norm" } else { "" }
        ),
    })
}
