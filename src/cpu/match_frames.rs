use super::find_matches;
use super::slices::{part, part_mut};
use super::threads::for_each_chunk;
use crate::groups::write_plan;
use crate::kernels::find_matches as finding;
use crate::kernels::match_frames::Params;

/// The merge plan of frame groups that keep to themselves and each lose as many tokens.
///
/// # Panics
/// Where [`Params::check`] finds fault, or a slice is too short.
pub fn match_frames(params: &Params, metric: &[f32], size: Option<&[f32]>, plan: &mut [u32]) {
    params.check().unwrap_or_else(|e| panic!("{e}"));
    let &Params { batch, tokens, width, protect, groups, .. } = params;
    let metric = part("metric", metric, &[batch, tokens, width]);
    let size = size.map(|size| part("size", size, &[batch, tokens]));
    let plan = part_mut("plan", plan, &[batch, params.plan_len()]);
    let length = params.length() as usize;
    let [tokens, width, protect, groups] = [tokens, width, protect, groups].map(|v| v as usize);

    // Of each group the places of the sources that merge, and where to.
    let mut edges: Vec<Vec<[usize; 2]>> =
        vec![Vec::new(); if params.lost > 0 { batch as usize * groups } else { 0 }];
    for_each_chunk(&mut edges, 1, |index, edges| {
        let start = index / groups * tokens + protect + index % groups * length;
        let size = size.map(|size| &size[start..][..length]);
        edges[0] = best_edges(params, &metric[start * width..][..length * width], size);
    });
    for (item, plan) in plan.chunks_exact_mut(params.plan_len() as usize).enumerate() {
        let mut left: Vec<Vec<u32>> = (0..tokens as u32).map(|token| vec![token]).collect();
        for (group, edges) in edges.iter().skip(item * groups).take(groups).enumerate() {
            let first = protect + group * length;
            for [source, to] in edges.iter().map(|edge| edge.map(|place| first + place)) {
                left[source].clear();
                left[to].push(source as u32);
            }
        }
        left.retain(|members| !members.is_empty());
        write_plan(&left, tokens as u32, plan);
    }
}

/// Of one group, in the order of the sources.
fn best_edges(params: &Params, metric: &[f32], size: Option<&[f32]>) -> Vec<[usize; 2]> {
    let &Params { width, similarity, by_size, .. } = params;
    let tokens = params.length();
    let (sources, destinations): (Vec<u32>, Vec<u32>) =
        (0..tokens).partition(|place| place % 2 == params.first_source());
    let list = [&sources[..], &destinations].concat();
    let srcs = sources.len() as u32;
    let find = finding::Params { batch: 1, tokens, width, similarity, srcs, by_size, ..Default::default() };
    let (mut score, mut best) = (vec![0.0; sources.len()], vec![0; sources.len()]);
    find_matches(&find, metric, Some(&list), size, &mut score, &mut best);
    // The most similar first; the sort is stable, so that equal scores keep the order of their tokens.
    let mut order: Vec<usize> = (0..sources.len()).collect();
    order.sort_by(|&a, &b| score[b].partial_cmp(&score[a]).unwrap_or(std::cmp::Ordering::Equal));
    order.truncate(params.lost as usize);
    order.sort_unstable();
    order
        .into_iter()
        .map(|i| [sources[i], destinations[best[i] as usize]].map(|place| place as usize))
        .collect()
}
