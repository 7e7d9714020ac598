use super::math::softmax;
use super::matrix::{Matrix, multiply};
use super::slices::{elements, part, part_mut};
use super::threads::for_each_chunk;
use crate::kernels::attention::Params;

/// Queries that are answered together: their scores stay in a core's cache.
const QUERIES: usize = 64;

/// In place of ln 0: a token of size 0 is masked out, and softmax stays defined where every one is.
const LOWEST: f32 = -3.4e38;

/// `y = softmax(q k^T * scale + ln size) v` for each head.
///
/// # Panics
/// Where a dimension is 0, `stride` less than a token, or a slice too short.
pub fn attention(params: &Params, q: &[f32], k: &[f32], v: &[f32], size: Option<&[f32]>, y: &mut [f32]) {
    let &Params { batch, queries, tokens, heads, head_width, q_image, q_stride, stride, scale, .. } = params;
    let size = size.map(|size| part("size", size, &[batch, tokens]));
    let y = part_mut("y", y, &[batch, queries, heads, head_width]);
    let channels = elements(&[heads, head_width]);
    let [queries, tokens, heads, width] = [queries, tokens, heads, head_width].map(|v| v as usize);
    let [q_image, q_stride, stride] = [q_image, q_stride, stride].map(|v| v as usize);
    let [q_start, k_start, v_start] =
        [params.q_start, params.k_start, params.v_start].map(|start| start as usize);
    let least = stride.min(q_stride);
    assert!(channels <= least, "stride {least} is less than a token, {channels}");

    for (item, y) in y.chunks_exact_mut(queries * channels).enumerate() {
        let ln_size: Option<Vec<f32>> = size
            .map(|size| size[item * tokens..][..tokens].iter().map(|size| size.ln().max(LOWEST)).collect());
        let (q_start, image) = (q_start + item * q_image, item * tokens * stride);
        for_each_chunk(y, QUERIES * channels, |block, y| {
            let queries = y.len() / channels;
            let q_start = q_start + block * QUERIES * q_stride;
            let mut scores = vec![0.0; queries * tokens];
            for head in (0..heads).map(|head| head * width) {
                let q = Matrix::new(&q[q_start + head..], [queries, width], q_stride);
                let k = Matrix::new(&k[k_start + image + head..], [tokens, width], stride);
                let v = Matrix::new(&v[v_start + image + head..], [tokens, width], stride);
                multiply(q, k.transposed(), scale, &mut scores, tokens);
                for row in scores.chunks_exact_mut(tokens) {
                    if let Some(ln_size) = &ln_size {
                        row.iter_mut().zip(ln_size).for_each(|(score, ln_size)| *score += ln_size);
                    }
                    softmax(row);
                }
                multiply(Matrix::new(&scores, [queries, tokens], tokens), v, 1.0, &mut y[head..], channels);
            }
        });
    }
}
