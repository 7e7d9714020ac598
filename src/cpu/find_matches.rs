use super::matrix::{Matrix, multiply};
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
    let odds = tokens / 2;
    // One product finds every similarity; on the GPU, where memory is dearer, each is dropped at once.
    let mut similarity = vec![0.0; evens * odds];

    let images = metric.chunks_exact(tokens * width);
    for ((metric, score), best) in images.zip(score.chunks_exact_mut(evens)).zip(best.chunks_exact_mut(evens))
    {
        let of_evens = Matrix::new(metric, [evens, width], 2 * width);
        let of_odds = Matrix::new(&metric[width.min(metric.len())..], [odds, width], 2 * width);
        multiply(of_evens, of_odds.transposed(), 1.0, &mut similarity, odds);
        let directed: Vec<bool> =
            metric.chunks_exact(width).map(|token| token.iter().any(|v| v * v > 0.0)).collect();
        if directed.contains(&false) {
            for (even, row) in similarity.chunks_exact_mut(odds.max(1)).enumerate() {
                for (odd, value) in row.iter_mut().enumerate() {
                    if !(directed[2 * even] && directed[2 * odd + 1]) {
                        *value = UNDIRECTED;
                    }
                }
            }
        }
        for even in 0..evens {
            (score[even], best[even]) = (PROTECTED, 0);
            if 2 * even < protect {
                continue;
            }
            let row = &similarity[even * odds..][..odds];
            for (odd, &value) in row.iter().enumerate().skip(protect / 2) {
                if value > score[even] {
                    (score[even], best[even]) = (value, odd as u32);
                }
            }
        }
    }
}
