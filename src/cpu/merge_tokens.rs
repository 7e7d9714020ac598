use super::slices::{part, part_mut};
use crate::kernels::layer_norm;
use crate::kernels::merge_tokens::{MergeMode, Params};
use crate::kernels::rank_matches::END;

/// Each output token gathers its group: x becomes one value by the mode, size the sum; `normed` is x brought to mean 0
/// and variance 1. A token of size 0 counts for nothing.
///
/// # Panics
/// Where `channels` is 0, `r` is not below `tokens`, the plan is not one of
/// [`rank_matches`](super::rank_matches()), or a slice is too short.
pub fn merge_tokens(
    params: &Params,
    plan: &[u32],
    x: &[f32],
    size: Option<&[f32]>,
    x_out: &mut [f32],
    size_out: &mut [f32],
    normed: Option<&mut [f32]>,
) {
    let &Params { batch, tokens, r, channels, mode, eps } = params;
    assert!(r < tokens, "r is {r} of {tokens} tokens");
    let (merged, plan_len) = (tokens - r, 3 * tokens - r);
    let plan = part("plan", plan, &[batch, plan_len]);
    let x = part("x", x, &[batch, tokens, channels]);
    let size = size.map(|size| part("size", size, &[batch, tokens]));
    let x_out = part_mut("x_out", x_out, &[batch, merged, channels]);
    let size_out = part_mut("size_out", size_out, &[batch, merged]);
    let [tokens, merged, channels, plan_len] = [tokens, merged, channels, plan_len].map(|v| v as usize);

    let mut gathered = vec![0.0; channels];
    for item in 0..batch as usize {
        let (keep, rest) = plan[item * plan_len..][..plan_len].split_at(merged);
        let next = &rest[..tokens];
        let x = &x[item * tokens * channels..][..tokens * channels];
        let row = |token: usize| &x[token * channels..][..channels];
        let size_of = |token: usize| size.map_or(1.0, |size| f64::from(size[item * tokens + token]));

        for (place, &kept) in keep.iter().enumerate() {
            let index = item * merged + place;
            let x_out = &mut x_out[index * channels..][..channels];
            let follower =
                |token: usize| Some(next[token]).filter(|&next| next != END).map(|next| next as usize);
            let group = || std::iter::successors(Some(kept as usize), |&token| follower(token)).take(tokens);
            let total: f64 = group().map(size_of).sum();
            size_out[index] = total as f32;
            let keeps = mode == MergeMode::KeepOne && size_of(kept as usize) > 0.0;
            if keeps || follower(kept as usize).is_none() || total == 0.0 {
                x_out.copy_from_slice(row(kept as usize));
                continue;
            }

            let weight = |token| if mode == MergeMode::WeightedMean { size_of(token) } else { 1.0 };
            let counting = || group().filter(|&token| size_of(token) > 0.0);
            for (at, token) in counting().enumerate() {
                let weight = weight(token);
                for (all, &v) in gathered.iter_mut().zip(row(token)) {
                    let v = weight * f64::from(v);
                    *all = match mode {
                        _ if at == 0 => v,
                        MergeMode::KeepOne => *all,
                        MergeMode::Max => all.max(v),
                        MergeMode::Min => all.min(v),
                        _ => *all + v,
                    };
                }
            }
            let over = match mode {
                MergeMode::WeightedMean => total,
                MergeMode::Mean => counting().count() as f64,
                _ => 1.0,
            };
            x_out.iter_mut().zip(&gathered).for_each(|(x, all)| *x = (all / over) as f32);
        }
    }
    if let Some(normed) = normed {
        let params = layer_norm::Params::new(batch * merged as u32, channels as u32, eps);
        super::layer_norm(&params, x_out, None, None, normed);
    }
}
