//! Linear layers, `torch.nn.functional.linear`, with what follows them in a Transformer block.

use super::declare::{choice, kernel};
use super::{elements, multiple_of_four, require};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::{Call, Gpu};
use crate::kernel::Form;

kernel! {
    "matmul" in "matmul/matmul" with "matmul/entry" "matmul/entry_subgroup": [Element Weight Out Tile Math];
    params {
        /// Rows of x: batch times tokens.
        pub rows: u32,
        /// Columns of x and of w; a multiple of 4.
        pub inner: u32,
        /// Rows of w, columns of y.
        pub columns: u32,
    }
    compiled {
        /// Applied to product and bias.
        activation: Activation,
    }
    read {
        /// `[rows, inner]`
        x: Elem,
        /// `[columns, inner]`, as PyTorch stores it.
        w: Weight,
    }
    read? {
        /// `[columns]`
        bias: Word,
        /// `[rows, columns]`: multiplies what the activation gave, for gated MLPs.
        gate: Elem,
        /// `[rows, columns]`: is added at last.
        residual: Word,
        /// `[rows, 2]`: where each row's token lies, in any unit. It comes with `turn`.
        position: Word,
        /// `[columns / 2, 2]`: each pair of neighbouring columns, before the activation, is turned as a point of the plane by
        /// the angle that a row's `position` times these two makes, a sum below 2^13 in radians: rotary positions. 0, 0
        /// where columns are to stay as they are. `columns` is a multiple of 4 then.
        turn: Word,
    }
    write {
        /// `[rows, columns]`, written; 32-bit whatever the storage type where there is a residual.
        y: Sum,
    }
}

choice! {
    /// The function applied to a product and its bias.
    pub enum Activation {
        /// The value itself.
        None,
        /// `x Φ(x)` by the error function, `torch.nn.GELU()`.
        Gelu,
        /// Its approximation by tanh, `torch.nn.GELU(approximate="tanh")`.
        GeluTanh,
        /// `x sigmoid(1.702 x)`, the activation of OpenAI's CLIP.
        QuickGelu,
        /// `x sigmoid(x)`, `torch.nn.SiLU()`.
        Silu,
        /// `max(x, 0)`, `torch.nn.ReLU()`.
        Relu,
        /// `sigmoid(x)`, `torch.nn.Sigmoid()`.
        Sigmoid,
    }
}

impl Params {
    /// A product of x, `[rows, inner]`, and w transposed, `[inner, columns]`, without an activation.
    pub fn new(rows: u32, inner: u32, columns: u32) -> Self {
        Params { rows, inner, columns, activation: Activation::None }
    }

    /// The same with an activation.
    #[must_use]
    pub fn activation(self, activation: Activation) -> Self {
        Params { activation, ..self }
    }
}

/// `y = residual + gate * activation(turned(x w^T + bias))`, prepared; an absent part is left out.
///
/// # Errors
/// [`Error::Params`](crate::Error::Params) where `inner` is 0 or no multiple of 4, `columns` is 0, or pairs are to be turned
/// and it is no multiple of 4 or there are no positions; buffer errors.
pub fn matmul(gpu: &Gpu, params: Params, io: Io<'_>) -> Result<Dispatch> {
    let Params { rows, inner, columns, activation } = params;
    let name = SPEC.name;
    multiple_of_four(name, "inner", inner)?;
    require(name, columns > 0, || "columns is 0".into())?;
    require(name, io.position.is_some() == io.turn.is_some(), || {
        "`position` and `turn` come together".into()
    })?;
    if io.turn.is_some() {
        multiple_of_four(name, "columns", columns)?;
    }
    let y = elements(name, "y", &[rows, columns])?;
    let tile_size = gpu.tile_size(rows, columns);
    let form = Form {
        tile_size,
        whole_slabs: inner.is_multiple_of(gpu.variant().tile.slab(tile_size)),
        fours: columns.is_multiple_of(4),
        compiled: params.compiled(),
        ..Form::default()
    };
    let [tile_rows, tile_columns] = gpu.variant().tile.covers(form.tile_size);
    let mut shape = format!("[{rows}, {inner}] x [{columns}, {inner}]");
    for (part, there) in [
        (" act", activation != Activation::None),
        (" turned", io.turn.is_some()),
        (" *gate", io.gate.is_some()),
        (" +residual", io.residual.is_some()),
    ] {
        shape.push_str(if there { part } else { "" });
    }
    let (x, w) = (elements(name, "x", &[rows, inner])?, elements(name, "w", &[columns, inner])?);
    let call = gpu.dispatch(Call {
        spec: &SPEC,
        form,
        params: params.uniform(),
        views: &io.views(),
        elements: &[x, w, columns.into(), y, y, 2 * u64::from(rows), columns.into(), y],
        workgroups: u64::from(rows.div_ceil(tile_rows)) * u64::from(columns.div_ceil(tile_columns)),
        shape,
    })?;
    Ok(call.of_flops(2 * y * u64::from(inner)))
}
