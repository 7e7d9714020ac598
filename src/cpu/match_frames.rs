use super::find_matches;
use super::slices::{part, part_mut};
use crate::groups::write_plan;
use crate::kernels::find_matches as finding;
use crate::kernels::match_frames::Params;

/// The merge plan of frame groups that keep to themselves and each lose as many tokens.
///
/// # Panics
/// Where [`Params::check`] finds fault, a metric is not finite, or a slice is too short.
pub fn match_frames(params: &Params, metric: &[f32], size: Option<&[f32]>, plan: &mut [u32]) {
    params.check().unwrap_or_else(|e| panic!("{e}"));
    let &Params { batch, tokens, width, protect, similarity, groups, lost, by_size } = params;
    let metric = part("metric", metric, &[batch, tokens, width]);
    let size = size.map(|size| part("size", size, &[batch, tokens]));
    let plan = part_mut("plan", plan, &[batch, params.plan_len()]);
    let length = params.length();
    // A group's sources, then its destinations.
    let (sources, destinations): (Vec<u32>, Vec<u32>) =
        (0..length).partition(|place| place % 2 == params.first_source());
    let list = [&sources[..], &destinations].concat();
    let srcs = sources.len() as u32;
    let find = finding::Params {
        batch: 1,
        tokens: length,
        width,
        similarity,
        srcs,
        by_size,
        ..finding::Params::default()
    };
    let (mut score, mut best) = (vec![0.0; sources.len()], vec![0; sources.len()]);

    for (item, plan) in plan.chunks_exact_mut(params.plan_len() as usize).enumerate() {
        let mut left: Vec<Vec<u32>> = (0..tokens).map(|token| vec![token]).collect();
        for group in (0..groups).filter(|_| lost > 0) {
            let first = (protect + group * length) as usize;
            let start = item * tokens as usize + first;
            let metric = &metric[start * width as usize..][..(length * width) as usize];
            let size = size.map(|size| &size[start..][..length as usize]);
            find_matches(&find, metric, Some(&list), size, &mut score, &mut best);
            // The most similar first; the sort is stable, so that equal scores keep the order of their tokens.
            let mut order: Vec<usize> = (0..sources.len()).collect();
            order.sort_by(|&a, &b| score[b].partial_cmp(&score[a]).unwrap_or(std::cmp::Ordering::Equal));
            order.truncate(lost as usize);
            order.sort_unstable();
            for i in order {
                let [source, to] = [sources[i], destinations[best[i] as usize]].map(|place| first + place as usize);
                left[source].clear();
                left[to].push(source as u32);
            }
        }
        left.retain(|members| !members.is_empty());
        write_plan(&left, tokens, plan);
    }
}
