use super::slices::{part, part_mut};
use crate::kernels::pool::{Params, PoolMode};

/// One row an image: its token at `first_token`, the mean of all from there, plain or weighted by size, or the mean of those
/// before it.
///
/// # Panics
/// Where `channels` is 0, no token is left from `first_token` on or before it, sizes are needed and absent, or a slice too short.
pub fn pool(params: &Params, x: &[f32], size: Option<&[f32]>, y: &mut [f32]) {
    let &Params { batch, tokens, channels, first_token, mode } = params;
    assert!(mode != PoolMode::MeanBySize || size.is_some(), "a mean by size needs sizes");
    let x = part("x", x, &[batch, tokens, channels]);
    let size = size.map(|size| part("size", size, &[batch, tokens]));
    let y = part_mut("y", y, &[batch, channels]);
    let [tokens, channels, first_token] = [tokens, channels, first_token].map(|v| v as usize);
    let counted = match mode {
        PoolMode::Token => first_token..first_token + 1,
        PoolMode::Mean | PoolMode::MeanBySize => first_token..tokens,
        PoolMode::MeanBefore => 0..first_token,
    };
    assert!(!counted.is_empty() && counted.end <= tokens, "no tokens {counted:?} of {tokens}");

    for (item, y) in y.chunks_exact_mut(channels).enumerate() {
        let weight = |token: usize| match size {
            Some(size) if mode == PoolMode::MeanBySize => f64::from(size[item * tokens + token]),
            Some(size) if mode != PoolMode::Token && size[item * tokens + token] == 0.0 => 0.0,
            _ => 1.0,
        };
        let total: f64 = counted.clone().map(weight).sum();
        for (i, y) in y.iter_mut().enumerate() {
            let value = |token: usize| f64::from(x[(item * tokens + token) * channels + i]);
            // What has no size may hold anything.
            let counting = counted.clone().filter(|&token| weight(token) != 0.0);
            let sum: f64 = counting.map(|token| weight(token) * value(token)).sum();
            *y = if total == 0.0 { 0.0 } else { (sum / total) as f32 };
        }
    }
}
