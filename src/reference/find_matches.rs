use super::rows::dot;
use super::rows::size_of;
use super::split_tokens::sides;
use crate::kernels::find_matches::{FARTHEST, PROTECTED, Params, Similarity, UNDIRECTED};

/// Bipartite soft matching, first half: `best[a] = argmax over b of similarity(a, b)` and `score[a]`, the maximum, for
/// each source a and all destinations b, the lowest of equals (paper, section 3, "Bipartite Soft Matching", steps 1
/// and 2; appendix D).
///
/// [`PROTECTED`], and partner 0, for a token that may not merge, as it is protected, and nothing merges into it either, or
/// among the first `held` sources of a list. [`UNDIRECTED`] where one of the two is the zero vector. Where sizes count,
/// `s = (s - top) h^p + top` with p `by_size`, h the harmonic mean of the two sizes, each at least 1, and top the similarity
/// of a token to itself.
///
/// `metric` is `[batch, tokens, width]`, `size` (1 where absent) `[batch, tokens]`, `split` `[batch or 1, tokens]`; `score` and `best` are `[batch, sources]`.
pub fn find_matches(
    params: &Params,
    metric: &[f32],
    split: Option<&[u32]>,
    size: Option<&[f32]>,
    score: &mut [f32],
    best: &mut [u32],
) {
    let &Params { batch, tokens, width, protect, srcs, split_stride, held, by_size, .. } = params;
    let held = split.map_or(0, |_| held as usize);
    let [image, width, protect] = [tokens * width, width, protect].map(|v| v as usize);
    for item in 0..batch as usize {
        let metric = &metric[item * image..][..image];
        let row = |token: usize| &metric[token * width..][..width];
        let directed = |token: usize| row(token).iter().any(|v| v * v > 0.0);
        let (sources, destinations) = sides(split, item, tokens, srcs, split_stride);
        for (i, &a) in sources.iter().enumerate() {
            let edge = item * sources.len() + i;
            (score[edge], best[edge]) = (PROTECTED, 0);
            for (j, &b) in destinations.iter().enumerate() {
                if i < held || a < protect || b < protect {
                    continue;
                }
                let value = match directed(a) && directed(b) {
                    true => {
                        let [a_size, b_size] =
                            [a, b].map(|token| size_of(size, item * tokens as usize + token).max(1.0));
                        let mean = 2.0 * a_size * b_size / (a_size + b_size);
                        let top = if params.similarity == Similarity::Euclidean { 0.0 } else { 1.0 };
                        let value = similarity_of(params.similarity, row(a), row(b));
                        match by_size {
                            0.0 => value as f32,
                            _ => {
                                ((value - top) * mean.powf(by_size.into()) + top).max(FARTHEST.into()) as f32
                            }
                        }
                    }
                    false => UNDIRECTED,
                };
                if value > score[edge] {
                    (score[edge], best[edge]) = (value, j as u32);
                }
            }
        }
    }
}

/// Table 1's distances, larger where two are more alike. The cosine is the dot product of vectors of length 1.
pub(super) fn similarity_of(similarity: Similarity, a: &[f32], b: &[f32]) -> f64 {
    if similarity == Similarity::Euclidean {
        0.0 - a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>()
    } else {
        dot(a, b)
    }
}
