use super::product::{Packed, multiply, pack_rows};
use super::slices::{Split, part, part_mut};
use super::threads::{for_each_chunk, threads};
use crate::kernels::find_matches::{PROTECTED, Params, Similarity, UNDIRECTED};

/// For every source its most similar destination, the lower one on equal similarity.
///
/// # Panics
/// Where `width`, `tokens` or the number of sources is 0, a list names a token that is not there, or a slice is too
/// short.
pub fn find_matches(
    params: &Params,
    metric: &[f32],
    split: Option<&[u32]>,
    score: &mut [f32],
    best: &mut [u32],
) {
    let &Params { batch, tokens, width, protect, similarity, .. } = params;
    let split = Split::new(split, batch, tokens, params.srcs, params.split_stride);
    let srcs = split.srcs as usize;
    let metric = part("metric", metric, &[batch, tokens, width]);
    let score = part_mut("score", score, &[batch, split.srcs]);
    let best = part_mut("best", best, &[batch, split.srcs]);
    let [tokens, width] = [tokens, width].map(|v| v as usize);

    let images = metric.chunks_exact(tokens * width);
    let edges = score.chunks_exact_mut(srcs).zip(best.chunks_exact_mut(srcs));
    for (item, (metric, (score, best))) in images.zip(edges).enumerate() {
        let (sources, destinations) = split.of(item);
        let row = |token: u32| &metric[token as usize * width..][..width];
        let directed = |token: u32| row(token).iter().any(|v| v * v > 0.0);
        // All similarities at once; on the GPU, where memory is dearer, each is dropped at once.
        let rows = |tokens: &[u32]| tokens.iter().flat_map(|&token| row(token)).copied().collect::<Vec<_>>();
        let (a, b) = (rows(&sources), rows(&destinations));
        let similarity = if similarity == Similarity::Euclidean {
            distances(&a, &b, width)
        } else {
            products(&a, &b, width)
        };
        let with_direction: Vec<bool> = destinations.iter().map(|&token| directed(token)).collect();

        // The best edge of each source, a few sources to a thread.
        let mut edges = vec![(PROTECTED, 0); srcs];
        let near = srcs.div_ceil(threads());
        for_each_chunk(&mut edges, near, |chunk, edges| {
            for (i, edge) in (chunk * near..).zip(edges) {
                if sources[i] < protect {
                    continue;
                }
                let source_directed = directed(sources[i]);
                for (j, &destination) in destinations.iter().enumerate() {
                    let value = match source_directed && with_direction[j] {
                        true => similarity[i * destinations.len() + j],
                        false => UNDIRECTED,
                    };
                    if destination >= protect && value > edge.0 {
                        *edge = (value, j as u32);
                    }
                }
            }
        });
        score.iter_mut().zip(best).zip(edges).for_each(|((score, best), edge)| (*score, *best) = edge);
    }
}

/// The dot product of each row of a with each of b.
fn products(a: &[f32], b: &[f32], width: usize) -> Vec<f32> {
    let (rows, columns) = (a.len() / width, b.len() / width);
    let mut y = vec![0.0; rows * columns];
    let b = pack_rows(b, [columns, width], width);
    let near = rows.div_ceil(threads()).max(1);
    for_each_chunk(&mut y, (near * columns).max(1), |chunk, y| {
        let a = (&a[chunk * near * width..], width);
        multiply(y.len() / columns, a, Packed::new(&b, [width, columns]), (y, columns));
    });
    y
}

/// Minus the squared Euclidean distance of each row of a from each of b.
fn distances(a: &[f32], b: &[f32], width: usize) -> Vec<f32> {
    let mut y = Vec::with_capacity(a.len() / width * (b.len() / width));
    for a in a.chunks_exact(width) {
        for b in b.chunks_exact(width) {
            let squares = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
            y.push((0.0 - squares.sum::<f64>()) as f32);
        }
    }
    y
}
