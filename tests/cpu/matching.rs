//! Matching against `tests/golden/matching.json`, which the original implementation made.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use tome_wgpu::kernels::{find_matches, key_metric, merge_source, merge_tokens, rank_matches, unmerge};
use tome_wgpu::{Partition, cpu, reference};

use crate::common::{Tol, close, place, set};

pub fn golden() -> Value {
    let path = place!("CARGO_MANIFEST_DIR").join("tests/golden/matching.json");
    serde_json::from_str(&fs::read_to_string(&path).expect("a file")).expect("JSON")
}

/// The generator that the file's `input` describes.
fn generate(seed: u64, count: u32) -> Vec<f32> {
    let mut state = seed as u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((f64::from(state >> 8) / f64::from(1 << 24)) * 2.0 - 1.0) as f32
    };
    (0..count).map(next).collect()
}

/// A number of a case.
fn number(case: &Value, key: &str) -> u32 {
    case[key].as_u64().unwrap_or_else(|| panic!("{key} of {case}")) as u32
}

/// Groups of tokens in the order of the output, each sorted.
type Groups = Vec<Vec<u32>>;

fn groups(value: &Value) -> Groups {
    serde_json::from_value(value.clone()).expect("groups")
}

/// Plan of the r best edges by a metric that is not yet of unit length; the reference's is the same.
pub fn plan(metric: &[f32], batch: u32, tokens: u32, width: u32, r: u32, protect: u32) -> Vec<u32> {
    let rows = batch * tokens;
    let unit =
        set!(key_metric::Params::default(); rows, heads: 1, head_width: width, stride: width, start: 0);
    let edges = set!(find_matches::Params::default(); batch, tokens, width, protect);
    let ranked = set!(rank_matches::Params::default(); batch, tokens, r, protect);
    let mut metrics = vec![f32::NAN; metric.len()];
    let evens = (batch * tokens.div_ceil(2)) as usize;
    let (mut score, mut best, mut rank) =
        (vec![f32::NAN; evens], vec![u32::MAX; evens], vec![u32::MAX; evens]);
    let [mut plan, mut want] = [(); 2].map(|()| vec![u32::MAX - 1; (batch * ranked.plan_len()) as usize]);

    reference::key_metric(&unit, metric, None, &mut metrics);
    reference::find_matches(&edges, &metrics, None, None, &mut score, &mut best);
    reference::rank_matches(&ranked, &score, &best, None, &mut rank, &mut want);
    cpu::key_metric(&unit, metric, None, &mut metrics);
    cpu::find_matches(&edges, &metrics, None, None, &mut score, &mut best);
    cpu::rank_matches(&ranked, &score, &best, None, &mut rank, &mut plan);
    assert_eq!(plan, want, "the reference's plan");
    plan
}

/// The same in any partition, where nothing is protected: groups of one image in the order of the output.
fn grouped(metric: &[f32], width: u32, partition: Partition, r: u32) -> Groups {
    let tokens = metric.len() as u32 / width;
    let r = r.min(partition.most(tokens, 0));
    let list = partition.split(1, tokens, 0, r).expect("a list");
    let mut split = vec![u32::MAX; tokens as usize];
    cpu::split_tokens(&list, None, &mut split);
    let mut unit = vec![f32::NAN; metric.len()];
    let params = set!(
        key_metric::Params::default();
        rows: tokens, heads: 1, head_width: width, stride: width, start: 0
    );
    cpu::key_metric(&params, metric, None, &mut unit);
    let srcs = list.srcs as usize;
    let (mut score, mut best, mut rank) = (vec![f32::NAN; srcs], vec![u32::MAX; srcs], vec![u32::MAX; srcs]);
    let params = set!(find_matches::Params::default(); batch: 1, tokens, width, srcs: list.srcs);
    cpu::find_matches(&params, &unit, Some(&split), None, &mut score, &mut best);
    let params = set!(rank_matches::Params::default(); batch: 1, tokens, r, srcs: list.srcs);
    let mut plan = vec![u32::MAX - 1; params.plan_len() as usize];
    cpu::rank_matches(&params, &score, &best, Some(&split), &mut rank, &mut plan);
    members(&plan[(2 * tokens - r) as usize..], tokens - r)
}

/// Which original tokens each of `merged` tokens holds.
pub fn members(source: &[u32], merged: u32) -> Groups {
    let holding = |token| (0..source.len() as u32).filter(|&i| source[i as usize] == token).collect();
    (0..merged).map(holding).collect()
}

/// Merges one image; gives x, size and source.
pub fn merge(
    params: merge_tokens::Params,
    plan: &[u32],
    x: &[f32],
    size: &[f32],
    source: &[u32],
) -> (Vec<f32>, Vec<f32>, Vec<u32>) {
    let merged = params.batch * (params.tokens - params.r);
    let mut x_out = vec![f32::NAN; (merged * params.channels) as usize];
    let (mut size_out, mut source_out) = (vec![f32::NAN; merged as usize], vec![u32::MAX; source.len()]);
    cpu::merge_tokens(&params, plan, x, Some(size), &mut x_out, &mut size_out, None, None);
    let merge_tokens::Params { batch, tokens, r, .. } = params;
    let map = merge_source::Params::new(batch, tokens, r, source.len() as u32 / batch);
    cpu::merge_source(&map, plan, Some(source), &mut source_out);
    (x_out, size_out, source_out)
}

