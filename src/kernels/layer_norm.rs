//! Layer normalisation of rows, `torch.nn.LayerNorm`.

use bytemuck::{Pod, Zeroable};

use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::{Access, Form, KernelSpec, Part};
use crate::view::View;

/// The kernel's description.
pub const SPEC: KernelSpec = KernelSpec {
    name: "layer_norm",
    source: include_str!("../../shaders/layer_norm.wgsl"),
    bindings: &[
        ("params", Access::Uniform),
        ("x", Access::Read),
        ("weight", Access::Read),
        ("bias", Access::Read),
        ("y", Access::WriteElem),
    ],
    parts: &[Part::Grid, Part::Element, Part::Rows],
    params_size: size_of::<Params>(),
};

/// Scalars of the kernel and of its twin.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Params {
    /// Rows, all independent.
    pub rows: u32,
    /// Values in a row; a multiple of 4.
    pub channels: u32,
    /// Added to the variance; 1e-6 in timm's ViTs.
    pub eps: f32,
    /// 1 where there is a weight. Set by [`layer_norm`] from what [`Io`] holds, as is the next.
    pub has_weight: u32,
    /// 1 where there is a bias.
    pub has_bias: u32,
}

/// Buffers of the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Io<'a> {
    /// `[rows, channels]`
    pub x: View<'a>,
    /// `[channels]`; absent where it is part of what reads y.
    pub weight: Option<View<'a>>,
    /// `[channels]`; likewise.
    pub bias: Option<View<'a>>,
    /// `[rows, channels]`, written.
    pub y: View<'a>,
}

/// Prepares `y = (x - mean) / sqrt(variance + eps) * weight + bias`, mean and variance over each row; an absent part is
/// left out.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where `channels` is 0 or no multiple of 4; buffer errors.
pub fn layer_norm(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let params =
        Params { has_weight: io.weight.is_some().into(), has_bias: io.bias.is_some().into(), ..params };
    let Params { rows, channels, .. } = params;
    super::multiple_of_four(SPEC.name, "channels", channels)?;
    let all = u64::from(rows) * u64::from(channels);
    gpu.dispatch(Call {
        spec: &SPEC,
        form: Form::default(),
        params: bytemuck::bytes_of(&params),
        views: &[
            (io.x, all),
            gpu.optional(io.weight, channels.into()),
            gpu.optional(io.bias, channels.into()),
            (io.y, all),
        ],
        workgroups: u64::from(rows).div_ceil(super::ROWS),
        shape: format!("[{rows}, {channels}]"),
    })
}
