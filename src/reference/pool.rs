use super::rows::size_of;
use crate::kernels::pool::{Params, PoolMode};

/// One row an image, timm's `global_pool`: the token at `first_token`; or the mean of the tokens from there on, or of those before,
/// `y = sum of weight * x / sum of weight`, with weights of 1 or, as a merged token stands for several, with sizes.
///
/// Where sizes are given, a token of size 0 counts in no mean. A mean of no tokens is 0.
///
/// `x` is `[batch, tokens, channels]`, `size` `[batch, tokens]`, `y` `[batch, channels]`.
///
/// # Panics
/// Where a mean by size has no sizes.
pub fn pool(params: &Params, x: &[f32], size: Option<&[f32]>, y: &mut [f32]) {
    let &Params { batch, tokens, channels, first_token, mode } = params;
    let [batch, tokens, channels, first_token] = [batch, tokens, channels, first_token].map(|v| v as usize);
    assert!(mode != PoolMode::MeanBySize || size.is_some(), "a mean by size needs sizes");
    for item in 0..batch {
        let size = |token: usize| size_of(size, item * tokens + token);
        let weight = |token: usize| if mode == PoolMode::MeanBySize { size(token) } else { 1.0 };
        let counting: Vec<usize> = match mode {
            PoolMode::Token => vec![first_token],
            PoolMode::MeanBefore => (0..first_token).filter(|&token| size(token) > 0.0).collect(),
            _ => (first_token..tokens).filter(|&token| size(token) > 0.0).collect(),
        };
        let total: f64 = counting.iter().map(|&token| weight(token)).sum();
        for i in 0..channels {
            let value = |token: usize| f64::from(x[(item * tokens + token) * channels + i]);
            let sum: f64 = counting.iter().map(|&token| weight(token) * value(token)).sum();
            y[item * channels + i] = if counting.is_empty() { 0.0 } else { (sum / total) as f32 };
        }
    }
}
