use super::split_tokens::sides;
use crate::kernels::rank_matches::{END, Params};

/// Bipartite soft matching, second half: the r edges with the highest scores merge (paper, section 3, "Bipartite Soft
/// Matching", steps 3 and 4; appendix D). On equal scores the lower source goes first.
///
/// The output is ordered protected tokens, unmerged sources, destinations. The unmerged stay in order of position, or,
/// where nothing is protected, in falling order of similarity. With r = 0 nothing moves.
///
/// `score` and `best` are `[batch, sources]`, `split` is `[batch or 1, tokens]`, `rank`, `[batch, sources]`, a source's
/// place in falling order of score. `plan` is `[batch, 3 tokens - r]`: the first token of each group, for each token the
/// next of its group or [`END`], for each token the number of its group.
///
/// # Panics
/// Where a score is NaN, or a protected token would merge.
pub fn rank_matches(
    params: &Params,
    score: &[f32],
    best: &[u32],
    split: Option<&[u32]>,
    rank: &mut [u32],
    plan: &mut [u32],
) {
    let &Params { batch, tokens, r, protect, srcs, split_stride, .. } = params;
    for item in 0..batch as usize {
        let (sources, destinations) = sides(split, item, tokens, srcs, split_stride);
        let edges = item * sources.len()..(item + 1) * sources.len();
        let (score, best, rank) = (&score[edges.clone()], &best[edges.clone()], &mut rank[edges]);

        // A stable sort: equal scores keep the order of their sources.
        let mut order: Vec<usize> = (0..sources.len()).collect();
        order.sort_by(|&a, &b| score[b].partial_cmp(&score[a]).expect("a score is NaN"));
        order.iter().enumerate().for_each(|(place, &i)| rank[i] = place as u32);
        let (merged, unmerged) = order.split_at_mut(r as usize);
        merged.sort();
        if protect > 0 {
            unmerged.sort();
        }

        let [tokens, protect] = [tokens, protect].map(|v| v as usize);
        let alone = |token: usize| vec![token];
        let groups: Vec<Vec<usize>> = if r == 0 {
            (0..tokens).map(alone).collect()
        } else {
            let unmerged = unmerged.iter().map(|&i| sources[i]).filter(|&a| a >= protect).map(alone);
            let gathered = destinations.iter().enumerate().filter(|&(_, &b)| b >= protect).map(|(j, &b)| {
                let into_b = merged.iter().filter(|&&i| best[i] == j as u32).map(|&i| sources[i]);
                std::iter::once(b).chain(into_b).collect()
            });
            (0..protect).map(alone).chain(unmerged).chain(gathered).collect()
        };
        // What has merged into a protected token is in no group; what is protected and merges is in two.
        let members: usize = groups.iter().map(Vec::len).sum();
        let right = groups.len() == tokens - r as usize && members == tokens;
        assert!(right, "a protected token is among the r best edges");

        let plan = &mut plan[item * (groups.len() + 2 * tokens)..][..groups.len() + 2 * tokens];
        let (keep, rest) = plan.split_at_mut(groups.len());
        let (next, group) = rest.split_at_mut(tokens);
        for (place, members) in groups.iter().enumerate() {
            keep[place] = members[0] as u32;
            for (i, &token) in members.iter().enumerate() {
                next[token] = members.get(i + 1).map_or(END, |&next| next as u32);
                group[token] = place as u32;
            }
        }
    }
}
