//! The matchings that the paper's own is held against (Table 2), as a textbook has them.

use super::rows::size_of;
use crate::groups::write_plan;
use crate::kernels::attention;
use crate::kernels::find_matches::{Similarity, UNDIRECTED};
use crate::kernels::split_tokens::pcg;
use crate::matching::Params;

/// r times the two most similar of all unprotected groups become one, the first two of equals (paper, Table 2, "greedy").
/// A group is as alike to another as the means of their tokens' metrics are.
///
/// `metric` is `[batch, tokens, width]`, `plan` as that of [`rank_matches`](super::rank_matches()): groups are ordered by
/// their first tokens, which stay in place.
pub fn greedy(params: &Params, metric: &[f32], plan: &mut [u32]) {
    each_image(params, metric, plan, |_, points, _| {
        let protect = params.protect as usize;
        let mut groups: Vec<Vec<u32>> = (0..params.tokens).map(|token| vec![token]).collect();
        for _ in 0..params.r {
            let mut best = (f64::NEG_INFINITY, 0, 0);
            for a in protect..groups.len() {
                for b in a + 1..groups.len() {
                    let [of_a, of_b] = [a, b].map(|group| mean(points, &groups[group]));
                    let alike = alike(params.similarity, &of_a, &of_b);
                    if alike > best.0 {
                        best = (alike, a, b);
                    }
                }
            }
            let joined = groups.remove(best.2);
            groups[best.1].extend(joined);
            groups[best.1].sort();
        }
        groups
    });
}

/// As many clusters as are to be left of the unprotected tokens (paper, Table 2, "k-means"). The centres are at first those
/// tokens whose numbers are `i * free / k`, rounded down; then, `iterations` times, each token goes to the most similar
/// centre, the first of equals, a centre without tokens takes that which is the least at home of all that are not alone,
/// and centres become the means of their tokens' metrics.
///
/// `metric` is `[batch, tokens, width]`, `plan` as that of [`greedy`].
pub fn kmeans(params: &Params, iterations: u32, metric: &[f32], plan: &mut [u32]) {
    each_image(params, metric, plan, |_, points, _| {
        let (protect, free) = (params.protect, params.tokens - params.protect);
        let clusters = free - params.r;
        let token = |i: u32| vec![protect + (u64::from(i) * u64::from(free) / u64::from(clusters)) as u32];
        // The tokens whose mean a centre is.
        let mut members: Vec<Vec<u32>> = (0..clusters).map(token).collect();
        for _ in 0..iterations {
            let centres: Vec<Vec<f64>> = members.iter().map(|tokens| mean(points, tokens)).collect();
            let at = |token: u32, cluster: usize| {
                alike(params.similarity, &points[token as usize], &centres[cluster])
            };
            members = vec![Vec::new(); clusters as usize];
            for token in protect..params.tokens {
                let mut best = 0;
                for cluster in 1..centres.len() {
                    if at(token, cluster) > at(token, best) {
                        best = cluster;
                    }
                }
                members[best].push(token);
            }
            for empty in 0..members.len() {
                if !members[empty].is_empty() {
                    continue;
                }
                let mut least: Option<(f64, u32, usize)> = None;
                for (cluster, tokens) in members.iter().enumerate().filter(|(_, tokens)| tokens.len() > 1) {
                    for &token in tokens {
                        let home = at(token, cluster);
                        if least.is_none_or(|(l, t, _)| home < l || home == l && token < t) {
                            least = Some((home, token, cluster));
                        }
                    }
                }
                let (_, token, cluster) = least.expect("fewer clusters than tokens");
                members[cluster].retain(|&other| other != token);
                members[empty].push(token);
            }
        }
        members.sort();
        (0..protect).map(|token| vec![token]).chain(members).collect()
    });
}

/// The r unprotected tokens with the lowest weight are dropped, the lower of equals first (paper, Table 2, "prune"). They
/// are in no group; the number of their group is that of the most similar token that stays, the lower of equals.
///
/// `metric` is `[batch, tokens, width]`, `weight` `[batch, tokens]`, `plan` as that of
/// [`rank_matches`](super::rank_matches()).
pub fn prune(params: &Params, weight: &[f64], metric: &[f32], plan: &mut [u32]) {
    each_image(params, metric, plan, |item, points, stands_for| {
        let weight = &weight[item * params.tokens as usize..][..params.tokens as usize];
        let mut order: Vec<u32> = (params.protect..params.tokens).collect();
        // A stable sort: equal weights keep the order of their tokens.
        order.sort_by(|&a, &b| weight[a as usize].total_cmp(&weight[b as usize]));
        let mut stay = order.split_off(params.r as usize);
        stay.sort();
        for dropped in order {
            let at =
                |token: u32| alike(params.similarity, &points[dropped as usize], &points[token as usize]);
            let mut best = stay[0];
            for &token in &stay {
                if at(token) > at(best) {
                    best = token;
                }
            }
            stands_for.push((dropped, best));
        }
        (0..params.protect).chain(stay).map(|token| vec![token]).collect()
    });
}

