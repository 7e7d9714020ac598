use super::math::gains;
use super::product::{Packed, multiply, pack_rows};
use super::slices::{part, part_mut};
use super::threads::{for_each_chunk, threads};
use crate::kernels::token_energy::{PROTECTED, Params, UNDIRECTED};

/// The energy of each unprotected token: the mean over the unprotected tokens, itself among them, of their cosine x where
/// that is at least the margin m, and of e^(x - m) - 1 where it is below.
///
/// # Panics
/// Where `tokens` or `width` is 0, or a slice is too short.
pub fn token_energy(params: &Params, metric: &[f32], energy: &mut [f32]) {
    let &Params { batch, tokens, width, protect, margin } = params;
    let metric = part("metric", metric, &[batch, tokens, width]);
    let energy = part_mut("energy", energy, &[batch, tokens]);
    let [tokens, width, protect] = [tokens, width, protect.min(tokens)].map(|v| v as usize);

    let images = metric.chunks_exact(tokens * width);
    for (metric, energy) in images.zip(energy.chunks_exact_mut(tokens)) {
        let (front, energy) = energy.split_at_mut(protect);
        front.fill(PROTECTED);
        let (metric, free) = (&metric[protect * width..], energy.len());
        let packed = pack_rows(metric, [free, width], width);
        // The cosines of a few tokens with all at once; on the GPU, where memory is dearer, each is dropped at once.
        let near = free.div_ceil(threads()).max(1);
        for_each_chunk(energy, near, |chunk, energy| {
            let rows = &metric[chunk * near * width..][..energy.len() * width];
            let mut cosines = vec![0.0; energy.len() * free];
            multiply(energy.len(), (rows, width), Packed::new(&packed, [width, free]), (&mut cosines, free));
            let rows = rows.chunks_exact(width).zip(cosines.chunks_exact_mut(free));
            for ((token, energy), (row, cosines)) in (chunk * near..).zip(energy).zip(rows) {
                // Whatever rounding makes of it, so that equals stay equal.
                cosines[token] = 1.0;
                let directed = row.iter().any(|v| v * v > 0.0);
                *energy = if directed { (gains(cosines, margin) / free as f64) as f32 } else { UNDIRECTED };
            }
        });
    }
}