#[test]
fn single_matchings_are_those_of_the_original() {
    for case in golden()["bsm"].as_array().expect("cases") {
        let [seed, batch, n, width, r] = ["seed", "B", "N", "C", "r"].map(|key| number(case, key));
        let protect =
            ["class_token", "distill_token"].iter().filter(|&&key| case[key] == true).count() as u32;
        let r = r.min(n.saturating_sub(protect) / 2);
        let plan = plan(&generate(seed.into(), batch * n * width), batch, n, width, r, protect);
        for (item, plan) in plan.chunks_exact((3 * n - r) as usize).enumerate() {
            let group = &plan[(2 * n - r) as usize..];
            assert_eq!(members(group, n - r), groups(&case["groups"][item]), "seed {seed} image {item}");
        }
    }
}

/// The original leaves out what is behind the last whole group of k; without them ours is the same.
#[test]
fn every_kth_is_the_originals() {
    for case in golden()["kth"].as_array().expect("cases") {
        let [seed, n, k, width] = ["seed", "N", "k", "C"].map(|key| number(case, key));
        let metric = generate(seed.into(), n * width);
        let whole = &metric[..(n / k * k * width) as usize];
        assert_eq!(grouped(whole, width, Partition::EveryKth(k), n), groups(&case["groups"]), "seed {seed}");
        // With them, they merge too: every token is in a group.
        let all = grouped(&metric, width, Partition::EveryKth(k), n);
        assert_eq!((all.len() as u32, all.concat().len() as u32), (n / k, n), "seed {seed}");
    }
}

/// tomesd's matching on a grid; the order of its groups hangs on an unstable sort.
#[test]
fn grids_are_those_of_tomesd() {
    for case in golden()["sd2d"].as_array().expect("cases") {
        let [seed, columns, rows, sx, sy] = ["seed", "w", "h", "sx", "sy"].map(|key| number(case, key));
        let [r, width] = ["r", "C"].map(|key| number(case, key));
        let tokens = rows * columns;
        let partition = Partition::Grid { rows, columns, stride: [sy, sx], seed: None };
        let got = grouped(&generate(seed.into(), tokens * width), width, partition, r);
        let set = |groups: &Groups| groups.iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!(set(&got), set(&groups(&case["groups"])), "seed {seed}");

        // What comes back of the numbers 0, 1, 2, ... by plain means.
        let mut source = vec![0; tokens as usize];
        let mut means = Vec::new();
        for (place, group) in got.iter().enumerate() {
            group.iter().for_each(|&token| source[token as usize] = place as u32);
            means.push(group.iter().sum::<u32>() as f32 / group.len() as f32);
        }
        let mut back = vec![f32::NAN; tokens as usize];
        let params = set!(
            unmerge::Params::default();
            batch: 1, tokens: means.len() as u32, sources: tokens, channels: 1
        );
        cpu::unmerge(&params, &means, &source, None, &mut back);
        let want: Vec<f32> = serde_json::from_value(case["unmerge_of_mean"].clone()).expect("numbers");
        close(format!("seed {seed}"), &back, &want, Tol { abs: 1e-5, rel: 0.0 });
    }
}

#[test]
fn a_chain_of_merges_is_that_of_the_original() {
    let chain = &golden()["chain"];
    let [seed, n, c] = ["x_seed", "N", "C"].map(|key| number(chain, key));
    let mut x = generate(seed.into(), n * c);
    let (mut size, mut source): (Vec<f32>, Vec<u32>) = (vec![1.0; n as usize], (0..n).collect());
    for (i, step) in chain["steps"].as_array().expect("steps").iter().enumerate() {
        let tokens = size.len() as u32;
        let [seed, width, r] = ["metric_seed", "C", "r"].map(|key| number(step, key));
        let plan = plan(&generate(seed.into(), tokens * width), 1, tokens, width, r, 1);
        let params = merge_tokens::Params::new([1, tokens, c], r);
        (x, size, source) = merge(params, &plan, &x, &size, &source);
        assert_eq!(members(&source, tokens - r), groups(&step["groups"]), "step {i}");
        assert_eq!(Value::from(size.clone()), step["size"], "step {i}");
    }
    let row = |key: &str| -> Vec<f32> { serde_json::from_value(chain[key].clone()).expect("a row") };
    let tol = Tol { abs: 1e-6, rel: 0.0 };
    close("the first token", &x[..c as usize], &row("final_x_row0"), tol);
    close("the last token", &x[x.len() - c as usize..], &row("final_x_last"), tol);
}