/// The weights of random pruning: `pcg(token ^ pcg(list ^ pcg(seed)))` of the lists from `first_list` on, as
/// [`split_tokens`](super::split_tokens()) draws them. No two of an image are equal.
///
/// `weight` is `[batch, tokens]`.
pub fn random_weights(params: &Params, seed: u32, first_list: u32, weight: &mut [f64]) {
    for list in 0..params.batch {
        let salt = pcg((first_list + list) ^ pcg(seed));
        for token in 0..params.tokens {
            weight[(list * params.tokens + token) as usize] = pcg(token ^ salt).into();
        }
    }
}

/// What the first query of each image attends to, the mean over the heads of `softmax(q k^T * scale + ln size + bias)`.
///
/// `q`, `k`, `size` and `bias` are those of [`attention`](super::attention()), `weight` is `[batch, tokens]`. The query is one
/// of the tokens that lie nowhere.
pub fn class_attention(
    params: &attention::Params,
    q: &[f32],
    k: &[f32],
    size: Option<&[f32]>,
    bias: Option<&[f32]>,
    weight: &mut [f64],
) {
    let &attention::Params { batch, tokens, heads, head_width, q_image, stride, .. } = params;
    let prefix = params.prefix as usize;
    let [batch, tokens, heads, width] = [batch, tokens, heads, head_width].map(|v| v as usize);
    for item in 0..batch {
        let weight = &mut weight[item * tokens..][..tokens];
        weight.fill(0.0);
        for head in 0..heads {
            let q = &q[params.q_start as usize + item * q_image as usize + head * width..][..width];
            let score = |token: usize| {
                let at = params.k_start as usize + (item * tokens + token) * stride as usize + head * width;
                let dot: f64 = (0..width).map(|i| f64::from(q[i]) * f64::from(k[at + i])).sum();
                let end = (head + 1) * params.biases() as usize;
                let bias = bias.map_or(0.0, |bias| bias[end - if token < prefix { 1 } else { 3 }].into());
                dot * f64::from(params.scale) + size_of(size, item * tokens + token).ln() + bias
            };
            let highest = (0..tokens).map(score).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = (0..tokens).map(|token| (score(token) - highest).exp()).sum();
            for token in 0..tokens {
                weight[token] += (score(token) - highest).exp() / sum / heads as f64;
            }
        }
    }
}

/// Writes the plan of what `groups_of` makes of each image's number, metrics, and a list of the tokens that are lost with
/// those that stand for them.
fn each_image(
    params: &Params,
    metric: &[f32],
    plan: &mut [u32],
    groups_of: impl Fn(usize, &[Vec<f64>], &mut Vec<(u32, u32)>) -> Vec<Vec<u32>>,
) {
    let [tokens, width, plan_len] = [params.tokens, params.width, params.plan_len()].map(|v| v as usize);
    for item in 0..params.batch as usize {
        let row = |token: usize| &metric[(item * tokens + token) * width..][..width];
        let points: Vec<Vec<f64>> =
            (0..tokens).map(|token| row(token).iter().map(|&v| v.into()).collect()).collect();
        let plan = &mut plan[item * plan_len..][..plan_len];
        let mut stands_for = Vec::new();
        write_plan(&groups_of(item, &points, &mut stands_for), params.tokens, plan);
        let group = &mut plan[plan_len - tokens..];
        stands_for.into_iter().for_each(|(lost, other)| group[lost as usize] = group[other as usize]);
    }
}

fn mean(points: &[Vec<f64>], tokens: &[u32]) -> Vec<f64> {
    let sum = |i: usize| tokens.iter().map(|&token| points[token as usize][i]).sum::<f64>();
    (0..points[0].len()).map(|i| sum(i) / tokens.len() as f64).collect()
}

/// [`UNDIRECTED`] where one of the two is the zero vector.
fn alike(similarity: Similarity, a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let (of_a, of_b) = (dot(a, a), dot(b, b));
    if of_a == 0.0 || of_b == 0.0 {
        return UNDIRECTED.into();
    }
    match similarity {
        Similarity::Cosine => dot(a, b) / (of_a * of_b).sqrt(),
        Similarity::Dot => dot(a, b),
        Similarity::Euclidean => -a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>(),
    }
}
