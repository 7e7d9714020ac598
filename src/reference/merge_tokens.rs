use super::rows::{normalise, size_of};
use crate::kernels::merge_tokens::{MergeMode, MergedPosition, Params};
use crate::kernels::rank_matches::END;

/// Each group of a plan becomes one token: by default the mean weighted by size,
/// `x_out = sum of size * x / sum of size`, and always `size_out = sum of size` (paper, section 3, "Tracking Token Size";
/// Table 1's ways to combine, and those of later papers that [`MergeMode`] names). `normed` is `x_out` brought to mean 0
/// and variance 1 over the channels.
///
/// A token of size 0 counts for nothing in any mode. Where a whole group has none that counts, its first token stays. A
/// place that keeps no token, [`END`] in the plan, becomes zeros of size 0.
///
/// `positions` are those before and after, `[batch, tokens, 2]` and `[batch, m, 2]`: of a group the mean weighted by size,
/// or that of the first token that counts, by [`MergedPosition`], and always the latter where the others are dropped.
///
/// `plan` is `[batch, 3 tokens - r]` of [`rank_matches`](super::rank_matches()), `x` `[batch, tokens, channels]`, `size`
/// (1 where absent) `[batch, tokens]`; with m = tokens - r, `x_out` and `normed` are `[batch, m, channels]`, `size_out` is
/// `[batch, m]`.
#[expect(clippy::too_many_arguments, reason = "the buffers of the kernel")]
pub fn merge_tokens(
    params: &Params,
    plan: &[u32],
    x: &[f32],
    size: Option<&[f32]>,
    x_out: &mut [f32],
    size_out: &mut [f32],
    mut normed: Option<&mut [f32]>,
    mut positions: Option<(&[f32], &mut [f32])>,
) {
    let &Params { batch, tokens, r, channels, mode, eps, kind, .. } = params;
    let stays = params.positions == MergedPosition::Kept || mode == MergeMode::KeepOne;
    let position_mode = if stays { MergeMode::KeepOne } else { MergeMode::WeightedMean };
    let [batch, tokens, r, channels] = [batch, tokens, r, channels].map(|v| v as usize);
    let merged = tokens - r;
    for item in 0..batch {
        let (keep, rest) = plan[item * (merged + 2 * tokens)..].split_at(merged);
        let next = |&token: &usize| Some(rest[token]).filter(|&next| next != END).map(|next| next as usize);
        for place in 0..merged {
            let first = Some(keep[place]).filter(|&first| first != END).map(|first| first as usize);
            let group: Vec<usize> = std::iter::successors(first, next).take(tokens).collect();
            let size = |&token: &usize| size_of(size, item * tokens + token);
            let counting: Vec<usize> = group.iter().copied().filter(|token| size(token) > 0.0).collect();

            let out = item * merged + place;
            // From 0, as the sum of nothing is -0.
            size_out[out] = group.iter().fold(0.0, |sum, token| sum + size(token)) as f32;
            if let Some((before, after)) = &mut positions {
                for i in 0..2 {
                    let value = |&token: &usize| f64::from(before[2 * (item * tokens + token) + i]);
                    let one = combine(position_mode, &counting, size, value);
                    let one = one.unwrap_or_else(|| first.map_or(0.0, |first| value(&first)));
                    after[2 * out + i] = one as f32;
                }
            }
            let x_out = &mut x_out[out * channels..][..channels];
            let value = |token: usize, i: usize| f64::from(x[(item * tokens + token) * channels + i]);
            let channel = |i: usize| {
                let value = |&token: &usize| value(token, i);
                combine(mode, &counting, size, value)
                    .unwrap_or_else(|| first.map_or(0.0, |first| value(&first)))
            };
            let mut row: Vec<f64> = (0..channels).map(channel).collect();
            if mode == MergeMode::Mlerp && group.len() > 1 {
                let norms = counting.iter().map(|&token| norm((0..channels).map(|i| value(token, i))));
                let (largest, length) = (norms.fold(0.0, f64::max), norm(row.iter().copied()));
                if !counting.is_empty() && length > 0.0 {
                    row.iter_mut().for_each(|v| *v *= largest / length);
                }
            }
            (0..channels).for_each(|i| x_out[i] = row[i] as f32);
            if let Some(normed) = &mut normed {
                let normal = normalise(kind, x_out, eps);
                (0..channels).for_each(|i| normed[out * channels + i] = normal[i] as f32);
            }
        }
    }
}

/// The length of a vector.
fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|v| v * v).sum::<f64>().sqrt()
}

/// The value of a group in one channel; None for an empty group.
fn combine(
    mode: MergeMode,
    group: &[usize],
    size: impl Fn(&usize) -> f64,
    value: impl Fn(&usize) -> f64,
) -> Option<f64> {
    let mut values = group.iter().map(&value);
    let first = values.next()?;
    Some(match mode {
        MergeMode::KeepOne => first,
        MergeMode::Max => values.fold(first, f64::max),
        MergeMode::Min => values.fold(first, f64::min),
        MergeMode::Sum => values.fold(first, |sum, v| sum + v),
        MergeMode::Mean => values.fold(first, |sum, v| sum + v) / group.len() as f64,
        MergeMode::MaxMagnitude => values.fold(first, |most, v| if v.abs() > most.abs() { v } else { most }),
        MergeMode::WeightedMean | MergeMode::Mlerp => {
            let weighted: f64 = group.iter().map(|token| size(token) * value(token)).sum();
            weighted / group.iter().map(size).sum::<f64>()
        }
    })
}
