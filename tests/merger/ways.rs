//! Every similarity, mode and partition against the reference, kernel by kernel.

use tome_wgpu::kernels::find_matches::{self, Similarity};
use tome_wgpu::kernels::key_metric::{self, Length};
use tome_wgpu::kernels::merge_tokens::{self, MergeMode};
use tome_wgpu::kernels::{
    choose_matches, match_frames, match_lines, merge_source, rank_matches, token_energy,
};
use tome_wgpu::{MergeIo, MergeShape, Partition, TokenMerger, reference};

use super::{Input, Merged, groups, input, merge, shape};
use crate::common::{Random, Tol, close, partitions, rigs, same, set};

/// The metrics of a merge, by the reference.
fn metrics(shape: MergeShape, input: &Input) -> Vec<f32> {
    let MergeShape { batch, tokens, heads, head_width, similarity, .. } = shape;
    let rows = batch * tokens;
    let mut metric = vec![f32::NAN; (rows * head_width) as usize];
    let length = if similarity == Similarity::Cosine { Length::Unit } else { Length::Own };
    let (stride, start) = (shape.key_stride, shape.key_start);
    let params = set!(key_metric::Params::default(); rows, heads, head_width, stride, start, length);
    let masks = shape.threshold.map(|_| &input.size[..]);
    reference::key_metric(&params, &input.keys, masks, &mut metric);
    metric
}

/// The energies of a merge, by the reference.
fn energies(shape: MergeShape, metric: &[f32]) -> Vec<f32> {
    let MergeShape { batch, tokens, head_width, protect, .. } = shape;
    let mut energy = vec![f32::NAN; (batch * tokens) as usize];
    let params = token_energy::Params::new([batch, tokens, head_width], protect, MARGIN);
    reference::token_energy(&params, metric, &mut energy);
    energy
}

/// The margin of `partitions`.
const MARGIN: f32 = 0.3;

/// Whether no rounding decides which energy is higher: a cosine is off by 1e-7, and so is a mean of what it gives, but
/// where it falls on the other side of the margin.
pub fn decided(shape: MergeShape, input: &Input) -> bool {
    if !matches!(shape.partition, Partition::Energy { .. }) {
        return true;
    }
    let metric = metrics(shape, input);
    let rows: Vec<&[f32]> = metric.chunks_exact(shape.head_width as usize).collect();
    rows.chunks_exact(shape.tokens as usize)
        .zip(energies(shape, &metric).chunks_exact_mut(shape.tokens as usize))
        .all(|(rows, energy)| {
            let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            let clear = rows.iter().all(|a| rows.iter().all(|b| (cosine(a, b) - MARGIN).abs() > 2e-6));
            energy.sort_by(f32::total_cmp);
            // Tokens of one energy are in order of position whatever rounding does: without direction, or two in all.
            let apart = |pair: &[f32]| pair[0] == pair[1] || pair[1] - pair[0] > 2e-6;
            clear && energy.windows(2).all(apart)
        })
}

