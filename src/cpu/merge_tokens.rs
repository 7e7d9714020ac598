use super::slices::{part, part_mut};
use crate::kernels::layer_norm;
use crate::kernels::merge_tokens::{Mode, Params};
use crate::kernels::rank_matches::END;

/// Each output token gathers its group: x becomes one value by the mode, size the sum; `normed` is x brought to mean 0
/// and variance 1.
///
/// # Panics
/// Where `channels` is 0, `r` is not below `tokens`, the plan is not one of
/// [`rank_matches`](super::rank_matches()), there is no such mode, or a slice is too short.
#[expect(clippy::too_many_arguments, reason = "the kernel's buffers in order")]
pub fn merge_tokens(
    params: &Params,
    plan: &[u32],
    x: &[f32],
    size: Option<&[f32]>,
    source: Option<&[u32]>,
    x_out: &mut [f32],
    size_out: &mut [f32],
    source_out: &mut [u32],
    normed: Option<&mut [f32]>,
) {
    let &Params { batch, tokens, r, channels, sources, mode, eps, .. } = params;
    assert!(r < tokens, "r is {r} of {tokens} tokens");
    assert!(mode.exists(), "there is no {mode:?}");
    assert!(source.is_some() || sources == tokens || sources == 0, "{sources} original tokens of {tokens}");
    let (merged, plan_len) = (tokens - r, 3 * tokens - r);
    let plan = part("plan", plan, &[batch, plan_len]);
    let x = part("x", x, &[batch, tokens, channels]);
    let size = size.map(|size| part("size", size, &[batch, tokens]));
    let source = source.map(|source| part("source", source, &[batch, sources]));
    let x_out = part_mut("x_out", x_out, &[batch, merged, channels]);
    let size_out = part_mut("size_out", size_out, &[batch, merged]);
    let source_out = part_mut("source_out", source_out, &[batch, sources]);
    let [tokens, merged, channels, sources, plan_len] =
        [tokens, merged, channels, sources, plan_len].map(|v| v as usize);

    for item in 0..batch as usize {
        let (keep, rest) = plan[item * plan_len..][..plan_len].split_at(merged);
        let (next, group) = rest.split_at(tokens);
        let x = &x[item * tokens * channels..][..tokens * channels];
        let row = |token: usize| &x[token * channels..][..channels];
        let size_of = |token: usize| size.map_or(1.0, |size| f64::from(size[item * tokens + token]));
        let mut gathered = vec![0.0; channels];

        for (place, &kept) in keep.iter().enumerate() {
            let index = item * merged + place;
            let x_out = &mut x_out[index * channels..][..channels];
            let follower =
                |token: usize| Some(next[token]).filter(|&next| next != END).map(|next| next as usize);
            let group = || std::iter::successors(Some(kept as usize), |&token| follower(token)).take(tokens);
            let total: f64 = group().map(size_of).sum();
            size_out[index] = total as f32;
            if mode == Mode::KEEP_ONE || follower(kept as usize).is_none() {
                x_out.copy_from_slice(row(kept as usize));
                continue;
            }

            let weight = |token| if mode == Mode::WEIGHTED_MEAN { size_of(token) } else { 1.0 };
            for (at, token) in group().enumerate() {
                let weight = weight(token);
                for (all, &v) in gathered.iter_mut().zip(row(token)) {
                    let v = weight * f64::from(v);
                    *all = match mode {
                        _ if at == 0 => v,
                        Mode::MAX => all.max(v),
                        Mode::MIN => all.min(v),
                        _ => *all + v,
                    };
                }
            }
            let over = match mode {
                Mode::WEIGHTED_MEAN => total,
                Mode::MEAN => group().count() as f64,
                _ => 1.0,
            };
            x_out.iter_mut().zip(&gathered).for_each(|(x, all)| *x = (all / over) as f32);
        }
        for i in 0..sources {
            let holder = source.map_or(i, |source| source[item * sources + i] as usize);
            source_out[item * sources + i] = group[holder];
        }
    }
    if let Some(normed) = normed {
        let rows = batch * merged as u32;
        let params = layer_norm::Params { rows, channels: channels as u32, eps, ..Default::default() };
        super::layer_norm(&params, x_out, None, None, normed);
    }
}
