use std::iter::successors;

use super::math::{add_row, divide_row, normalise, squares};
use super::slices::{part, part_mut};
use super::threads::{for_each_chunk, threads};
#[cfg(doc)]
use crate::kernels::merge_tokens::MergedPosition;
use crate::kernels::merge_tokens::{MergeMode, Params};
use crate::kernels::rank_matches::END;

/// Each output token gathers its group: x becomes one value by the mode, size the sum; `normed` is x brought to mean 0
/// and variance 1. A token of size 0 counts for nothing, and a place that keeps none becomes one. `positions` are those
/// before and after; they are merged as [`MergedPosition`] says.
///
/// # Panics
/// Where `channels` is 0, `r` is not below `tokens`, the plan is not one of
/// [`rank_matches`](super::rank_matches()), or a slice is too short.
#[expect(clippy::too_many_arguments, reason = "the buffers of the kernel")]
pub fn merge_tokens(
    params: &Params,
    plan: &[u32],
    x: &[f32],
    size: Option<&[f32]>,
    x_out: &mut [f32],
    size_out: &mut [f32],
    normed: Option<&mut [f32]>,
    positions: Option<(&[f32], &mut [f32])>,
) {
    let &Params { batch, tokens, r, channels, mode, eps, kind, .. } = params;
    assert!(r < tokens, "r is {r} of {tokens} tokens");
    let (merged, plan_len) = (tokens - r, 3 * tokens - r);
    let plan = part("plan", plan, &[batch, plan_len]);
    let x = part("x", x, &[batch, tokens, channels]);
    let size = size.map(|size| part("size", size, &[batch, tokens]));
    let x_out = part_mut("x_out", x_out, &[batch, merged, channels]);
    let size_out = part_mut("size_out", size_out, &[batch, merged]);
    let normed = normed.map(|normed| part_mut("normed", normed, &[batch, merged, channels]));
    if let Some((before, after)) = positions {
        // Two channels more, which go by a mode of their own.
        let params = Params { channels: 2, mode: params.positions_mode(), ..*params };
        merge_tokens(&params, plan, before, size, after, &mut vec![0.0; size_out.len()], None, None);
    }
    let [tokens, merged, channels, plan_len] = [tokens, merged, channels, plan_len].map(|v| v as usize);

    // Each output token: its row, its size and its row of `normed`.
    let mut normed = normed.map(|normed| normed.chunks_exact_mut(channels));
    let rows = x_out.chunks_exact_mut(channels).zip(size_out);
    let mut rows: Vec<_> = rows.map(|row| (row, normed.as_mut().and_then(Iterator::next))).collect();
    let near = rows.len().div_ceil(threads()).max(1);
    for_each_chunk(&mut rows, near, |chunk, rows| {
        let mut sums = vec![0.0; channels];
        for (index, ((x_out, size_out), normed)) in (chunk * near..).zip(rows) {
            let (item, place) = (index / merged, index % merged);
            let (keep, rest) = plan[item * plan_len..][..plan_len].split_at(merged);
            let size = size.map(|size| &size[item * tokens..][..tokens]);
            let image = Image { x: &x[item * tokens * channels..], size, next: &rest[..tokens] };
            **size_out = match keep[place] {
                END => {
                    x_out.fill(0.0);
                    0.0
                }
                kept => image.gather(mode, kept, &mut sums, x_out),
            };
            if let Some(normed) = normed {
                normalise(kind, x_out, eps, normed);
            }
        }
    });
}

/// An image's tokens, their sizes, and of each token the next of its group.
struct Image<'a> {
    x: &'a [f32],
    size: Option<&'a [f32]>,
    next: &'a [u32],
}

impl Image<'_> {
    /// The group that begins with a token becomes one row; gives the group's size.
    fn gather(&self, mode: MergeMode, kept: u32, sums: &mut [f64], x_out: &mut [f32]) -> f32 {
        let kept = kept as usize;
        let row = |token: usize| &self.x[token * x_out.len()..][..x_out.len()];
        let size_of = |token: usize| self.size.map_or(1.0, |size| f64::from(size[token]));
        let follower =
            |&token: &usize| Some(self.next[token]).filter(|&next| next != END).map(|next| next as usize);
        let group = || successors(Some(kept), follower).take(self.next.len());
        let counting = || group().filter(|&token| size_of(token) > 0.0);
        let total: f64 = group().map(size_of).sum();

        let keeps = mode == MergeMode::KeepOne && size_of(kept) > 0.0;
        if keeps || follower(&kept).is_none() || total == 0.0 {
            x_out.copy_from_slice(row(kept));
            return total as f32;
        }
        let mut over = match mode {
            MergeMode::WeightedMean | MergeMode::Mlerp => total,
            MergeMode::Mean => counting().count() as f64,
            _ => 1.0,
        };
        sums.fill(0.0);
        for (at, token) in counting().enumerate() {
            let with = |sums: &mut [f64], choose: fn(f64, f64) -> f64| {
                sums.iter_mut().zip(row(token)).for_each(|(all, &v)| *all = choose(*all, f64::from(v)));
            };
            match mode {
                MergeMode::WeightedMean | MergeMode::Mlerp => add_row(row(token), size_of(token), sums),
                _ if at == 0 => add_row(row(token), 1.0, sums),
                MergeMode::KeepOne => break,
                MergeMode::Max => with(sums, f64::max),
                MergeMode::Min => with(sums, f64::min),
                MergeMode::MaxMagnitude => with(sums, |most, v| if v.abs() > most.abs() { v } else { most }),
                MergeMode::Mean | MergeMode::Sum => add_row(row(token), 1.0, sums),
            }
        }
        if mode == MergeMode::Mlerp {
            // As long as the longest; sums of zero stay zero.
            let longest = counting().map(|token| squares(row(token))).fold(0.0, f64::max);
            let length: f64 = sums.iter().map(|sum| sum * sum).sum();
            if length > 0.0 {
                over = (length / longest).sqrt();
            }
        }
        divide_row(sums, over, x_out);
        total as f32
    }
}
