use super::slices::{Split, part, part_mut};
use crate::kernels::rank_matches::{END, Params};

/// The r best edges as a merge plan: protected tokens, unmerged sources, destinations. The unmerged stay in order of
/// position, or, where nothing is protected, in falling order of similarity.
///
/// # Panics
/// Where `r` is more than may merge, a score is NaN, a protected token is among the r best edges, or a slice too short.
pub fn rank_matches(
    params: &Params,
    score: &[f32],
    best: &[u32],
    split: Option<&[u32]>,
    rank: &mut [u32],
    plan: &mut [u32],
) {
    let params = params.with_split(split.is_some()).unwrap_or_else(|e| panic!("{e}"));
    let Params { batch, tokens, r, protect, srcs, .. } = params;
    let split = Split::new(split, batch, tokens, srcs, params.split_stride);
    let score = part("score", score, &[batch, srcs]);
    let best = part("best", best, &[batch, srcs]);
    let rank = part_mut("rank", rank, &[batch, srcs]);
    let plan = part_mut("plan", plan, &[batch, params.plan_len()]);
    assert!(!score.iter().any(|v| v.is_nan()), "a score is NaN");
    let [tokens, r, protect, srcs] = [tokens, r, protect, srcs].map(|v| v as usize);

    for item in 0..batch as usize {
        let score = &score[item * srcs..][..srcs];
        let best = &best[item * srcs..][..srcs];
        let rank = &mut rank[item * srcs..][..srcs];
        let plan = &mut plan[item * (3 * tokens - r)..][..3 * tokens - r];
        let (sources, destinations) = split.of(item);

        // The most similar first; the sort is stable, so that equal scores keep the order of their tokens.
        let mut order: Vec<usize> = (0..srcs).collect();
        order.sort_by(|&a, &b| score[b].partial_cmp(&score[a]).unwrap_or(std::cmp::Ordering::Equal));
        order.iter().enumerate().for_each(|(place, &source)| rank[source] = place as u32);
        let (merged, unmerged) = order.split_at_mut(r);
        merged.sort_unstable();
        if protect > 0 {
            unmerged.sort_unstable();
        }

        // Protected tokens in order, then the other unmerged sources, then the other destinations.
        let others = unmerged.iter().map(|&i| sources[i]).chain(destinations.iter().copied());
        let others = others.map(|token| token as usize).filter(|&token| token >= protect);
        let keep: Vec<usize> = (0..protect).chain(others).collect();
        // Nothing merges and nothing moves.
        let keep = if r == 0 { (0..tokens).collect() } else { keep };
        assert_eq!(keep.len(), tokens - r, "a protected token is among the r best edges");

        let (plan_keep, rest) = plan.split_at_mut(tokens - r);
        let (next, group) = rest.split_at_mut(tokens);
        for (place, &token) in keep.iter().enumerate() {
            plan_keep[place] = token as u32;
            group[token] = place as u32;
        }
        // Each group as a list: the destination, then its sources in order.
        next.fill(END);
        let mut last: Vec<usize> = (0..tokens).collect();
        for &i in merged.iter() {
            let (source, destination) = (sources[i], destinations[best[i] as usize] as usize);
            assert!((protect..tokens).contains(&destination), "a protected token is among the r best edges");
            next[last[destination]] = source;
            last[destination] = source as usize;
            group[source as usize] = group[destination];
        }
    }
}
