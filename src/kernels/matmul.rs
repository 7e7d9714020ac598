//! Linear layers, `torch.nn.functional.linear`, with what follows them in a Transformer block.

use bytemuck::{Pod, Zeroable};

use super::{elements, multiple_of_four};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::{Access, Epilogue, Form, KernelSpec, Part};
use crate::view::View;

/// The kernel's description.
pub const SPEC: KernelSpec = KernelSpec {
    name: "matmul",
    source: include_str!("../../shaders/matmul.wgsl"),
    bindings: &[
        ("params", Access::Uniform),
        ("x", Access::ReadElem),
        ("w", Access::ReadElem),
        ("bias", Access::Read),
        ("scale", Access::Read),
        ("gate", Access::ReadElem),
        ("residual", Access::Read),
        ("y", Access::WriteOut),
    ],
    parts: &[Part::Grid, Part::Element, Part::Out, Part::Tile, Part::Math, Part::Epilogue],
    params_size: size_of::<Params>(),
};

/// What is applied to a product and its bias.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Activation(pub u32);

impl Activation {
    /// The value itself.
    pub const NONE: Activation = Activation(0);
    /// `x Φ(x)` by the error function, `torch.nn.GELU()`.
    pub const GELU: Activation = Activation(1);
    /// Its approximation by tanh, `torch.nn.GELU(approximate="tanh")`.
    pub const GELU_TANH: Activation = Activation(2);
    /// `x sigmoid(1.702 x)`, the activation of OpenAI's CLIP.
    pub const QUICK_GELU: Activation = Activation(3);
    /// `x sigmoid(x)`, `torch.nn.SiLU()`.
    pub const SILU: Activation = Activation(4);
    /// `max(x, 0)`, `torch.nn.ReLU()`.
    pub const RELU: Activation = Activation(5);
    /// `sigmoid(x)`, `torch.nn.Sigmoid()`.
    pub const SIGMOID: Activation = Activation(6);
}

/// Scalars of the kernel and of its twin.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Params {
    /// Rows of x: batch times tokens.
    pub rows: u32,
    /// Columns of x and of w; a multiple of 4.
    pub inner: u32,
    /// Rows of w, columns of y.
    pub columns: u32,
    /// Applied to product and bias.
    pub activation: Activation,
    /// 1 where there is a bias. Set by [`matmul`] from what [`Io`] holds, as are the next three.
    pub has_bias: u32,
    /// 1 where there is a scale.
    pub has_scale: u32,
    /// 1 where there is a gate.
    pub has_gate: u32,
    /// 1 where there is a residual.
    pub has_residual: u32,
}

/// Buffers of the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Io<'a> {
    /// `[rows, inner]`
    pub x: View<'a>,
    /// `[columns, inner]`, as PyTorch stores it.
    pub w: View<'a>,
    /// `[columns]`
    pub bias: Option<View<'a>>,
    /// `[columns]`, LayerScale's gamma.
    pub scale: Option<View<'a>>,
    /// `[rows, columns]`, what a gated MLP multiplies by.
    pub gate: Option<View<'a>>,
    /// `[rows, columns]`
    pub residual: Option<View<'a>>,
    /// `[rows, columns]`, written; 32-bit whatever the storage type where there is a residual.
    pub y: View<'a>,
}

impl<'a> Io<'a> {
    /// The product alone; what else there is replaces its part of it.
    pub fn product(x: impl Into<View<'a>>, w: impl Into<View<'a>>, y: impl Into<View<'a>>) -> Self {
        let (x, w, y) = (x.into(), w.into(), y.into());
        Io { x, w, bias: None, scale: None, gate: None, residual: None, y }
    }
}

/// Prepares `y = residual + gate * scale * activation(x w^T + bias)`; an absent part is left out.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where `inner` is 0 or no multiple of 4, or `columns` is 0; buffer
/// errors.
pub fn matmul(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let Params { rows, inner, columns, activation, .. } = params;
    multiple_of_four(SPEC.name, "inner", inner)?;
    super::require(SPEC.name, columns > 0, || "columns is 0".into())?;
    let params = Params {
        has_bias: io.bias.is_some().into(),
        has_scale: io.scale.is_some().into(),
        has_gate: io.gate.is_some().into(),
        has_residual: io.residual.is_some().into(),
        ..params
    };
    let epilogue = Epilogue {
        activation: activation.0,
        bias: io.bias.is_some(),
        scale: io.scale.is_some(),
        gate: io.gate.is_some(),
        residual: io.residual.is_some(),
    };
    let y = elements(SPEC.name, "y", &[rows, columns])?;
    let tile_size = gpu.tile_size(rows, columns);
    let [tile_rows, tile_columns] = gpu.variant().tile.covers(tile_size);
    let mut shape = format!("[{rows}, {inner}] x [{columns}, {inner}]");
    for (part, there) in [
        (" act", activation != Activation::NONE),
        (" *scale", io.scale.is_some()),
        (" *gate", io.gate.is_some()),
        (" +residual", io.residual.is_some()),
    ] {
        shape.push_str(if there { part } else { "" });
    }
    let call = gpu.dispatch(Call {
        spec: &SPEC,
        form: Form { exact: epilogue.residual, tile_size, epilogue, ..Form::default() },
        params: bytemuck::bytes_of(&params),
        views: &[
            (io.x, elements(SPEC.name, "x", &[rows, inner])?),
            (io.w, elements(SPEC.name, "w", &[columns, inner])?),
            gpu.optional(io.bias, columns.into()),
            gpu.optional(io.scale, columns.into()),
            gpu.optional(io.gate, y),
            gpu.optional(io.residual, y),
            (io.y, y),
        ],
        workgroups: u64::from(rows.div_ceil(tile_rows)) * u64::from(columns.div_ceil(tile_columns)),
        shape,
    })?;
    Ok(call.of_flops(2 * y * u64::from(inner)))
}
