use super::rows::dot;
use crate::kernels::token_energy::{PROTECTED, Params, UNDIRECTED};

/// PiToMe's energy (Tran et al., 2024, arXiv 2405.16148): `energy[i] = mean over the unprotected j, i among
/// them, of f(cosine(i, j))`, where `f(x) = x` for x >= margin and `exp(x - margin) - 1` below. The cosine is the dot
/// product of vectors of length 1, and 1 where they are the same token's.
///
/// [`PROTECTED`] for a token at the front, [`UNDIRECTED`] for one whose metric is the zero vector.
///
/// `metric` is `[batch, tokens, width]`, `energy` `[batch, tokens]`.
pub fn token_energy(params: &Params, metric: &[f32], energy: &mut [f32]) {
    let &Params { batch, tokens, width, protect, margin } = params;
    let [batch, tokens, width, protect] = [batch, tokens, width, protect].map(|v| v as usize);
    let margin = f64::from(margin);
    let f = |x: f64| if x >= margin { x } else { (x - margin).exp() - 1.0 };
    for item in 0..batch {
        let row = |token: usize| &metric[(item * tokens + token) * width..][..width];
        let cosine = |i: usize, j: usize| if i == j { 1.0 } else { dot(row(i), row(j)) };
        for i in 0..tokens {
            let sum: f64 = (protect..tokens).map(|j| f(cosine(i, j))).sum();
            energy[item * tokens + i] = match row(i).iter().any(|v| v * v > 0.0) {
                _ if i < protect => PROTECTED,
                true => (sum / (tokens - protect) as f64) as f32,
                false => UNDIRECTED,
            };
        }
    }
}
