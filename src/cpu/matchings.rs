//! The matchings that the paper's own is held against: for evaluation, and fast enough for it.

use super::slices::{elements, part, part_mut};
use crate::groups::write_plan;
use crate::kernels::attention;
use crate::kernels::find_matches::{Similarity, UNDIRECTED};
use crate::kernels::split_tokens::pcg;
use crate::matching::Params;

/// r times the two most similar of all unprotected groups become one.
///
/// # Panics
/// Where r is more than half of the unprotected tokens, or a slice is too short.
pub fn greedy(params: &Params, metric: &[f32], plan: &mut [u32]) {
    each_image(params, metric, plan, |_, metric, _| {
        let (protect, similarity) = (params.protect, params.similarity);
        let mut groups: Vec<Vec<u32>> = (protect..params.tokens).map(|token| vec![token]).collect();
        let mut means: Vec<Point> = groups.iter().map(|group| metric.mean(group)).collect();
        // Of each group the best partner behind it, the first of equals.
        let partner = |means: &[Point], a: usize| {
            let behind = means.iter().enumerate().skip(a + 1);
            let edges = behind.map(|(b, other)| (means[a].alike(other, similarity), b));
            edges.fold((f64::NEG_INFINITY, a), |best, edge| if edge.0 > best.0 { edge } else { best })
        };
        let mut partners: Vec<(f64, usize)> = (0..means.len()).map(|a| partner(&means, a)).collect();
        for _ in 0..params.r {
            let first = (0..partners.len()).fold(
                0,
                |best, a| {
                    if partners[a].0 > partners[best].0 { a } else { best }
                },
            );
            let gone = partners[first].1;
            let joined = groups.remove(gone);
            groups[first].extend(joined);
            groups[first].sort_unstable();
            means.remove(gone);
            means[first] = metric.mean(&groups[first]);
            partners.remove(gone);
            for a in 0..partners.len() {
                let (score, to) = partners[a];
                // Whoever's partner has gone or changed looks again; the others look at what is new.
                if a == first || to == gone || to == first {
                    partners[a] = partner(&means, a);
                    continue;
                }
                let to = to - usize::from(to > gone);
                partners[a] = (score, to);
                if a < first {
                    let new = means[a].alike(&means[first], similarity);
                    if new > score || new == score && first < to {
                        partners[a] = (new, first);
                    }
                }
            }
        }
        (0..protect).map(|token| vec![token]).chain(groups).collect()
    });
}

/// As many clusters as are to be left of the unprotected tokens.
///
/// # Panics
/// As [`greedy`].
pub fn kmeans(params: &Params, iterations: u32, metric: &[f32], plan: &mut [u32]) {
    each_image(params, metric, plan, |_, metric, _| {
        let (protect, similarity) = (params.protect, params.similarity);
        let free = (params.tokens - protect) as usize;
        let clusters = free - params.r as usize;
        let points: Vec<Point> = (0..free).map(|i| metric.mean(&[protect + i as u32])).collect();
        let mut centres: Vec<Point> = (0..clusters).map(|i| points[i * free / clusters].clone()).collect();
        let mut members: Vec<Vec<u32>> = Vec::new();
        for iteration in 0..iterations {
            if iteration > 0 {
                centres = members.iter().map(|tokens| metric.mean(tokens)).collect();
            }
            // Of each token the score at home, and the home.
            let mut homes: Vec<(f64, usize)> = points
                .iter()
                .map(|point| {
                    let scores = centres.iter().map(|centre| point.alike(centre, similarity)).zip(0..);
                    scores
                        .fold((f64::NEG_INFINITY, 0), |best, edge| if edge.0 > best.0 { edge } else { best })
                })
                .collect();
            let mut counts = vec![0; clusters];
            homes.iter().for_each(|&(_, home)| counts[home] += 1);
            for empty in 0..clusters {
                if counts[empty] > 0 {
                    continue;
                }
                let apart = (0..free).filter(|&i| counts[homes[i].1] > 1);
                let Some(least) = apart.min_by(|&a, &b| homes[a].0.total_cmp(&homes[b].0)) else { break };
                counts[homes[least].1] -= 1;
                (homes[least].1, counts[empty]) = (empty, 1);
            }
            members = vec![Vec::new(); clusters];
            (protect..).zip(&homes).for_each(|(token, &(_, home))| members[home].push(token));
        }
        members.sort();
        (0..protect).map(|token| vec![token]).chain(members).collect()
    });
}

/// The r unprotected tokens with the lowest weight are dropped; the most similar one that stays stands for each.
///
/// # Panics
/// As [`greedy`].
pub fn prune(params: &Params, weight: &[f64], metric: &[f32], plan: &mut [u32]) {
    let weight = part("weight", weight, &[params.batch, params.tokens]);
    each_image(params, metric, plan, |item, metric, stands_for| {
        let weight = &weight[item * params.tokens as usize..][..params.tokens as usize];
        let mut order: Vec<u32> = (params.protect..params.tokens).collect();
        order.sort_by(|&a, &b| weight[a as usize].total_cmp(&weight[b as usize]));
        let mut stay = order.split_off(params.r as usize);
        stay.sort_unstable();
        let points: Vec<Point> = stay.iter().map(|&token| metric.mean(&[token])).collect();
        stands_for.extend(order.into_iter().map(|dropped| {
            let point = metric.mean(&[dropped]);
            let scores = points.iter().map(|other| point.alike(other, params.similarity)).zip(&stay);
            let first = (f64::NEG_INFINITY, &stay[0]);
            (dropped, *scores.fold(first, |best, edge| if edge.0 > best.0 { edge } else { best }).1)
        }));
        (0..params.protect).chain(stay).map(|token| vec![token]).collect()
    });
}

