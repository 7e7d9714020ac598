//! Merging by a threshold: the choice against the reference, and whole networks.

use tome_wgpu::kernels::choose_matches::Params;
use tome_wgpu::kernels::find_matches::{PROTECTED, UNDIRECTED};
use tome_wgpu::kernels::{MergeMode, Similarity};
use tome_wgpu::vit::{Config, Metric, Options, Outputs, Pool, PoolBy, Rule};
use tome_wgpu::{Error, Matching, Partition, Schedule, cpu, reference};

use crate::common::{Random, Tol, close, same, set};
use crate::network::{config, images, network};

#[test]
fn the_choice_is_the_references() {
    let mut random = Random(3);
    for tokens in [1, 2, 3, 4, 5, 9, 16, 33, 198] {
        for protect in [0, 1, 2, 5].into_iter().filter(|&p| p <= tokens) {
            let most = Partition::Alternating.most(tokens, protect);
            for (r, least) in [(0, 0), (most, 0), (most / 2, most / 4), (most, most), (0, most)] {
                for threshold in [-2.0, 0.5, 2.0] {
                    let params = set!(Params::default(); batch: 2, tokens, r, least, protect, threshold);
                    let srcs = tokens.div_ceil(2);
                    let edges = || (0..2).flat_map(|_| 0..srcs);
                    let score: Vec<f32> = edges()
                        .map(|even| match random.below(6) {
                            _ if 2 * even < protect || tokens / 2 <= protect / 2 => PROTECTED,
                            0 => UNDIRECTED,
                            n => n as f32 / 6.0,
                        })
                        .collect();
                    let best: Vec<u32> = edges().map(|_| random.below((tokens / 2).max(1))).collect();
                    let size: Vec<f32> = (0..2 * tokens).map(|_| random.below(4) as f32).collect();
                    for size in [None, Some(&size[..])] {
                        let [mut rank, mut want_rank] = [(); 2].map(|()| vec![77; score.len()]);
                        let [mut plan, mut want] = [(); 2].map(|()| vec![77; 2 * params.plan_len() as usize]);
                        let [mut mask, mut want_mask] =
                            [(); 2].map(|()| vec![7.0; 2 * (tokens - least) as usize]);
                        cpu::choose_matches(&params, &score, &best, size, &mut rank, &mut plan, &mut mask);
                        reference::choose_matches(
                            &params,
                            &score,
                            &best,
                            size,
                            &mut want_rank,
                            &mut want,
                            &mut want_mask,
                        );
                        same(format!("{params:?} rank"), &rank, &want_rank);
                        same(format!("{params:?}"), &plan, &want);
                        same(format!("{params:?} mask"), &mask, &want_mask);
                    }
                }
            }
        }
    }
}

fn options(r: u32, threshold: f32, least: u32) -> Options {
    let schedule = Schedule::constant(r);
    set!(Options::with_schedule(schedule); threshold: Some(threshold), least: Schedule::constant(least))
}

/// Sums of other lengths, with zeros in them, are rounded otherwise.
const SUMS: Tol = Tol { abs: 1e-5, rel: 1e-5 };

/// Networks that average, with and without sizes, and one that does not.
fn each(check: impl Fn(&Config, &dyn Fn(&Options) -> Outputs)) {
    let averaging = config().with(|c| (c.pool, c.fc_norm, c.reg_tokens) = (Pool::Average, true, 0));
    for config in [config(), averaging] {
        let (vit, images) = (network(&config), images(&config, 3));
        for (prop_attn, pool_by) in [(true, PoolBy::Size), (false, PoolBy::Plain)] {
            let run = |options: &Options| {
                let options = set!(options.clone(); prop_attn, pool_by);
                vit.forward(&images, &options).expect("results")
            };
            check(&config, &run);
        }
    }
}

#[test]
fn a_threshold_below_everything_changes_nothing() {
    threshold_changes_nothing(Rule::default());
}

/// What counts sizes does not count padding's, and what has no length stays without.
#[test]
fn other_rules_do_not_see_padding_either() {
    let (metric, merge) = (Metric::Final, MergeMode::Mlerp);
    threshold_changes_nothing(Rule { metric, merge, by_size: 1.0, ..Rule::default() });
    threshold_changes_nothing(Rule { similarity: Similarity::Euclidean, by_size: 0.5, ..Rule::default() });
}

