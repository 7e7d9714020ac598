use super::math;
use super::matrix::{Matrix, multiply};
use super::slices::{part, part_mut};
use super::threads::for_each_chunk;
use crate::kernels::matmul::{Activation, Params};

/// `y = residual + gate * activation(x w^T + bias)`; an absent part is left out.
///
/// # Panics
/// Where `columns` is 0 or a slice too short.
pub fn matmul(
    params: &Params,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    gate: Option<&[f32]>,
    residual: Option<&[f32]>,
    y: &mut [f32],
) {
    let [columns, inner] = [params.columns, params.inner].map(|v| v as usize);
    linear(params, x, Matrix::new(w, [columns, inner], inner).transposed(), bias, gate, residual, y);
}

/// [`matmul`] with w, `[inner, columns]`, however it lies in memory.
pub(super) fn linear(
    params: &Params,
    x: &[f32],
    w: Matrix<'_>,
    bias: Option<&[f32]>,
    gate: Option<&[f32]>,
    residual: Option<&[f32]>,
    y: &mut [f32],
) {
    let &Params { rows, inner, columns, activation, .. } = params;
    let x = part("x", x, &[rows, inner]);
    let bias = bias.map(|bias| part("bias", bias, &[columns]));
    let gate = gate.map(|gate| part("gate", gate, &[rows, columns]));
    let residual = residual.map(|residual| part("residual", residual, &[rows, columns]));
    let y = part_mut("y", y, &[rows, columns]);
    let [rows, inner, columns] = [rows, inner, columns].map(|v| v as usize);

    multiply(Matrix::new(x, [rows, inner], inner), w, 1.0, y, columns);
    for_each_chunk(y, columns, |row, y| {
        if let Some(bias) = bias {
            y.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
        }
        match activation {
            Activation::Gelu => math::gelu(y),
            Activation::GeluTanh => math::gelu_tanh(y),
            Activation::QuickGelu => math::quick_gelu(y),
            Activation::Silu => math::silu(y),
            Activation::Relu => y.iter_mut().for_each(|v| *v = if *v < 0.0 { 0.0 } else { *v }),
            Activation::Sigmoid => math::sigmoid(y),
            Activation::None => {}
        }
        if let Some(gate) = gate {
            y.iter_mut().zip(&gate[row * columns..]).for_each(|(y, gate)| *y *= gate);
        }
        if let Some(residual) = residual {
            y.iter_mut().zip(&residual[row * columns..]).for_each(|(y, residual)| *y += residual);
        }
    });
}
