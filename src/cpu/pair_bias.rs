//! What is added to the scores of some queries by how far they lie from each key.

use std::ops::Range;

use super::slices::part;
use crate::kernels::attention::Params;

/// Where in a head's table the biases of some queries and all keys are: the same for every head.
pub(super) struct PairBiases<'a> {
    bias: &'a [f32],
    /// Values of a head.
    of_head: usize,
    /// Values of a row of displacements.
    line: usize,
    tokens: usize,
    /// `[queries, tokens]`: the first value that counts.
    first: Vec<u32>,
    /// `[queries, tokens]`: how much the next row counts, and the next column, where any may.
    rest: Vec<[f32; 2]>,
}

impl<'a> PairBiases<'a> {
    /// Of queries that are some of the tokens of one image, whose positions are given.
    pub fn new(params: &Params, queries: Range<usize>, position: &[f32], bias: &'a [f32]) -> Self {
        let tokens = params.tokens as usize;
        let sides = [params.rows, params.columns].map(|side| 2 * side - 1);
        let (line, pairs) = (sides[1], sides[0] * sides[1]);
        let middle = sides.map(|side| (side / 2) as f32);
        let bias = part("bias", bias, &[params.heads, pairs + 3]);
        let places = &position.as_chunks::<2>().0[..tokens];
        let mut first = Vec::with_capacity(queries.len() * tokens);
        let mut rest = Vec::with_capacity(if params.between > 0 { first.capacity() } else { 0 });
        for query in queries {
            let apart = |key: &[f32; 2], side: usize| {
                (places[query][side] - key[side] + middle[side]).clamp(0.0, 2.0 * middle[side])
            };
            let prefix = params.prefix as usize;
            let of_prefix = pairs + if query < prefix { 2 } else { 1 };
            let begin = first.len();
            if query < prefix {
                first.extend(places.iter().map(|_| pairs));
            } else {
                first.extend(places.iter().map(|key| apart(key, 0) as u32 * line + apart(key, 1) as u32));
            }
            first[begin..].iter_mut().take(prefix).for_each(|first| *first = of_prefix);
            if params.between > 0 {
                let begin = rest.len();
                rest.extend(places.iter().map(|key| [apart(key, 0).fract(), apart(key, 1).fract()]));
                let nowhere = if query < prefix { tokens } else { prefix.min(tokens) };
                rest[begin..][..nowhere].fill([0.0; 2]);
            }
        }
        PairBiases { bias, of_head: pairs as usize + 3, line: line as usize, tokens, first, rest }
    }

    /// Adds a head's biases to the scores of one of the queries.
    pub fn add(&self, head: usize, query: usize, scores: &mut [f32]) {
        let table = &self.bias[head * self.of_head..][..self.of_head];
        let firsts = self.first[query * self.tokens..].iter().map(|&first| first as usize);
        if self.rest.is_empty() {
            scores.iter_mut().zip(firsts).for_each(|(score, first)| *score += table[first]);
            return;
        }
        let rests = &self.rest[query * self.tokens..];
        for ((score, first), &[below, right]) in scores.iter_mut().zip(firsts).zip(rests) {
            // Where nothing lies behind the point the same again.
            let next = usize::from(right > 0.0);
            let line = |at: usize| table[at] + right * (table[at + next] - table[at]);
            let upper = line(first);
            let lower = line(first + if below > 0.0 { self.line } else { 0 });
            *score += upper + below * (lower - upper);
        }
    }
}
