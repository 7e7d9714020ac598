use super::rows::{dot, size_of};
use crate::kernels::attention::Params;

/// In place of ln 0, so that softmax stays defined where every token is masked: all then count alike.
const LOWEST: f64 = -3.4e38;

/// Proportional attention of each head (paper, section 3, "Tracking Token Size", equation 1):
/// `y = softmax(q k^T * scale + ln size) v`. A token of size s counts as s tokens, one of size 0 as none. Without sizes
/// it is `torch.nn.functional.scaled_dot_product_attention`. With positions and a table, what the table has for how far apart
/// query and key lie is added as well.
///
/// `q` is `[batch, queries, heads, head_width]`, `k` and `v` are `[batch, skip + tokens, heads, head_width]`, all three
/// strided as `params` say; `size` is `[batch, skip + tokens]`, `y` `[batch, queries, heads, head_width]`, and `biased` are
/// the kernel's `position` and `bias`.
pub fn attention(
    params: &Params,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    size: Option<&[f32]>,
    biased: Option<(&[f32], &[f32])>,
    y: &mut [f32],
) {
    let &Params { batch, queries, tokens, heads, head_width, q_image, q_stride, stride, .. } = params;
    let [batch, queries, tokens, heads] = [batch, queries, tokens, heads].map(|v| v as usize);
    let [width, q_image, q_stride, stride] = [head_width, q_image, q_stride, stride].map(|v| v as usize);
    let skip = params.skip as usize;
    let q = &q[params.q_start as usize..];
    let k = &k[params.k_start as usize..];
    let v = &v[params.v_start as usize..];

    for item in 0..batch {
        let place = |token: usize| item * (skip + tokens) + skip + token;
        let ln_size: Vec<f64> =
            (0..tokens).map(|token| size_of(size, place(token)).ln().max(LOWEST)).collect();
        for query in 0..queries {
            for head in 0..heads {
                let q = &q[item * q_image + query * q_stride + head * width..][..width];
                // Where a head of a token begins in k and in v.
                let at = |token: usize| place(token) * stride + head * width;
                let bias = |token: usize| {
                    biased.map_or(0.0, |(position, bias)| {
                        let at = [query, token].map(|token| &position[2 * place(token)..][..2]);
                        pair_bias(params, bias, head, [query, token], at)
                    })
                };
                let score = |token: usize| {
                    dot(q, &k[at(token)..][..width]) * f64::from(params.scale) + ln_size[token] + bias(token)
                };
                let share = softmax((0..tokens).map(score).collect());
                let y = &mut y[((item * queries + query) * heads + head) * width..][..width];
                for i in 0..width {
                    let value = |token: usize| share[token] * f64::from(v[at(token) + i]);
                    y[i] = (0..tokens).map(value).sum::<f64>() as f32;
                }
            }
        }
    }
}

/// What is added to the score of a query and a key of a head: the table's value where they are as far apart as that says,
/// linear between its rows and columns.
fn pair_bias(params: &Params, bias: &[f32], head: usize, pair: [usize; 2], at: [&[f32]; 2]) -> f64 {
    let sides = [params.rows, params.columns].map(|side| 2 * side as usize - 1);
    let table = &bias[head * (sides[0] * sides[1] + 3)..];
    let nowhere = pair.map(|token| token < params.prefix as usize);
    match nowhere {
        [true, false] => return table[sides[0] * sides[1]].into(),
        [false, true] => return table[sides[0] * sides[1] + 1].into(),
        [true, true] => return table[sides[0] * sides[1] + 2].into(),
        [false, false] => {}
    }
    let along = |side: usize| {
        let middle = (sides[side] / 2) as f64;
        let apart = f64::from(at[0][side]) - f64::from(at[1][side]) + middle;
        let apart = apart.clamp(0.0, 2.0 * middle);
        [(apart.floor() as usize, 1.0 - apart.fract()), (apart.ceil() as usize, apart.fract())]
    };
    let [rows, columns] = [along(0), along(1)];
    let value = |row: usize, column: usize| f64::from(table[row * sides[1] + column]);
    rows.iter().map(|&(y, down)| down * columns.map(|(x, by)| by * value(y, x)).iter().sum::<f64>()).sum()
}

/// `e^score / sum of e^score`; the highest score is taken off first, which changes nothing but keeps e^score finite.
fn softmax(scores: Vec<f64>) -> Vec<f64> {
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|score| (score - highest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}
