use crate::groups::write_plan;
use crate::kernels::choose_matches::Params;
use crate::kernels::rank_matches::END;

/// Bipartite soft matching by a threshold, second half. Of each image the edges whose scores are above it merge, but at
/// most the r best of them, and at least as many as it takes to fit into `tokens - least` places. An edge with padding,
/// which has size 0, never merges, and no more than half of the unprotected tokens do. On equal scores the lower source goes first.
///
/// The output is ordered protected tokens, unmerged sources, destinations, none of them padding; the unmerged stay in order
/// of position, or, where nothing is protected, in falling order of similarity; where nothing merges nothing moves. Then come
/// places that keep nobody. A source whose best destination is padding, as none is better, comes last and goes to the first
/// destination that is none.
///
/// `score` and `best` are `[batch, tokens / 2]`, rounded up, of [`find_matches`](super::find_matches()) where tokens
/// alternate, `size` is `[batch, tokens]`, `rank` like `score`, `plan` `[batch, 3 tokens - least]` as that of
/// [`rank_matches`](super::rank_matches()), `mask` `[batch, tokens - least]`: 1 where a place keeps a token.
///
/// # Panics
/// Where [`Params::check`] finds fault, or a score is NaN.
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
    let (srcs, places) = (tokens.div_ceil(2) as usize, (tokens - least) as usize);
    for item in 0..batch as usize {
        let edges = item * srcs..(item + 1) * srcs;
        let (score, best, rank) = (&score[edges.clone()], &best[edges.clone()], &mut rank[edges]);
        let there = |token: u32| {
            let size = size.map_or(1.0, |size| size[item * tokens as usize + token as usize]);
            token >= protect && size > 0.0
        };
        let sources: Vec<usize> = (0..srcs).filter(|&i| there(2 * i as u32)).collect();
        let destinations: Vec<u32> = (0..tokens / 2).filter(|&j| there(2 * j + 1)).collect();
        let leads = |i: usize| destinations.contains(&best[i]);
        let goal = |i: usize| if leads(i) { best[i] } else { destinations[0] };

        // A stable sort: equal scores keep the order of their sources.
        let mut order = sources.clone();
        let score_of = |i: usize| if leads(i) { score[i] } else { f32::NEG_INFINITY };
        order.sort_by(|&a, &b| score_of(b).partial_cmp(&score_of(a)).expect("a score is NaN"));
        rank.fill(END);
        order.iter().enumerate().for_each(|(place, &i)| rank[i] = place as u32);

        let above = order.iter().filter(|&&i| leads(i) && score[i] > threshold).count();
        let free = sources.len() + destinations.len();
        let needed = (protect as usize + free).saturating_sub(places);
        let most = if destinations.is_empty() { 0 } else { sources.len().min(free / 2) };
        let merging = above.min(r as usize).max(needed).min(most);
        let (merged, unmerged) = order.split_at_mut(merging);
        merged.sort();
        if protect > 0 {
            unmerged.sort();
        }

        let unmerged = unmerged.iter().map(|&i| vec![2 * i as u32]);
        let gathered = destinations.iter().map(|&j| {
            let into = merged.iter().filter(|&&i| goal(i) == j).map(|&i| 2 * i as u32);
            std::iter::once(2 * j + 1).chain(into).collect()
        });
        let mut groups: Vec<Vec<u32>> =
            (0..protect).map(|token| vec![token]).chain(unmerged).chain(gathered).collect();
        if merging == 0 {
            groups.sort();
        }
        let plan_len = params.plan_len() as usize;
        write_plan(&groups, tokens, &mut plan[item * plan_len..][..plan_len]);
        let mask = &mut mask[item * places..][..places];
        mask.iter_mut().enumerate().for_each(|(place, value)| *value = f32::from(place < groups.len()));
    }
}
