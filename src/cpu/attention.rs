use super::math::softmax;
use super::pair_bias::PairBiases;
use super::product::{Packed, multiply, pack_columns, pack_rows};
use super::slices::{elements, part, part_mut, strided};
use super::threads::{for_each_chunk, threads};
use crate::kernels::attention::Params;

/// The most queries that are answered together: their scores stay in a core's cache.
const QUERIES: usize = 64;

/// In place of ln 0: a token of size 0 is masked out, and softmax stays defined where every one is.
const LOWEST: f32 = -3.4e38;

/// `y = softmax(q k^T * scale + ln size + bias) v` for each head; `biased` are the kernel's `position` and `bias`.
///
/// # Panics
/// Where a dimension is 0, `stride` less than a token, a slice too short, or there is a bias and the queries are not the tokens.
pub fn attention(
    params: &Params,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    size: Option<&[f32]>,
    biased: Option<(&[f32], &[f32])>,
    y: &mut [f32],
) {
    let &Params { batch, queries, tokens, heads, head_width, q_image, q_stride, stride, scale, .. } = params;
    let size = size.map(|size| part("size", size, &[batch, params.skip + tokens]));
    let y = part_mut("y", y, &[batch, queries, heads, head_width]);
    let channels = elements(&[heads, head_width]);
    let [queries, tokens, heads, width] = [queries, tokens, heads, head_width].map(|v| v as usize);
    let [q_image, q_stride, stride] = [q_image, q_stride, stride].map(|v| v as usize);
    let [q_start, k_start, v_start] =
        [params.q_start, params.k_start, params.v_start].map(|start| start as usize);
    let skip = params.skip as usize;
    let least = stride.min(q_stride);
    assert!(channels <= least, "stride {least} is less than a token, {channels}");
    assert!(biased.is_none() || (queries, skip) == (tokens, 0), "a bias is for tokens among each other");

    // Blocks of about the same size, as many for each thread.
    let blocks = queries.div_ceil(QUERIES).next_multiple_of(threads());
    let near = queries.div_ceil(blocks);
    for (item, y) in y.chunks_exact_mut(queries * channels).enumerate() {
        let first = item * (skip + tokens) + skip;
        let ln_size: Option<Vec<f32>> =
            size.map(|size| size[first..][..tokens].iter().map(|size| size.ln().max(LOWEST)).collect());
        let (q_start, image) = (q_start + item * q_image, first * stride);
        // The keys and values of each head.
        let mut packed = vec![(Vec::new(), Vec::new()); heads];
        for_each_chunk(&mut packed, 1, |head, packed| {
            let start = image + head * width;
            let k = strided("k", k, k_start + start, [tokens, width], stride);
            let v = strided("v", v, v_start + start, [tokens, width], stride);
            packed[0] = (pack_rows(k, [tokens, width], stride), pack_columns(v, [tokens, width], stride));
        });
        for_each_chunk(y, near * channels, |block, y| {
            let queries = y.len() / channels;
            let q_start = q_start + block * near * q_stride;
            let q = strided("q", q, q_start, [queries, channels], q_stride);
            let mut scores = vec![0.0; queries * tokens];
            let biases = biased.map(|(position, bias)| {
                let position = &part("position", position, &[batch, tokens as u32, 2])[2 * first..];
                PairBiases::new(params, block * near..block * near + queries, position, bias)
            });
            for (head, (k, v)) in packed.iter().enumerate() {
                let q = &q[head * width..];
                multiply(queries, (q, q_stride), Packed::new(k, [width, tokens]), (&mut scores, tokens));
                for (query, row) in scores.chunks_exact_mut(tokens).enumerate() {
                    match &ln_size {
                        Some(ln_size) => {
                            row.iter_mut().zip(ln_size).for_each(|(score, ln)| *score = *score * scale + ln)
                        }
                        None => row.iter_mut().for_each(|score| *score *= scale),
                    }
                    if let Some(biases) = &biases {
                        biases.add(head, query, row);
                    }
                    softmax(row);
                }
                let y = (&mut y[head * width..], channels);
                multiply(queries, (&scores, tokens), Packed::new(v, [tokens, width]), y);
            }
        });
    }
}
