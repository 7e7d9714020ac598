//! Merging by hand, and what it conserves and undoes.

use tome_wgpu::kernels::merge_source;
use tome_wgpu::kernels::merge_tokens::MergeMode;
use tome_wgpu::kernels::rank_matches::END;
use tome_wgpu::kernels::{merge_tokens, unmerge};
use tome_wgpu::reference;

use crate::common::{Random, Tol, close, set};
use crate::matching::{groups, plan};

/// Four tokens of which 1 and 2 merge into 3: who stays, who follows, where each went.
pub const PLAN: [u32; 10] = [0, 3, END, 2, END, 1, 0, 1, 1, 1];

pub fn merge(params: merge_tokens::Params, plan: &[u32], x: &[f32], size: Option<&[f32]>) -> [Vec<f32>; 2] {
    let merged = (params.batch * (params.tokens - params.r)) as usize;
    let (mut x_out, mut size_out) =
        (vec![f32::NAN; merged * params.channels as usize], vec![f32::NAN; merged]);
    reference::merge_tokens(&params, plan, x, size, &mut x_out, &mut size_out, None, None);
    [x_out, size_out]
}

/// All modes in order.
pub const MODES: &[MergeMode] = MergeMode::ALL;

#[test]
fn every_way_to_combine_by_hand() {
    // The group is 3, 1, 2: values 10, 20, 60 and -10, -20, -60, of sizes 1, 3, 4.
    let x = [7.0, -7.0, 20.0, -20.0, 60.0, -60.0, 10.0, -10.0];
    let size = [5.0, 3.0, 4.0, 1.0];
    // (10 + 3 * 20 + 4 * 60) / 8; 90 / 3; 90; the outermost; the destination.
    let want = [[38.75, -38.75], [30.0, -30.0], [90.0, -90.0], [60.0, -10.0], [10.0, -60.0], [10.0, -10.0]];
    for (mode, want) in MODES.iter().copied().zip(want) {
        let params = set!(merge_tokens::Params::default(); batch: 1, tokens: 4, r: 2, channels: 2, mode);
        let [x_out, size_out] = merge(params, &PLAN, &x, Some(&size));
        assert_eq!(x_out, [[7.0, -7.0], want].as_flattened(), "{mode:?}");
        assert_eq!(size_out, [5.0, 8.0], "{mode:?}");
    }
    // Tokens without sizes are one token each.
    let params = set!(merge_tokens::Params::default(); batch: 1, tokens: 4, r: 2, channels: 2);
    let [x_out, size_out] = merge(params, &PLAN, &x, None);
    assert_eq!((x_out, size_out), (vec![7.0, -7.0, 30.0, -30.0], vec![1.0, 3.0]));
}

#[test]
fn normed_is_what_layer_norm_makes_of_it() {
    // Means of 2 and 10 over the channels, variances of 1 and 4.
    let x = [1.0, 3.0, 8.0, 16.0, 8.0, 12.0, 8.0, 8.0];
    let params = set!(merge_tokens::Params::default(); batch: 1, tokens: 4, r: 2, channels: 2);
    let (mut x_out, mut size_out, mut normed) = ([f32::NAN; 4], [f32::NAN; 2], [f32::NAN; 4]);
    reference::merge_tokens(&params, &PLAN, &x, None, &mut x_out, &mut size_out, Some(&mut normed), None);
    assert_eq!((x_out, normed), ([1.0, 3.0, 8.0, 12.0], [-1.0, 1.0, -1.0, 1.0]));
}

#[test]
fn the_source_map_follows_a_merge() {
    let mut source = [9; 4];
    let params = set!(merge_source::Params::default(); batch: 1, tokens: 4, r: 2, sources: 4);
    reference::merge_source(&params, &PLAN, None, &mut source);
    assert_eq!(source, [0, 1, 1, 1]);
    // Six original tokens in the order of tokens 3, 0, 1, 0, 2, 2; in the second image 0 and 3 merge into 1.
    let plans = [PLAN, [2, 1, 3, 0, END, END, 1, 1, 0, 1]].concat();
    let params = set!(params; batch: 2, sources: 6);
    let mut out = [9; 12];
    let map = [[3, 0, 1, 0, 2, 2]; 2];
    reference::merge_source(&params, &plans, Some(map.as_flattened()), &mut out);
    assert_eq!(out, [1, 0, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0]);
}

#[test]
fn unmerge_by_hand() {
    let (x, source) = ([1.0, 2.0, 3.0, 4.0], [1, 0, 0, 1, 1, 0]);
    // Two images of two tokens of one value, three original tokens each.
    let mut params = set!(unmerge::Params::default(); batch: 2, tokens: 2, sources: 3, channels: 1);
    let mut y = [f32::NAN; 6];
    reference::unmerge(&params, &x, &source, None, &mut y);
    assert_eq!(y, [2.0, 1.0, 1.0, 4.0, 4.0, 3.0]);
    params.first_source = 1;
    reference::unmerge(&params, &x, &source, Some(&[10.0, 20.0, 30.0, 40.0]), &mut y[..4]);
    assert_eq!(y[..4], [11.0, 21.0, 34.0, 43.0]);
}

