use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_PI, FRAC_2_SQRT_PI, PI};

use super::rows::{angle, dot};
use crate::kernels::matmul::{Activation, Params};

/// A linear layer, `torch.nn.functional.linear`, and what follows it:
/// `y = residual + gate * activation(turned(x w^T + bias))`.
///
/// `x` is `[rows, inner]`, `w` `[columns, inner]`, `bias` (0 where absent) `[columns]`, `gate` (1 where absent),
/// `residual` (0 where absent) and `y` are `[rows, columns]`.
///
/// Rotary positions (Su et al., "RoFormer", 2021, arXiv 2104.09864) turn each pair of neighbouring columns as a point of
/// the plane by the angle `position . turn`: `turned` is `position`, `[rows, 2]`, and `turn`, `[columns / 2, 2]`.
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
    let [rows, inner, columns] = [params.rows, params.inner, params.columns].map(|v| v as usize);
    for row in 0..rows {
        for column in 0..columns {
            let at = row * columns + column;
            let before = |column: usize| {
                let product = dot(&x[row * inner..][..inner], &w[column * inner..][..inner]);
                product + bias.map_or(0.0, |bias| f64::from(bias[column]))
            };
            let value = match turned {
                None => before(column),
                Some((position, turn)) => {
                    let pair = column / 2;
                    let [sin, cos] = angle(&position[2 * row..], &turn[2 * pair..]);
                    let (first, second) = (before(2 * pair), before(2 * pair + 1));
                    if column % 2 == 0 { first * cos - second * sin } else { second * cos + first * sin }
                }
            };
            let gate = gate.map_or(1.0, |gate| gate[at].into());
            let residual = residual.map_or(0.0, |residual| residual[at].into());
            y[at] = (residual + gate * activate(params.activation, value)) as f32;
        }
    }
}

/// The activations by their definitions; Φ is the normal distribution.
fn activate(activation: Activation, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match activation {
        // x Φ(x)
        Activation::Gelu => 0.5 * x * erfc(-x * FRAC_1_SQRT_2),
        Activation::GeluTanh => 0.5 * x * (1.0 + (FRAC_2_PI.sqrt() * (x + 0.044715 * x.powi(3))).tanh()),
        Activation::QuickGelu => x * sigmoid(1.702 * x),
        Activation::Silu => x * sigmoid(x),
        // NaN stays NaN.
        Activation::Relu => {
            if x < 0.0 {
                0.0
            } else {
                x
            }
        }
        Activation::Sigmoid => sigmoid(x),
        Activation::None => x,
    }
}

/// The complementary error function, `2 / sqrt(π)` times the integral of `e^(-t²)` from x to infinity.
fn erfc(x: f64) -> f64 {
    let bell = (-x * x).exp();
    if x < 0.0 {
        2.0 - erfc(-x)
    } else if x > 2.0 {
        // Abramowitz and Stegun 7.1.14: e^(-x²) / sqrt(π) / (x + 1/2 / (x + 2/2 / (x + 3/2 / ...))).
        let fraction = (1..100).rev().fold(x, |below, n| x + f64::from(n) / 2.0 / below);
        bell / PI.sqrt() / fraction
    } else {
        // 7.1.6: erf(x) = 2 / sqrt(π) e^(-x²) (x + 2 x³ / 3 + 4 x⁵ / (3 5) + 8 x⁷ / (3 5 7) + ...).
        let terms = (1..60).scan(x, |term, n| {
            *term *= 2.0 * x * x / f64::from(2 * n + 1);
            Some(*term)
        });
        1.0 - FRAC_2_SQRT_PI * bell * (x + terms.sum::<f64>())
    }
}
