use super::math::first_highest;
use super::product::{Packed, multiply, pack_rows};
use super::slices::{Split, part, part_mut};
use super::threads::{for_each_chunk, threads};
use crate::kernels::find_matches::{FARTHEST, PROTECTED, Params, Similarity, UNDIRECTED};

/// For every source its most similar destination, the lower one on equal similarity.
///
/// # Panics
/// Where `width`, `tokens` or the number of sources is 0, a list names a token that is not there, or a slice is too
/// short.
pub fn find_matches(
    params: &Params,
    metric: &[f32],
    split: Option<&[u32]>,
    size: Option<&[f32]>,
    score: &mut [f32],
    best: &mut [u32],
) {
    let Params { batch, tokens, width, protect, similarity, by_size, held, .. } =
        params.with_split(split.is_some());
    let split = Split::new(split, batch, tokens, params.srcs, params.split_stride);
    let srcs = split.srcs as usize;
    let metric = part("metric", metric, &[batch, tokens, width]);
    let size = size.filter(|_| by_size > 0.0).map(|size| part("size", size, &[batch, tokens]));
    let score = part_mut("score", score, &[batch, split.srcs]);
    let best = part_mut("best", best, &[batch, split.srcs]);
    let [tokens, width] = [tokens, width].map(|v| v as usize);

    let images = metric.chunks_exact(tokens * width);
    let edges = score.chunks_exact_mut(srcs).zip(best.chunks_exact_mut(srcs));
    for (item, (metric, (score, best))) in images.zip(edges).enumerate() {
        let (sources, destinations) = split.of(item);
        let row = |token: u32| &metric[token as usize * width..][..width];
        let directed = |token: u32| row(token).iter().any(|v| v * v > 0.0);
        let rows = |tokens: &[u32]| tokens.iter().map(|&token| row(token)).collect::<Vec<_>>().concat();
        let (a, b) = (rows(&sources), rows(&destinations));
        let packed = pack_rows(&b, [destinations.len(), width], width);
        // Destinations whose similarity is not the one of their metrics.
        let others = destinations.iter().enumerate().filter_map(|(j, &destination)| match destination {
            token if token < protect => Some((j, PROTECTED)),
            token if !directed(token) => Some((j, UNDIRECTED)),
            _ => None,
        });
        let others: Vec<(usize, f32)> = others.collect();
        let size_of = |token: u32| size.map_or(1.0, |size| size[item * tokens + token as usize].max(1.0));
        let sizes: Vec<f32> = destinations.iter().map(|&token| size_of(token)).collect();

        // The best edge of each source, a few sources to a thread: all similarities at once; on the GPU, where memory is
        // dearer, each is dropped at once.
        let mut edges = vec![(PROTECTED, 0); srcs];
        let near = srcs.div_ceil(threads());
        for_each_chunk(&mut edges, near, |chunk, edges| {
            let (first, columns) = (chunk * near, destinations.len());
            let a = &a[first * width..][..edges.len() * width];
            let mut similarities = match similarity {
                Similarity::Euclidean => distances(a, &b, width),
                _ => products(a, Packed::new(&packed, [width, columns]), [width, columns]),
            };
            let rows = similarities.chunks_exact_mut(columns.max(1));
            let edges = edges.iter_mut().zip(&sources[first..]).zip(rows);
            for ((edge, &source), row) in edges.skip((held as usize).saturating_sub(first)) {
                if !directed(source) {
                    row.fill(UNDIRECTED);
                }
                if size.is_some() && directed(source) {
                    weigh(row, size_of(source), &sizes, (similarity, by_size));
                }
                others.iter().for_each(|&(j, value)| row[j] = value);
                if let Some((value, j)) = first_highest(row).filter(|&(value, _)| value > PROTECTED) {
                    *edge = (value, j as u32);
                }
            }
        });
        score.iter_mut().zip(best).zip(edges).for_each(|((score, best), edge)| (*score, *best) = edge);
    }
}

/// Similarities of a token of some size to others, the larger the two the more alike they must be.
fn weigh(row: &mut [f32], size: f32, sizes: &[f32], (similarity, by_size): (Similarity, f32)) {
    let top = if similarity == Similarity::Euclidean { 0.0 } else { 1.0 };
    let weigh = |row: &mut [f32], weight: fn(f32, f32) -> f32| {
        for (value, other) in row.iter_mut().zip(sizes) {
            let mean = 2.0 * size * other / (size + other);
            *value = ((*value - top) * weight(mean, by_size) + top).max(FARTHEST);
        }
    };
    // A power is a hundred times a product.
    match by_size {
        0.5 => weigh(row, |mean, _| mean.sqrt()),
        1.0 => weigh(row, |mean, _| mean),
        _ => weigh(row, f32::powf),
    }
}

/// The dot product of each row of a with each of b.
fn products(a: &[f32], b: Packed<'_>, [width, columns]: [usize; 2]) -> Vec<f32> {
    let rows = a.len() / width;
    let mut y = vec![0.0; rows * columns];
    multiply(rows, (a, width), b, (&mut y, columns));
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
