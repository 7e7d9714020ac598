use super::slices::{part, part_mut};
use crate::groups::write_plan;
use crate::kernels::choose_matches::Params;
use crate::kernels::rank_matches::END;

/// The edges above a threshold as a merge plan in which every image has as many places: those that keep nobody come last.
///
/// # Panics
/// Where [`Params::check`] finds fault, or a slice is too short.
pub fn choose_matches(
    params: &Params,
    score: &[f32],
    best: &[u32],
    size: Option<&[f32]>,
    rank: &mut [u32],
    plan: &mut [u32],
    mask: &mut [f32],
) {
    params.check().unwrap_or_else(|e| panic!("{e}"));
    let &Params { batch, tokens, r, least, protect, threshold } = params;
    let srcs = tokens.div_ceil(2);
    let score = part("score", score, &[batch, srcs]);
    let best = part("best", best, &[batch, srcs]);
    let size = size.map(|size| part("size", size, &[batch, tokens]));
    let rank = part_mut("rank", rank, &[batch, srcs]);
    let plan = part_mut("plan", plan, &[batch, params.plan_len()]);
    let places = (tokens - least) as usize;
    let mask = part_mut("mask", mask, &[batch, tokens - least]);
    let srcs = srcs as usize;

    let images = plan.chunks_exact_mut(params.plan_len() as usize).zip(mask.chunks_exact_mut(places));
    for (item, (plan, mask)) in images.enumerate() {
        let [first, last] = [item * srcs, (item + 1) * srcs];
        let (score, best, rank) = (&score[first..last], &best[first..last], &mut rank[first..last]);
        let counts = |token: u32| {
            token >= protect && size.is_none_or(|size| size[item * tokens as usize + token as usize] > 0.0)
        };
        // What merges first stands in front, and those whose best is padding last.
        let alone = |i: usize| best[i] >= tokens / 2 || !counts(2 * best[i] + 1);
        let score_of = |i: usize| if alone(i) { f32::NEG_INFINITY } else { score[i] };
        let mut order: Vec<(f32, usize)> =
            (0..srcs).filter(|&i| counts(2 * i as u32)).map(|i| (score_of(i), i)).collect();
        // The sort is stable, so that equal scores keep the order of their tokens.
        order.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap_or(std::cmp::Ordering::Equal));
        rank.fill(END);
        (0..).zip(&order).for_each(|(place, &(_, i))| rank[i] = place);

        let above = order.partition_point(|&(score, _)| score > threshold);
        let goals: Vec<u32> = (0..tokens / 2).filter(|&j| counts(2 * j + 1)).collect();
        let stay = protect as usize + order.len() + goals.len();
        let ready = if goals.is_empty() { 0 } else { order.len() };
        let most = ready.min((stay - protect as usize) / 2);
        let merging = above.min(r as usize).max(stay.saturating_sub(places)).min(most);
        let (merged, unmerged) = order.split_at_mut(merging);
        merged.sort_unstable_by_key(|&(_, i)| i);
        if protect > 0 {
            unmerged.sort_unstable_by_key(|&(_, i)| i);
        }
        let mut into: Vec<Vec<u32>> = vec![Vec::new(); tokens as usize / 2];
        for &(_, i) in merged.iter() {
            // Where none is better than padding it is the first.
            let goal = if alone(i) { goals[0] } else { best[i] };
            into[goal as usize].push(2 * i as u32);
        }

        let mut groups: Vec<Vec<u32>> = (0..protect).map(|token| vec![token]).collect();
        groups.extend(unmerged.iter().map(|&(_, i)| vec![2 * i as u32]));
        groups.extend(goals.iter().map(|&j| [&[2 * j + 1][..], &into[j as usize]].concat()));
        if merging == 0 {
            groups.sort_unstable();
        }
        write_plan(&groups, tokens, plan);
        mask.fill(0.0);
        mask[..groups.len()].fill(1.0);
    }
}