/// The same merge by the reference.
pub fn merge_by_reference(shape: MergeShape, input: &Input) -> Merged {
    let MergeShape { batch, tokens, head_width, protect, partition, similarity, .. } = shape;
    let r = shape.r_clamped();
    let metric = metrics(shape, input);
    let energy = energies(shape, &metric);
    let list = partition.split(batch, tokens, protect, r);
    let split = list.map(|list| {
        let mut split = vec![u32::MAX; (list.lists * tokens) as usize];
        reference::split_tokens(&list, Some(&energy), &mut split);
        split
    });
    let (srcs, split_stride) = list.map_or((tokens.div_ceil(2), 0), |list| (list.srcs, list.stride()));
    let mut plan = vec![u32::MAX; (batch * (2 * tokens + shape.tokens_out())) as usize];
    if let Partition::Lines { grid: Some(grid) } = partition {
        let lost = r / partition.step(tokens, protect);
        let params = match_lines::Params::new(batch, head_width, protect, grid, lost);
        reference::match_lines(&set!(params; tokens, similarity), &metric, &mut plan);
        return merged_by_reference(shape, input, &plan);
    }
    if let Some(params) = frames(shape) {
        reference::match_frames(&params, &metric, Some(&input.size), &mut plan);
        return merged_by_reference(shape, input, &plan);
    }
    let held = list.map_or(0, |list| list.held());
    let edges = (batch * srcs) as usize;
    let (mut score, mut best, mut rank) =
        (vec![f32::NAN; edges], vec![u32::MAX; edges], vec![u32::MAX; edges]);
    let params = set!(
        find_matches::Params::default();
        batch, tokens, width: head_width, protect, similarity, srcs, split_stride, held
    );
    reference::find_matches(&params, &metric, split.as_deref(), None, &mut score, &mut best);
    if let Some(threshold) = shape.threshold {
        let least = tokens - shape.tokens_out();
        let params = set!(choose_matches::Params::default(); batch, tokens, r, least, protect, threshold);
        let mut mask = vec![f32::NAN; (batch * shape.tokens_out()) as usize];
        let size = Some(&input.size[..]);
        reference::choose_matches(&params, &score, &best, size, &mut rank, &mut plan, &mut mask);
        return merged_by_reference(shape, input, &plan);
    }
    let params = set!(rank_matches::Params::default(); batch, tokens, r, protect, srcs, split_stride);
    reference::rank_matches(&params, &score, &best, split.as_deref(), &mut rank, &mut plan);
    merged_by_reference(shape, input, &plan)
}

/// The groups that it matches within, where it does.
fn frames(shape: MergeShape) -> Option<match_frames::Params> {
    let MergeShape { batch, tokens, head_width, protect, partition, similarity, by_size, .. } = shape;
    let Partition::Frames { groups: Some(groups) } = partition else { return None };
    let length = (tokens - protect) / groups;
    let lost = shape.r_clamped() / groups;
    let params = match_frames::Params::new(batch, head_width, protect, [groups, length], lost);
    Some(set!(params; similarity, by_size))
}

/// What a plan makes of tokens, sizes and source maps.
fn merged_by_reference(shape: MergeShape, input: &Input, plan: &[u32]) -> Merged {
    let MergeShape { batch, tokens, channels, sources, mode, .. } = shape;
    let r = tokens - shape.tokens_out();
    let merged = shape.tokens_out();
    let mut x = vec![f32::NAN; (batch * merged * channels) as usize];
    let mut size = vec![f32::NAN; (batch * merged) as usize];
    let mut source = vec![u32::MAX; (batch * sources) as usize];
    let params = set!(merge_tokens::Params::new([batch, tokens, channels], r); mode);
    reference::merge_tokens(&params, plan, &input.x, Some(&input.size), &mut x, &mut size, None, None);
    let params = merge_source::Params::new(batch, tokens, r, sources);
    reference::merge_source(&params, plan, Some(&input.source), &mut source);
    Merged { x, size, source, tokens: merged as usize }
}

/// Calls `check` with a merge of two images for every partition, with other modes and similarities in turn.
pub fn every_way(mut check: impl FnMut(&str, MergeShape)) {
    let mut turn = 0;
    for free in [1, 2, 3, 5, 12, 35, 48] {
        for protect in [0, 1, 2, 5] {
            for partition in partitions(free) {
                for r in [1, 4, 1000] {
                    let mode = MergeMode::ALL[turn % MergeMode::ALL.len()];
                    let similarity = match partition {
                        Partition::Energy { .. } => Similarity::Cosine,
                        _ => Similarity::ALL[turn / MergeMode::ALL.len() % 3],
                    };
                    turn += 1;
                    let shape = set!(shape(2, free + protect, 8, r, protect); partition, mode, similarity);
                    check(
                        &format!("{partition} {mode:?} {similarity:?} {free} + {protect} tokens r = {r}"),
                        shape,
                    );
                }
            }
        }
    }
}

#[test]
fn every_way_of_merging_is_the_references() {
    every_way(|what, shape| {
        let mut inputs = (0..).map(|seed| input(&shape, seed << 8 | u64::from(shape.tokens)));
        let input = inputs.find(|input| decided(shape, input)).expect("a seed");
        let want = merge_by_reference(shape, &input);
        for rig in rigs() {
            let got = merge(rig, shape, &input);
            same(format!("{}: {what}: source", rig.id()), &got.source, &want.source);
            same(format!("{}: {what}: size", rig.id()), &got.size, &want.size);
            // Means and sums of up to 48 values of up to 1, each counting up to 5 times.
            let tol = Tol { abs: 1e-6, rel: 2e-6 };
            close(format!("{}: {what}: x", rig.id()), &got.x, &want.x, tol);
        }
    });
}

