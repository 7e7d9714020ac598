use super::find_matches::similarity_of;
use crate::groups::write_plan;
use crate::kernels::find_matches::UNDIRECTED;
use crate::kernels::match_lines::Params;

/// Matching along the lines of a grid (after CubistMerge, arXiv 2509.21764): in each line along the longer side, a row of
/// a square, source 2 i goes to the more similar of 2 i - 1 and 2 i + 1, the lower of equals, and the `lost` sources with
/// the highest scores merge, the lower of equals first. [`UNDIRECTED`] is the score where one of the two is the zero
/// vector. What is left of the lines is, row by row, a grid.
///
/// `metric` is `[batch, tokens, width]`, `plan` that of [`rank_matches`](super::rank_matches()).
///
/// # Panics
/// Where [`Params::check`] finds fault.
pub fn match_lines(params: &Params, metric: &[f32], plan: &mut [u32]) {
    params.check().unwrap_or_else(|e| panic!("{e}"));
    let &Params { batch, tokens, width, protect, rows, columns, .. } = params;
    for item in 0..batch {
        let row = |token: u32| &metric[((item * tokens + token) * width) as usize..][..width as usize];
        let score = |a: u32, b: u32| {
            let directed = [a, b].iter().all(|&token| row(token).iter().any(|v| v * v > 0.0));
            if directed { similarity_of(params.similarity, row(a), row(b)) as f32 } else { UNDIRECTED }
        };
        let mut groups: Vec<Vec<u32>> = (0..protect).map(|token| vec![token]).collect();
        for grid in (protect..tokens).step_by((rows * columns) as usize) {
            if params.along_rows() {
                for row in 0..rows {
                    let line: Vec<u32> = (0..columns).map(|column| grid + row * columns + column).collect();
                    groups.extend(groups_of(&line, params.lost, score));
                }
            } else {
                let of_columns: Vec<Vec<Vec<u32>>> = (0..columns)
                    .map(|column| (0..rows).map(|row| grid + row * columns + column).collect::<Vec<u32>>())
                    .map(|line| groups_of(&line, params.lost, score))
                    .collect();
                for row in 0..(rows - params.lost) as usize {
                    groups.extend(of_columns.iter().map(|column| column[row].clone()));
                }
            }
        }
        let plan_len = params.plan_len() as usize;
        write_plan(&groups, tokens, &mut plan[item as usize * plan_len..][..plan_len]);
    }
}

/// What a line becomes, in order.
fn groups_of(line: &[u32], lost: u32, score: impl Fn(u32, u32) -> f32) -> Vec<Vec<u32>> {
    // Of each source its best score and the place where it goes.
    let mut edges: Vec<(f32, usize, usize)> = Vec::new();
    for source in (0..line.len()).step_by(2) {
        let neighbours = [source.wrapping_sub(1), source + 1];
        let mut best: Option<(f32, usize, usize)> = None;
        for place in neighbours.into_iter().filter(|&place| place < line.len()) {
            let score = score(line[source], line[place]);
            if best.is_none_or(|(highest, ..)| score > highest) {
                best = Some((score, source, place));
            }
        }
        edges.extend(best);
    }
    // A stable sort: equal scores keep the order of their sources.
    edges.sort_by(|a, b| b.0.partial_cmp(&a.0).expect("a score is NaN"));
    edges.truncate(lost as usize);
    let merged = |place: usize| edges.iter().any(|&(_, source, _)| source == place);
    let group = |place: usize| {
        let sources = [place.wrapping_sub(1), place + 1].into_iter();
        let into = sources.filter(|&source| edges.iter().any(|&(_, s, to)| (s, to) == (source, place)));
        [place].into_iter().chain(into).map(|place| line[place]).collect()
    };
    (0..line.len()).filter(|&place| !merged(place)).map(group).collect()
}
