//! A token of size 0 stands for nothing: with it or without it the others are the same.

use tome_wgpu::kernels::rank_matches::END;
use tome_wgpu::kernels::{attention, key_metric, merge_tokens, pool};
use tome_wgpu::reference;

use crate::common::{Random, same, set};
use crate::matching::{groups, plan};
use crate::merging::{MODES, PLAN, merge};

const TOKENS: u32 = 9;
const PADDED: u32 = 14;
const CHANNELS: u32 = 2;

/// Tokens of two values with padding behind them, and their sizes.
fn padded() -> (Vec<f32>, Vec<f32>) {
    let mut random = Random(5);
    let x = random.floats(PADDED * CHANNELS);
    let mut size = random.sizes(PADDED);
    size[TOKENS as usize..].fill(0.0);
    (x, size)
}

#[test]
fn attention_does_not_listen_to_it() {
    let mut random = Random(6);
    let qkv = random.floats(PADDED * 3 * 4);
    let (_, size) = padded();
    let attend = |tokens: u32| {
        let mut y = vec![f32::NAN; (tokens * 4) as usize];
        let params = attention::Params::fused(1, tokens, 2, 2);
        reference::attention(&params, &qkv, &qkv, &qkv, Some(&size), None, &mut y);
        y
    };
    same("attention", &attend(PADDED)[..(TOKENS * 4) as usize], &attend(TOKENS));
}

#[test]
fn pools_leave_it_out() {
    let (x, size) = padded();
    for mode in [pool::PoolMode::Token, pool::PoolMode::Mean, pool::PoolMode::MeanBySize] {
        let pooled = |tokens: u32, first| {
            let mut y = [f32::NAN; 2];
            let params =
                set!(pool::Params::default(); batch: 1, tokens, channels: CHANNELS, first_token: first, mode);
            reference::pool(&params, &x, Some(&size), &mut y);
            y
        };
        same(format!("{mode:?}"), &pooled(PADDED, 1), &pooled(TOKENS, 1));
        if mode != pool::PoolMode::Token {
            assert_eq!(pooled(PADDED, TOKENS), [0.0; 2], "{mode:?} over nothing");
        }
    }
}

#[test]
fn matching_takes_it_last() {
    let (x, size) = padded();
    let metric = |tokens: u32| -> Vec<[f32; 2]> {
        let mut metric = vec![[f32::NAN; 2]; tokens as usize];
        let params =
            set!(key_metric::Params::default(); rows: tokens, heads: 1, head_width: 2, stride: 2, start: 0);
        reference::key_metric(&params, &x, Some(&size), metric.as_flattened_mut());
        metric
    };
    for protect in [0, 1, 2] {
        for r in 1..=(TOKENS - protect) / 2 {
            let together = |tokens: u32| -> Vec<Vec<u32>> {
                let groups = groups(&plan(&metric(tokens), protect, r), tokens);
                groups.into_iter().filter(|group| group[0] < TOKENS).collect()
            };
            assert_eq!(together(PADDED), together(TOKENS), "r = {r}, {protect} protected");
        }
        // More than there is to merge: padding merges, and what it merges into stays what it is.
        let r = (PADDED - protect) / 2;
        let plan = plan(&metric(PADDED), protect, r);
        let params = set!(merge_tokens::Params::default(); batch: 1, tokens: PADDED, r, channels: CHANNELS);
        let [merged, sizes] = merge(params, &plan, &x, Some(&size));
        let sum = |x: &[f32], size: &[f32]| -> f64 {
            x.iter().step_by(2).zip(size).map(|(&x, &s)| f64::from(x) * f64::from(s)).sum()
        };
        assert!(merged.iter().all(|v| v.is_finite()));
        assert!((sum(&merged, &sizes) - sum(&x, &size)).abs() < 1e-5, "{protect} protected");
        assert_eq!(sizes.iter().sum::<f32>(), size.iter().sum::<f32>(), "{protect} protected");
    }
}

#[test]
fn a_group_does_not_count_it() {
    let params = set!(merge_tokens::Params::default(); batch: 1, tokens: 4, r: 2, channels: 1);
    // The group is 3, 1, 2. Without 2: (2 * 10 + 6 * 20) / 8; without 3: (6 * 20 + 2 * 90) / 8; with none: the first.
    let x = [7.0, 20.0, 90.0, 10.0];
    for (size, want) in [
        ([1.0, 6.0, 0.0, 2.0], [17.5, 15.0, 30.0, 20.0, 10.0, 10.0]),
        ([1.0, 6.0, 2.0, 0.0], [37.5, 55.0, 110.0, 90.0, 20.0, 20.0]),
        ([0.0, 0.0, 0.0, 0.0], [10.0; 6]),
    ] {
        for (mode, want) in MODES.iter().copied().zip(want) {
            let [x_out, size_out] = merge(set!(params; mode), &PLAN, &x, Some(&size));
            assert_eq!(x_out, [7.0, want], "{mode:?} of sizes {size:?}");
            assert_eq!(size_out, [size[0], size[1] + size[2] + size[3]]);
        }
    }
}

#[test]
fn a_group_without_it_is_the_same_to_the_bit() {
    // Token 2 is of size 0, whatever it holds; without it the plan is that of three tokens.
    let mut random = Random(7);
    let rest = [0, 2, END, END, 1, 0, 1, 1];
    for &mode in MODES {
        let x = random.floats(4);
        let size = [1.0, 3.0, 0.0, 5.0];
        let params = set!(merge_tokens::Params::default(); batch: 1, tokens: 4, r: 2, channels: 1, mode);
        for junk in [x[2], f32::NAN, f32::INFINITY] {
            let with = merge(params, &PLAN, &[x[0], x[1], junk, x[3]], Some(&size));
            let params = set!(params; tokens: 3, r: 1);
            let without = merge(params, &rest, &[x[0], x[1], x[3]], Some(&[1.0, 3.0, 5.0]));
            same(format!("{mode:?}"), &with[0], &without[0]);
            same(format!("{mode:?}"), &with[1], &without[1]);
        }
    }
}