/// Merge after merge within frame groups, sizes counting: the reference's, and what an image gets alone.
#[test]
fn frame_groups_merge_by_size_and_keep_their_order() {
    for (protect, groups, length) in [(0, 4, 16), (1, 3, 21), (2, 6, 9)] {
        let tokens = protect + groups * length;
        let partition = Partition::Frames { groups: Some(groups) };
        // A third of each group and one over, which a merger of its own loses.
        let r = groups * (length / 3) + 1;
        let first = set!(shape(2, tokens, 8, r, protect); partition, by_size: 1.0, sources: tokens);
        let given = input(&first, 6);
        for rig in rigs() {
            let (mut shape, mut input) = (first, given.clone());
            for step in 0..3 {
                let what = format!("{}: {groups} of {length} behind {protect}, step {step}", rig.id());
                let want = merge_by_reference(shape, &input);
                let got = merge(rig, shape, &input);
                same(format!("{what}: source"), &got.source, &want.source);
                same(format!("{what}: size"), &got.size, &want.size);
                close(format!("{what}: x"), &got.x, &want.x, Tol { abs: 1e-6, rel: 2e-6 });
                let one = merge(rig, set!(shape; batch: 1), &input.of(&shape, 1));
                same(&what, &one.x, &got.x[got.x.len() / 2..]);
                let length_out = (shape.tokens_out() - protect) / groups;
                assert!(
                    shape.tokens_out() < shape.tokens && length_out * groups + protect == shape.tokens_out()
                );
                for source in got.source.chunks_exact(tokens as usize) {
                    for (token, &holder) in source.iter().enumerate().skip(protect as usize) {
                        let [from, to] = [token as u32, holder].map(|at| at - protect);
                        assert_eq!(from / length, to / length_out, "{what}: {token} in {holder}");
                    }
                }
                shape.tokens = shape.tokens_out();
                let keys = Random(step).floats(2 * shape.tokens * 8);
                input = Input { keys, x: got.x, size: got.size, source: got.source };
            }
        }
    }
}

/// Merge after merge by a threshold, with padding already in the first: the reference's, also in what an image gets alone.
#[test]
fn merges_by_a_threshold_are_the_references_and_an_image_s_own() {
    for protect in [0, 1, 5] {
        for (threshold, r, least) in [(0.2, 9, 0), (0.4, 20, 3), (2.0, 5, 5), (-2.0, 7, 2)] {
            let first = set!(
                shape(3, 40 + protect, 8, r, protect);
                threshold: Some(threshold), least, sources: 40 + protect
            );
            let mut given = input(&first, 5);
            given.size[(first.tokens - 6) as usize..first.tokens as usize].fill(0.0);
            for rig in rigs() {
                let (mut shape, mut input) = (first, given.clone());
                for step in 0..3 {
                    let what = format!("{}: {threshold} {r} {least} protect {protect} step {step}", rig.id());
                    let want = merge_by_reference(shape, &input);
                    let got = merge(rig, shape, &input);
                    same(format!("{what}: source"), &got.source, &want.source);
                    same(format!("{what}: size"), &got.size, &want.size);
                    close(format!("{what}: x"), &got.x, &want.x, Tol { abs: 1e-6, rel: 2e-6 });
                    assert!(got.x.iter().all(|v| v.is_finite()), "{what}");
                    for image in 0..3 {
                        let one = merge(rig, set!(shape; batch: 1), &input.of(&shape, image));
                        let all = [got.x.len(), got.size.len(), got.source.len()].map(|len| len / 3);
                        same(&what, &one.x, &got.x[image * all[0]..][..all[0]]);
                        same(&what, &one.size, &got.size[image * all[1]..][..all[1]]);
                        same(&what, &one.source, &got.source[image * all[2]..][..all[2]]);
                    }
                    shape.tokens = shape.tokens_out();
                    // Padding's keys are no zeros.
                    let keys = Random(step).floats(3 * shape.tokens * 8);
                    input = Input { keys, x: got.x, size: got.size, source: got.source };
                }
            }
        }
    }
}

