use super::math::dot;
use super::slices::{part, part_mut};
use crate::kernels::find_matches::{PROTECTED, Params, UNDIRECTED};

/// For every even token its most similar odd token by the dot product of unit metrics, the lower one on equal
/// similarity.
///
/// # Panics
/// Where `width` or `tokens` is 0 or a slice too short.
pub fn find_matches(params: &Params, metric: &[f32], score: &mut [f32], best: &mut [u32]) {
    let &Params { batch, tokens, width, protect } = params;
    let evens = tokens.div_ceil(2) as usize;
    let metric = part("metric", metric, &[batch, tokens, width]);
    let score = part_mut("score", score, &[batch, tokens.div_ceil(2)]);
    let best = part_mut("best", best, &[batch, tokens.div_ceil(2)]);
    let [tokens, width, protect] = [tokens, width, protect].map(|v| v as usize);
    let directed = |token: &[f32]| token.iter().any(|v| v * v > 0.0);

    let images = metric.chunks_exact(tokens * width);
    for ((metric, score), best) in images.zip(score.chunks_exact_mut(evens)).zip(best.chunks_exact_mut(evens))
    {
        let token = |i: usize| &metric[i * width..][..width];
        for even in 0..evens {
            (score[even], best[even]) = (PROTECTED, 0);
            for odd in 0..tokens / 2 {
                let (a, b) = (2 * even, 2 * odd + 1);
                let similarity = if a < protect || b < protect {
                    PROTECTED
                } else if directed(token(a)) && directed(token(b)) {
                    dot(token(a), token(b)) as f32
                } else {
                    UNDIRECTED
                };
                if similarity > score[even] {
                    (score[even], best[even]) = (similarity, odd as u32);
                }
            }
        }
    }
}
