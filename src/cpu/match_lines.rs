use super::slices::{part, part_mut};
use crate::groups::write_plan;
use crate::kernels::find_matches::{Similarity, UNDIRECTED};
use crate::kernels::match_lines::Params;

/// The merge plan of a grid whose lines each lose as many tokens, and that stays a grid.
///
/// # Panics
/// Where [`Params::check`] finds fault, a metric is not finite, or a slice is too short.
pub fn match_lines(params: &Params, metric: &[f32], plan: &mut [u32]) {
    params.check().unwrap_or_else(|e| panic!("{e}"));
    let &Params { batch, tokens, width, protect, rows, columns, lost, similarity } = params;
    let metric = part("metric", metric, &[batch, tokens, width]);
    let plan = part_mut("plan", plan, &[batch, params.plan_len()]);
    // A grid's lines are `across`, their tokens `step` apart.
    let [length, across] = [rows.max(columns), rows.min(columns)];
    let [step, line_step] = if params.along_rows() { [1, length] } else { [across, 1] };

    let images = plan.chunks_exact_mut(params.plan_len() as usize);
    for (item, plan) in images.enumerate() {
        let row = |token: u32| &metric[(item * tokens as usize + token as usize) * width as usize..];
        let score = |a: u32, b: u32| score(similarity, &row(a)[..width as usize], &row(b)[..width as usize]);
        let mut groups: Vec<Vec<u32>> = (0..protect).map(|token| vec![token]).collect();
        for line in 0..params.lines() {
            let first = protect + line / across * across * length + line % across * line_step;
            groups.extend(line_groups(first, step, length as usize, lost as usize, score));
        }
        if !params.along_rows() {
            to_rows(&mut groups[protect as usize..], across as usize, (length - lost) as usize);
        }
        write_plan(&groups, tokens, plan);
    }
}

/// What a line of tokens becomes: every neighbours' score once, then the best sources go.
fn line_groups(
    first: u32,
    step: u32,
    length: usize,
    lost: usize,
    score: impl Fn(u32, u32) -> f32,
) -> Vec<Vec<u32>> {
    let token = |place: usize| first + place as u32 * step;
    let scores: Vec<f32> = (1..length).map(|place| score(token(place - 1), token(place))).collect();
    let mut edges: Vec<(usize, usize, f32)> = (0..length)
        .step_by(2)
        .filter_map(|place| {
            let before = place.checked_sub(1).map(|to| (place, to, scores[to]));
            let behind = scores.get(place).map(|&score| (place, place + 1, score));
            match (before, behind) {
                (Some(before), Some(behind)) => Some(if behind.2 > before.2 { behind } else { before }),
                _ => before.or(behind),
            }
        })
        .collect();
    // The sort is stable, so that equal scores keep the order of their tokens.
    edges.sort_by(|a, b| b.2.partial_cmp(&a.2).unwrap_or(std::cmp::Ordering::Equal));
    edges.truncate(lost);
    edges.sort_unstable_by_key(|&(place, ..)| place);
    let mut groups: Vec<Vec<u32>> = (0..length).map(|place| vec![token(place)]).collect();
    for &(place, to, _) in &edges {
        groups[to].push(token(place));
        groups[place].clear();
    }
    groups.retain(|group| !group.is_empty());
    groups
}

/// Of each frame's columns, one after the other, its rows.
fn to_rows(groups: &mut [Vec<u32>], columns: usize, rows: usize) {
    for frame in groups.chunks_exact_mut(columns * rows) {
        let mut turned = Vec::with_capacity(frame.len());
        for row in 0..rows {
            turned.extend((0..columns).map(|column| std::mem::take(&mut frame[column * rows + row])));
        }
        frame.swap_with_slice(&mut turned);
    }
}

/// How much two metrics are alike.
fn score(similarity: Similarity, a: &[f32], b: &[f32]) -> f32 {
    let directed = |row: &[f32]| row.iter().any(|v| v * v > 0.0);
    if !directed(a) || !directed(b) {
        return UNDIRECTED;
    }
    let pairs = a.iter().zip(b).map(|(&a, &b)| (f64::from(a), f64::from(b)));
    let sum: f64 = match similarity {
        Similarity::Euclidean => pairs.map(|(a, b)| -(a - b) * (a - b)).sum(),
        _ => pairs.map(|(a, b)| a * b).sum(),
    };
    sum as f32
}