/// The weights of random pruning, of the lists from `first_list` on.
///
/// # Panics
/// Where the slice is too short.
pub fn random_weights(params: &Params, seed: u32, first_list: u32, weight: &mut [f64]) {
    let weight = part_mut("weight", weight, &[params.batch, params.tokens]);
    for (list, weight) in (first_list..).zip(weight.chunks_exact_mut(params.tokens as usize)) {
        let salt = pcg(list ^ pcg(seed));
        (0..).zip(weight).for_each(|(token, weight)| *weight = pcg(token ^ salt).into());
    }
}

/// What the first query of each image, which lies nowhere, attends to, the mean over its heads.
///
/// # Panics
/// Where a slice is too short.
pub fn class_attention(
    params: &attention::Params,
    q: &[f32],
    k: &[f32],
    size: Option<&[f32]>,
    bias: Option<&[f32]>,
    weight: &mut [f64],
) {
    let &attention::Params { batch, tokens, heads, head_width, q_image, stride, scale, .. } = params;
    let of_head = params.biases() as usize;
    let weight = part_mut("weight", weight, &[batch, tokens]);
    let size = size.map(|size| part("size", size, &[batch, tokens]));
    let [tokens, width] = [tokens, head_width].map(|v| v as usize);
    let (q, k) = (&q[params.q_start as usize..], &k[params.k_start as usize..]);
    for (item, weight) in weight.chunks_exact_mut(tokens).enumerate() {
        weight.fill(0.0);
        for head in 0..heads as usize {
            let q = &q[item * q_image as usize + head * width..][..width];
            // To a token that lies somewhere, and to one that does not.
            let biases = bias.map_or([0.0; 2], |bias| {
                let of_head = &bias[head * of_head..][..of_head];
                [of_head[of_head.len() - 3], of_head[of_head.len() - 1]]
            });
            let mut shares: Vec<f64> = (0..tokens)
                .map(|token| {
                    let row = item * tokens + token;
                    let ln_size = size.map_or(0.0, |size| f64::from(size[row]).ln());
                    let bias = f64::from(biases[usize::from(token < params.prefix as usize)]);
                    let dot = dot(q, &k[row * stride as usize + head * width..][..width]);
                    dot * f64::from(scale) + ln_size + bias
                })
                .collect();
            let highest = shares.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            shares.iter_mut().for_each(|share| *share = (*share - highest).exp());
            let sum = shares.iter().sum::<f64>() * f64::from(heads);
            weight.iter_mut().zip(shares).for_each(|(weight, share)| *weight += share / sum);
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

/// The metrics of one image.
struct Metrics<'a> {
    rows: &'a [f32],
    width: usize,
}

/// The mean of some metrics, and its squared length.
#[derive(Clone)]
struct Point {
    values: Vec<f64>,
    squares: f64,
}

impl Metrics<'_> {
    fn mean(&self, tokens: &[u32]) -> Point {
        let mut values = vec![0.0; self.width];
        for &token in tokens {
            let row = &self.rows[token as usize * self.width..][..self.width];
            values.iter_mut().zip(row).for_each(|(sum, &v)| *sum += f64::from(v));
        }
        values.iter_mut().for_each(|sum| *sum /= tokens.len() as f64);
        let squares = values.iter().map(|v| v * v).sum();
        Point { values, squares }
    }
}

impl Point {
    fn alike(&self, other: &Point, similarity: Similarity) -> f64 {
        if self.squares == 0.0 || other.squares == 0.0 {
            return UNDIRECTED.into();
        }
        let pairs = self.values.iter().zip(&other.values);
        match similarity {
            Similarity::Cosine => {
                pairs.map(|(a, b)| a * b).sum::<f64>() / (self.squares * other.squares).sqrt()
            }
            Similarity::Dot => pairs.map(|(a, b)| a * b).sum(),
            Similarity::Euclidean => -pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>(),
        }
    }
}

/// Writes the plan of what `groups_of` makes of each image's number, metrics, and a list of the tokens that are lost with
/// those that stand for them.
fn each_image(
    params: &Params,
    metric: &[f32],
    plan: &mut [u32],
    groups_of: impl Fn(usize, &Metrics<'_>, &mut Vec<(u32, u32)>) -> Vec<Vec<u32>>,
) {
    let &Params { batch, tokens, width, r, protect, .. } = params;
    assert!(r <= tokens.saturating_sub(protect) / 2, "r is {r} of {tokens} tokens, {protect} protected");
    let metric = part("metric", metric, &[batch, tokens, width]);
    let plan = part_mut("plan", plan, &[batch, params.plan_len()]);
    let images = metric.chunks_exact(elements(&[tokens, width]));
    for (item, (rows, plan)) in images.zip(plan.chunks_exact_mut(params.plan_len() as usize)).enumerate() {
        let mut stands_for = Vec::new();
        let metrics = Metrics { rows, width: width as usize };
        write_plan(&groups_of(item, &metrics, &mut stands_for), tokens, plan);
        let group = &mut plan[(2 * tokens - r) as usize..];
        stands_for.into_iter().for_each(|(lost, other)| group[lost as usize] = group[other as usize]);
    }
}
