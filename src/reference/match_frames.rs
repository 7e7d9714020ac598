use super::find_matches::find_matches;
use crate::groups::write_plan;
use crate::kernels::find_matches as finding;
use crate::kernels::match_frames::Params;

/// Bipartite soft matching within frame groups (paper, section 3, on the tokens of each group alone): in each, every other
/// token is a source, the second, the fourth, .. where the number of protected tokens is odd and else the first, the
/// third, ..; each goes to the destination that [`find_matches`](super::find_matches()) finds among the group's others, and
/// the `lost` sources with the highest scores merge, the lower of equals first. What is left keeps its order.
///
/// `metric` is `[batch, tokens, width]`, `size` (1 where absent) `[batch, tokens]`, `plan` that of
/// [`rank_matches`](super::rank_matches()).
///
/// # Panics
/// Where [`Params::check`] finds fault.
pub fn match_frames(params: &Params, metric: &[f32], size: Option<&[f32]>, plan: &mut [u32]) {
    params.check().unwrap_or_else(|e| panic!("{e}"));
    let &Params { batch, tokens, width, protect, similarity, by_size, .. } = params;
    let length = params.length();
    for item in 0..batch {
        let mut left: Vec<Vec<u32>> = (0..protect).map(|token| vec![token]).collect();
        for group in 0..params.groups {
            let first = protect + group * length;
            let (sources, destinations): (Vec<u32>, Vec<u32>) =
                (0..length).partition(|place| place % 2 == params.first_source());
            let srcs = sources.len() as u32;
            let mut edges = Vec::new();
            if srcs > 0 {
                let start = item * tokens + first;
                let metric = &metric[(start * width) as usize..][..(length * width) as usize];
                let size = size.map(|size| &size[start as usize..][..length as usize]);
                let (mut score, mut best) = (vec![f32::NAN; srcs as usize], vec![u32::MAX; srcs as usize]);
                let find = finding::Params {
                    batch: 1,
                    tokens: length,
                    width,
                    similarity,
                    srcs,
                    by_size,
                    ..finding::Params::default()
                };
                let list = [&sources[..], &destinations].concat();
                find_matches(&find, metric, Some(&list), size, &mut score, &mut best);
                edges = (0..srcs as usize).map(|i| (score[i], sources[i], best[i])).collect();
            }
            // A stable sort: equal scores keep the order of their sources.
            edges.sort_by(|a, b| b.0.partial_cmp(&a.0).expect("a score is NaN"));
            edges.truncate(params.lost as usize);
            edges.sort_by_key(|&(_, source, _)| source);
            for place in (0..length).filter(|&place| edges.iter().all(|&(_, source, _)| source != place)) {
                let joins = |&&(_, _, to): &&(f32, u32, u32)| destinations.get(to as usize) == Some(&place);
                let members = edges.iter().filter(joins).map(|&(_, source, _)| source);
                left.push([place].into_iter().chain(members).map(|place| first + place).collect());
            }
        }
        let plan_len = params.plan_len() as usize;
        write_plan(&left, tokens, &mut plan[item as usize * plan_len..][..plan_len]);
    }
}
