use super::math;
use super::product::{Packed, multiply, pack_rows};
use super::slices::{part, part_mut};
use super::threads::{for_each_chunk, threads};
use crate::kernels::matmul::{Activation, Params};

/// `y = residual + gate * activation(turned(x w^T + bias))`; an absent part is left out. `turned` is `position` and `turn`.
///
/// # Panics
/// Where `columns` is 0, or odd and pairs are to be turned, or a slice too short.
#[expect(clippy::too_many_arguments, reason = "the buffers of the kernel")]
pub fn matmul(
    params: &Params,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    gate: Option<&[f32]>,
    residual: Option<&[f32]>,
    turned: Option<(&[f32], &[f32])>,
    y: &mut [f32],
) {
    let w = part("w", w, &[params.columns, params.inner]);
    let [columns, inner] = [params.columns, params.inner].map(|v| v as usize);
    let panels = pack_rows(w, [columns, inner], inner);
    linear(params, x, Packed::new(&panels, [inner, columns]), bias, gate, residual, turned, y);
}

/// [`matmul`] with w packed.
#[expect(clippy::too_many_arguments, reason = "the buffers of the kernel")]
pub(super) fn linear(
    params: &Params,
    x: &[f32],
    w: Packed<'_>,
    bias: Option<&[f32]>,
    gate: Option<&[f32]>,
    residual: Option<&[f32]>,
    turned: Option<(&[f32], &[f32])>,
    y: &mut [f32],
) {
    let &Params { rows, inner, columns, activation, .. } = params;
    let x = part("x", x, &[rows, inner]);
    let bias = bias.map(|bias| part("bias", bias, &[columns]));
    let gate = gate.map(|gate| part("gate", gate, &[rows, columns]));
    let residual = residual.map(|residual| part("residual", residual, &[rows, columns]));
    let turned = turned.map(|(position, turn)| {
        assert!(columns.is_multiple_of(2), "{columns} columns are no pairs");
        (part("position", position, &[rows, 2]), part("turn", turn, &[columns]))
    });
    let y = part_mut("y", y, &[rows, columns]);
    let [rows, inner, columns] = [rows, inner, columns].map(|v| v as usize);

    // As many rows as a thread gets: each panel of w is read once for all of them.
    let near = rows.div_ceil(threads()).max(1);
    for_each_chunk(y, near * columns, |chunk, y| {
        let first = chunk * near;
        multiply(y.len() / columns, (&x[first * inner..], inner), w, (y, columns));
        for (row, y) in (first..).zip(y.chunks_exact_mut(columns)) {
            if let Some(bias) = bias {
                y.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
            }
            if let Some((position, turn)) = turned {
                math::turn(y, &position[2 * row..][..2], turn);
            }
            activate(activation, y);
            if let Some(gate) = gate {
                y.iter_mut().zip(&gate[row * columns..]).for_each(|(y, gate)| *y *= gate);
            }
            if let Some(residual) = residual {
                y.iter_mut().zip(&residual[row * columns..]).for_each(|(y, residual)| *y += residual);
            }
        }
    });
}

fn activate(activation: Activation, y: &mut [f32]) {
    match activation {
        Activation::Gelu => math::gelu(y),
        Activation::GeluTanh => math::gelu_tanh(y),
        Activation::QuickGelu => math::quick_gelu(y),
        Activation::Silu => math::silu(y),
        Activation::Relu => y.iter_mut().for_each(|v| *v = if *v < 0.0 { 0.0 } else { *v }),
        Activation::Sigmoid => math::sigmoid(y),
        Activation::None => {}
    }
}