fn threshold_changes_nothing(rule: Rule) {
    let by_rule = |options: Options| set!(options; rules: vec![rule; 12]);
    each(|config, run| {
        let run = |options: Options| run(&by_rule(options));
        let want = run(Options::with_schedule(Schedule::constant(9)));
        // As many places disappear as tokens merge.
        let same = run(options(9, -1e6, 9));
        assert_eq!((same.merged, &same.source, &same.size), (want.merged, &want.source, &want.size));
        close("logits", &same.logits, &want.logits, SUMS);
        // No place disappears: those behind the tokens are padding.
        let padded = run(options(9, -1e6, 0));
        assert_eq!(padded.merged, config.tokens() as usize);
        assert_eq!(padded.source, want.source);
        close("logits", &padded.logits, &want.logits, SUMS);
        for image in 0..3 {
            assert_eq!((padded.tokens_of(image), want.tokens_of(image)), (want.merged, want.merged));
            let size = &padded.size[image * padded.merged..][..padded.merged];
            assert_eq!(size[..want.merged], want.size[image * want.merged..][..want.merged]);
            assert!(size[want.merged..].iter().all(|&size| size == 0.0));
        }
        assert!(padded.tokens.iter().all(|v| v.is_finite()));
    });
}

#[test]
fn nothing_merges_above_everything_but_what_has_no_room() {
    each(|_, run| {
        let plain = run(&Options::default());
        let none = run(&options(9, 2.0, 0));
        assert_eq!((none.merged, &none.source, &none.size), (plain.merged, &plain.source, &plain.size));
        close("logits", &none.logits, &plain.logits, SUMS);
        let forced = run(&options(9, 2.0, 4));
        let want = run(&Options::with_schedule(Schedule::constant(4)));
        assert_eq!((forced.merged, &forced.source, &forced.size), (want.merged, &want.source, &want.size));
    });
}

#[test]
fn images_keep_as_many_tokens_as_they_need() {
    each(|config, run| {
        let mut differ = false;
        // Random weights leave tokens much alike; how much is not known beforehand.
        for threshold in [0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995] {
            let all = run(&options(30, threshold, 3));
            let counts = [0, 1, 2].map(|image| all.tokens_of(image));
            assert!(counts.iter().all(|&count| count <= all.merged), "{counts:?} of {}", all.merged);
            differ |= counts.iter().any(|&count| count != counts[0]);
            for image in 0..3 {
                // Every token is held by one that is there.
                let source = &all.source[image * config.tokens() as usize..][..config.tokens() as usize];
                let mut size = vec![0.0; all.merged];
                source.iter().for_each(|&token| size[token as usize] += 1.0);
                assert_eq!(size, all.size[image * all.merged..][..all.merged], "{threshold}, image {image}");
            }
        }
        assert!(differ, "every image has as many tokens as the others by any threshold");
    });
}

#[test]
fn places_are_a_function_of_both_schedules() {
    let config = Config::preset("vit_small_patch16_224").expect("a preset");
    let options = set!(options(16, 0.9, 0); least: Schedule::List(vec![20, 8, 0, 8]));
    assert_eq!(options.tokens_per_block(&config)[..6], [197, 181, 173, 173, 165, 165]);
    let all = set!(options; least: Schedule::constant(1000));
    let plain = Options::with_schedule(Schedule::constant(16));
    assert_eq!(all.tokens_per_block(&config), plain.tokens_per_block(&config));
    assert_eq!(all.promised_speedup(&config), plain.promised_speedup(&config));
}

#[test]
fn what_goes_with_no_threshold_is_refused() {
    let config = Config::preset("vit_small_patch16_224").expect("a preset");
    let unsupported = |options: &Options, config: &Config| match options.check(config) {
        Err(Error::Unsupported { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    let good = options(16, 0.9, 0);
    good.check(&config).expect("a threshold");
    let lines = set!(good.clone(); partition: Partition::Lines { grid: None });
    assert_eq!(unsupported(&lines, &config), "partition");
    assert_eq!(unsupported(&set!(good.clone(); partition: Partition::Sequential), &config), "partition");
    assert_eq!(unsupported(&set!(good.clone(); matching: Matching::Greedy), &config), "matching");
    assert_eq!(unsupported(&good, &set!(config.clone(); norm_eps: 0.0)), "norm_eps");
    for threshold in [f32::NAN, f32::INFINITY] {
        assert!(matches!(options(16, threshold, 0).check(&config), Err(Error::Input(_))));
    }
    let least = Schedule::Inflected { r: 3, inflection: f64::NAN };
    assert!(matches!(set!(good; least).check(&config), Err(Error::Input(_))));
}