/// What is left after some merges, each of r tokens by random metrics: tokens, sizes, source map.
fn merged_often(x: &[f32], channels: u32, protect: u32, rs: &[u32]) -> (Vec<f32>, Vec<f32>, Vec<u32>) {
    let sources = x.len() as u32 / channels;
    let mut random = Random(u64::from(sources) + u64::from(protect));
    let mut state = (x.to_vec(), vec![1.0; sources as usize], (0..sources).collect::<Vec<u32>>());
    for &r in rs {
        let (x, size, source) = &state;
        let tokens = size.len() as u32;
        let metric: Vec<[f32; 2]> = (0..tokens).map(|_| [random.float(), random.float()]).collect();
        let plan = plan(&metric, protect, r);
        let params = set!(merge_tokens::Params::default(); batch: 1, tokens, r, channels);
        let [x, size] = merge(params, &plan, x, Some(size));
        let mut map = vec![u32::MAX; sources as usize];
        let params = set!(merge_source::Params::default(); batch: 1, tokens, r, sources);
        reference::merge_source(&params, &plan, Some(source), &mut map);
        state = (x, size, map);
    }
    state
}

#[test]
fn weighted_sums_sizes_and_protected_tokens_are_conserved() {
    // Odd and even counts; down to as few as it gets.
    for (tokens, protect, rs) in
        [(33, 0, [16, 8, 4, 2]), (34, 1, [16, 8, 4, 2]), (29, 2, [13, 6, 3, 2]), (20, 5, [1, 2, 3, 0])]
    {
        let x = Random(tokens.into()).floats(tokens * 3);
        let (merged, size, _) = merged_often(&x, 3, protect, &rs);
        let left = tokens - rs.iter().sum::<u32>();
        assert_eq!(size.len() as u32, left, "{tokens} tokens");
        assert_eq!(size.iter().sum::<f32>(), tokens as f32, "{tokens} tokens");
        let front = protect as usize;
        assert_eq!(merged[..3 * front], x[..3 * front], "{protect} protected");
        assert_eq!(size[..front], vec![1.0; front], "{protect} protected");
        for channel in 0..3 {
            let sum = |x: &[f32], size: &[f32]| -> f64 {
                x[channel..].iter().step_by(3).zip(size).map(|(&x, &s)| f64::from(x) * f64::from(s)).sum()
            };
            let (before, after) = (sum(&x, &vec![1.0; tokens as usize]), sum(&merged, &size));
            // Some roundings to f32, each weighed by a size.
            assert!((before - after).abs() < 1e-5, "{tokens} tokens: {before} became {after}");
        }
    }
}

#[test]
fn unmerged_tokens_are_means_over_the_original_members() {
    for protect in [0, 1, 2] {
        let (tokens, channels) = (41, 2);
        let x = Random(3).floats(tokens * channels);
        let (merged, size, source) = merged_often(&x, channels, protect, &[9, 0, 7, 5]);
        let params = set!(unmerge::Params::default(); batch: 1, tokens: 20, sources: tokens, channels);
        let mut dense = vec![f32::NAN; x.len()];
        reference::unmerge(&params, &merged, &source, None, &mut dense);
        for token in 0..tokens as usize {
            let members: Vec<usize> =
                (0..tokens as usize).filter(|&other| source[other] == source[token]).collect();
            assert_eq!(size[source[token] as usize], members.len() as f32);
            let mean = [0, 1].map(|i| {
                let sum: f64 = members.iter().map(|&member| f64::from(x[2 * member + i])).sum();
                (sum / members.len() as f64) as f32
            });
            // A rounding in each of four merges.
            close("a mean", &dense[2 * token..][..2], &mean, Tol { abs: 3e-7, rel: 0.0 });
        }
    }
}

#[test]
fn a_group_of_equal_tokens_stays_what_it_is() {
    let mut random = Random(4);
    let metric: Vec<[f32; 2]> = (0..12).map(|_| [random.float(), random.float()]).collect();
    let plan = plan(&metric, 1, 5);
    let mut x = [0.0; 12];
    for (place, members) in groups(&plan, 12).into_iter().enumerate() {
        members.into_iter().for_each(|token| x[token as usize] = place as f32);
    }
    let size = random.sizes(12);
    for mode in MODES.iter().copied().filter(|&mode| mode != MergeMode::Sum) {
        let params = set!(merge_tokens::Params::default(); batch: 1, tokens: 12, r: 5, channels: 1, mode);
        let [x_out, _] = merge(params, &plan, &x, Some(&size));
        assert_eq!(x_out, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "{mode:?}");
    }
}
