//! Rows of numbers, and which of them count.

use crate::kernels::NormKind;

/// The sum of the products of two rows, as far as the shorter one goes.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    // From 0: a sum of nothing but -0 is -0 otherwise.
    a.iter().zip(b).fold(0.0, |sum, (&a, &b)| sum + f64::from(a) * f64::from(b))
}

/// `(x - mean) / sqrt(variance + eps)`, where mean and variance are those of the row; an RMSNorm takes the mean for 0.
pub fn normalise(kind: NormKind, x: &[f32], eps: f32) -> Vec<f64> {
    let n = x.len() as f64;
    let mean = match kind {
        NormKind::Layer => x.iter().map(|&x| f64::from(x)).sum::<f64>() / n,
        NormKind::Rms => 0.0,
    };
    let variance = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
    x.iter().map(|&x| (f64::from(x) - mean) / (variance + f64::from(eps)).sqrt()).collect()
}

/// How many original tokens a token stands for.
pub fn size_of(size: Option<&[f32]>, token: usize) -> f64 {
    size.map_or(1.0, |size| size[token].into())
}

/// Sine and cosine of the angle that a position and a pair's turns make.
pub fn angle(position: &[f32], turn: &[f32]) -> [f64; 2] {
    let angle = f64::from(position[0]) * f64::from(turn[0]) + f64::from(position[1]) * f64::from(turn[1]);
    [angle.sin(), angle.cos()]
}
