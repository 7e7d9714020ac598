//! What merging conserves, protects and undoes.

use tome_wgpu::cpu;
use tome_wgpu::kernels::find_matches::{self, PROTECTED, UNDIRECTED};
use tome_wgpu::kernels::{merge_tokens, rank_matches, unmerge};

use crate::common::{Random, Tol, close, set};
use crate::matching::{members, merge, plan};

/// Merges `steps` times by random metrics; hands what stands before and after each merge to `check`, and gives the
/// final x and source.
fn merged_often(
    n: u32,
    protect: u32,
    x: Vec<f32>,
    r: u32,
    steps: usize,
    mut check: impl FnMut(&[f32], &[f32]),
) -> (Vec<f32>, Vec<u32>) {
    let mut random = Random(u64::from(n) + 7);
    let c = x.len() as u32 / n;
    let (mut x, mut size, mut source) = (x, vec![1.0; n as usize], (0..n).collect::<Vec<u32>>());
    for _ in 0..steps {
        let tokens = size.len() as u32;
        let r = r.min(tokens.saturating_sub(protect) / 2);
        let plan = plan(&random.floats(tokens * 8), 1, tokens, 8, r, protect);
        let params = merge_tokens::Params::new([1, tokens, c], r);
        (x, size, source) = merge(params, &plan, &x, &size, &source);
        check(&x, &size);
    }
    (x, source)
}

/// The sum over tokens of each channel, weighted.
fn total(x: &[f32], size: &[f32]) -> Vec<f32> {
    let c = x.len() / size.len();
    let weighted =
        |i: usize| size.iter().zip(x[i..].iter().step_by(c)).map(|(&s, &v)| f64::from(s) * f64::from(v));
    (0..c).map(|i| weighted(i).sum::<f64>() as f32).collect()
}

#[test]
fn sizes_and_weighted_sums_are_conserved() {
    for (n, protect) in [(197, 1), (196, 0), (202, 5), (33, 2), (8, 0)] {
        let x = Random(5).floats(n * 12);
        let before = total(&x, &vec![1.0; n as usize]);
        merged_often(n, protect, x, 16, 12, |x, size| {
            assert_eq!(size.iter().sum::<f32>(), n as f32, "{n} tokens, {protect} protected");
            assert!(size[..protect as usize].iter().all(|&s| s == 1.0), "a protected token has merged");
            close("the weighted sum", &total(x, size), &before, Tol { abs: 2e-5, rel: 0.0 });
        });
    }
}

#[test]
fn protected_tokens_stay_in_front_bit_for_bit() {
    for (n, protect) in [(26, 1), (27, 2), (30, 5)] {
        let x = Random(6).floats(n * 4);
        let front = x[..(protect * 4) as usize].to_vec();
        let (merged, source) = merged_often(n, protect, x, 1000, 6, |_, _| ());
        assert_eq!(merged[..front.len()], front, "{protect} protected");
        assert_eq!(source[..protect as usize], (0..protect).collect::<Vec<_>>());
    }
}

#[test]
fn unmerge_gives_every_original_token_the_mean_of_its_group() {
    for protect in [0, 1, 2, 5] {
        let n = 40;
        let x = Random(8).floats(n * 4);
        let (merged, source) = merged_often(n, protect, x.clone(), 6, 3, |_, _| ());
        let tokens = merged.len() as u32 / 4;
        let mut dense = vec![f32::NAN; x.len()];
        let params = set!(unmerge::Params::default(); batch: 1, tokens, sources: n, channels: 4);
        cpu::unmerge(&params, &merged, &source, None, &mut dense);

        let mut want = vec![f32::NAN; x.len()];
        for group in members(&source, tokens) {
            for i in 0..4 {
                let sum: f64 = group.iter().map(|&token| f64::from(x[token as usize * 4 + i])).sum();
                group
                    .iter()
                    .for_each(|&token| want[token as usize * 4 + i] = (sum / group.len() as f64) as f32);
            }
        }
        close(format!("{protect} protected"), &dense, &want, Tol { abs: 1e-6, rel: 0.0 });
    }
}

#[test]
fn no_merge_is_the_identity_in_another_order() {
    let x = Random(9).floats(10 * 4);
    let (same, source) = merged_often(10, 1, x.clone(), 0, 1, |_, _| ());
    let mut dense = vec![f32::NAN; x.len()];
    cpu::unmerge(
        &set!(unmerge::Params::default(); batch: 1, tokens: 10, sources: 10, channels: 4),
        &same,
        &source,
        None,
        &mut dense,
    );
    assert_eq!(dense, x);
}

/// Scores and partners by unit metrics of one value a token.
fn edges(metric: &[f32], protect: u32) -> (Vec<f32>, Vec<u32>) {
    let tokens = metric.len() as u32;
    let (mut score, mut best) =
        (vec![f32::NAN; metric.len().div_ceil(2)], vec![u32::MAX; metric.len().div_ceil(2)]);
    cpu::find_matches(
        &set!(find_matches::Params::default(); batch: 1, tokens, width: 1, protect),
        metric,
        None,
        None,
        &mut score,
        &mut best,
    );
    (score, best)
}

#[test]
fn ties_fall_to_the_lower_index() {
    assert_eq!(edges(&[1.0; 7], 0), (vec![1.0; 4], vec![0; 4]));
    assert_eq!(edges(&[1.0, -1.0, 1.0, 1.0, -1.0, 1.0], 0), (vec![1.0, 1.0, 1.0], vec![1, 1, 0]));
    let params = set!(rank_matches::Params::default(); batch: 1, tokens: 7, r: 2, protect: 0);
    let (mut rank, mut plan) = ([9; 4], [9; 19]);
    cpu::rank_matches(&params, &[0.5, 1.0, 0.5, 0.5], &[0, 0, 0, 0], None, &mut rank, &mut plan);
    assert_eq!(rank, [1, 0, 2, 3]);
}

#[test]
fn tokens_without_direction_merge_last_and_protected_ones_never() {
    let (score, best) = edges(&[1.0, 1.0, 0.0, 0.0, -1.0, f32::NAN], 0);
    assert_eq!((score, best), (vec![1.0, UNDIRECTED, -1.0], vec![0, 0, 0]));
    let (score, best) = edges(&[1.0, 1.0, 1.0, 1.0, 0.0, 1.0], 2);
    assert_eq!((score, best), (vec![PROTECTED, 1.0, UNDIRECTED], vec![0, 1, 1]));
    // Only undirected tokens are left to merge: they do, into the first odd one.
    let plan = plan(&[0.0; 6 * 4], 1, 6, 4, 2, 1);
    assert_eq!(members(&plan[10..], 4), [vec![0], vec![1, 2, 4], vec![3], vec![5]]);
}

#[test]
#[should_panic(expected = "a score is NaN")]
fn a_score_that_is_nan_panics() {
    let params = set!(rank_matches::Params::default(); batch: 1, tokens: 4, r: 1, protect: 0);
    cpu::rank_matches(&params, &[f32::NAN, 1.0], &[0, 0], None, &mut [0; 2], &mut [0; 11]);
}

#[test]
#[should_panic(expected = "a protected token is among the r best edges")]
fn scores_that_merge_a_protected_token_panic() {
    let params = set!(rank_matches::Params::default(); batch: 1, tokens: 6, r: 1, protect: 1);
    cpu::rank_matches(&params, &[1.0, 0.0, 0.0], &[0, 0, 0], None, &mut [0; 3], &mut [0; 17]);
}
