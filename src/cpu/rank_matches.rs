use super::slices::{part, part_mut};
use crate::kernels::rank_matches::{END, Params};

/// The r best edges as a merge plan: protected tokens, unmerged even tokens, odd tokens. The unmerged stay in order
/// of position, or, where nothing is protected, in falling order of similarity.
///
/// # Panics
/// Where `r` is more than half of the unprotected tokens, a score is NaN, a protected token is among the r best
/// edges, or a slice too short.
pub fn rank_matches(params: &Params, score: &[f32], best: &[u32], rank: &mut [u32], plan: &mut [u32]) {
    let &Params { batch, tokens, r, protect } = params;
    assert!(
        r <= crate::schedule::most(tokens, protect),
        "r is {r}; {tokens} tokens, {protect} of them protected"
    );
    let evens = tokens.div_ceil(2);
    let score = part("score", score, &[batch, evens]);
    let best = part("best", best, &[batch, evens]);
    let rank = part_mut("rank", rank, &[batch, evens]);
    let plan = part_mut("plan", plan, &[batch, params.plan_len()]);
    assert!(!score.iter().any(|v| v.is_nan()), "a score is NaN");
    let [tokens, r, protect, evens] = [tokens, r, protect, evens].map(|v| v as usize);

    for item in 0..batch as usize {
        let score = &score[item * evens..][..evens];
        let best = &best[item * evens..][..evens];
        let rank = &mut rank[item * evens..][..evens];
        let plan = &mut plan[item * (3 * tokens - r)..][..3 * tokens - r];

        // The most similar first; the sort is stable, so that equal scores keep the order of their tokens.
        let mut order: Vec<usize> = (0..evens).collect();
        order.sort_by(|&a, &b| score[b].partial_cmp(&score[a]).unwrap_or(std::cmp::Ordering::Equal));
        order.iter().enumerate().for_each(|(place, &even)| rank[even] = place as u32);
        let (merged, unmerged) = order.split_at_mut(r);
        merged.sort_unstable();
        if protect > 0 {
            unmerged.sort_unstable();
        }

        // Protected tokens in order, then the other unmerged even tokens, then the other odd tokens.
        let keep: Vec<usize> = (0..protect)
            .chain(unmerged.iter().map(|even| 2 * even).filter(|&token| token >= protect))
            .chain((0..tokens / 2).map(|odd| 2 * odd + 1).filter(|&token| token >= protect))
            .collect();
        // Nothing merges and nothing moves.
        let keep = if r == 0 { (0..tokens).collect() } else { keep };
        assert_eq!(keep.len(), tokens - r, "a protected token is among the r best edges");

        let (plan_keep, rest) = plan.split_at_mut(tokens - r);
        let (next, group) = rest.split_at_mut(tokens);
        for (place, &token) in keep.iter().enumerate() {
            plan_keep[place] = token as u32;
            group[token] = place as u32;
        }
        // Each group as a list: the odd token, then its even tokens in order.
        next.fill(END);
        let mut last: Vec<usize> = (0..tokens).collect();
        for &even in merged.iter() {
            let odd = 2 * best[even] as usize + 1;
            assert!((protect..tokens).contains(&odd), "a protected token is among the r best edges");
            next[last[odd]] = 2 * even as u32;
            last[odd] = 2 * even;
            group[2 * even] = group[odd];
        }
    }
}