/// Bad metrics merge last, attract nobody and leave every result finite, by every similarity and in every partition.
#[test]
fn metrics_without_direction_come_last_in_every_way() {
    every_way(|what, shape| {
        let bad = [0.0, f32::NAN, f32::INFINITY, -f32::INFINITY, 1e30, -3e38, 1e-30];
        let is_bad = |token: u32| token % 3 == 1;
        let spoilt = |seed: u64| {
            let mut input = input(&shape, seed << 8 | u64::from(shape.tokens + 1));
            for (row, keys) in input.keys.chunks_exact_mut(8).enumerate() {
                let token = row as u32 % shape.tokens;
                if is_bad(token) {
                    keys.fill(bad[token as usize % 7]);
                }
            }
            input
        };
        let input = (0..).map(spoilt).find(|input| decided(shape, input)).expect("a seed");
        let want = merge_by_reference(shape, &input);
        for rig in rigs() {
            let what = format!("{}: {what}", rig.id());
            let got = merge(rig, shape, &input);
            same(format!("{what}: source"), &got.source, &want.source);
            assert!(got.x.iter().chain(&got.size).all(|v| v.is_finite()), "{what}: not finite");
            for image in 0..2 {
                for group in groups(&got, image, shape.tokens as usize).iter().filter(|group| group.len() > 1)
                {
                    // At small r there are good sources and good destinations left.
                    let few = matches!(shape.partition, Partition::Alternating | Partition::Energy { .. });
                    let enough = shape.tokens >= 35 && shape.r <= 4 && few;
                    assert!(!enough || !group.iter().any(|&t| is_bad(t as u32)), "{what}: {group:?} merged");
                    assert!(group.iter().all(|&t| t >= shape.protect.into()), "{what}: {group:?} protected");
                }
            }
        }
    });
}

/// Out and back through the merger's own source map, with every kind of prefix and partition.
#[test]
fn unmerge_is_right_in_every_way() {
    every_way(|what, shape| {
        let shape = set!(shape; mode: MergeMode::Mean);
        let input = input(&shape, 77);
        let (n, m) = (shape.tokens as usize, shape.tokens_out() as usize);
        for rig in rigs() {
            let what = format!("{}: {what}", rig.id());
            let (keys, x) = (rig.data(&input.keys), rig.data(&input.x));
            let (x_out, y) = (rig.unwritten((2 * m * 8) as u32), rig.unwritten((2 * n * 8) as u32));
            // Nothing has merged before: no sizes, no source map, and none that the caller keeps.
            let io = MergeIo::new(&keys, &x, &x_out);
            let merger = TokenMerger::new(&rig.gpu, shape, io).unwrap();
            let back = merger.unmerge(8, (&x_out).into(), Some((&x).into()), (&y).into()).unwrap();
            rig.run(&[merger.dispatches(), &[back]].concat());
            let source: Vec<u32> = rig.read(merger.source().buffer().unwrap(), (2 * n) as u32);
            let size: Vec<f32> = rig.read(merger.size().buffer().unwrap(), (2 * m) as u32);
            let got: Vec<f32> = rig.read(&y, (2 * n * 8) as u32);
            let mut want = vec![f32::NAN; got.len()];
            for image in 0..2 {
                for group in 0..m {
                    let member = |row: &usize| row / n == image && source[*row] as usize == group;
                    let members: Vec<usize> = (0..2 * n).filter(member).collect();
                    assert_eq!(size[image * m + group], members.len() as f32, "{what}: size");
                    for i in 0..8 {
                        let sum: f64 = members.iter().map(|row| f64::from(input.x[row * 8 + i])).sum();
                        let mean = (sum / members.len() as f64) as f32;
                        members.iter().for_each(|row| want[row * 8 + i] = mean + input.x[row * 8 + i]);
                    }
                }
            }
            // A mean of up to 48 values of up to 1.
            close(&what, &got, &want, Tol { abs: 1e-6, rel: 1e-6 });
        }
    });
}
