use super::slices::{part, part_mut};
use crate::kernels::merge_tokens::Params;
use crate::kernels::rank_matches::END;

/// Each output token gathers its group: x is the mean weighted by size, size the sum.
///
/// # Panics
/// Where `channels` is 0, `r` is not below `tokens`, the plan is not one of
/// [`rank_matches`](super::rank_matches()), or a slice too short.
#[expect(clippy::too_many_arguments, reason = "the kernel's buffers in order")]
pub fn merge_tokens(
    params: &Params,
    plan: &[u32],
    x: &[f32],
    size: &[f32],
    source: &[u32],
    x_out: &mut [f32],
    size_out: &mut [f32],
    source_out: &mut [u32],
) {
    let &Params { batch, tokens, r, channels, sources } = params;
    assert!(r < tokens, "r is {r} of {tokens} tokens");
    let (merged, plan_len) = (tokens - r, 3 * tokens - r);
    let plan = part("plan", plan, &[batch, plan_len]);
    let x = part("x", x, &[batch, tokens, channels]);
    let size = part("size", size, &[batch, tokens]);
    let source = part("source", source, &[batch, sources]);
    let x_out = part_mut("x_out", x_out, &[batch, merged, channels]);
    let size_out = part_mut("size_out", size_out, &[batch, merged]);
    let source_out = part_mut("source_out", source_out, &[batch, sources]);
    let [tokens, merged, channels, sources, plan_len] =
        [tokens, merged, channels, sources, plan_len].map(|v| v as usize);

    for item in 0..batch as usize {
        let (keep, rest) = plan[item * plan_len..][..plan_len].split_at(merged);
        let (next, group) = rest.split_at(tokens);
        let x = &x[item * tokens * channels..][..tokens * channels];
        let size = &size[item * tokens..][..tokens];
        let row = |token: usize| &x[token * channels..][..channels];
        let mut sums = vec![0.0; channels];

        for (place, &kept) in keep.iter().enumerate() {
            let index = item * merged + place;
            let x_out = &mut x_out[index * channels..][..channels];
            let follower =
                |token: usize| Some(next[token]).filter(|&next| next != END).map(|next| next as usize);
            let group = std::iter::successors(Some(kept as usize), |&token| follower(token)).take(tokens);

            if follower(kept as usize).is_none() {
                size_out[index] = size[kept as usize];
                x_out.copy_from_slice(row(kept as usize));
                continue;
            }
            let mut total = 0.0;
            sums.fill(0.0);
            for token in group {
                let weight = f64::from(size[token]);
                total += weight;
                sums.iter_mut().zip(row(token)).for_each(|(sum, &v)| *sum += weight * f64::from(v));
            }
            size_out[index] = total as f32;
            x_out.iter_mut().zip(&sums).for_each(|(x, sum)| *x = (sum / total) as f32);
        }
        for i in item * sources..(item + 1) * sources {
            source_out[i] = group[source[i] as usize];
        }
    }
}
