//! The matchings that the paper's is compared with: against the reference, and what they must keep.

use tome_wgpu::kernels::attention;
use tome_wgpu::kernels::find_matches::Similarity;
use tome_wgpu::kernels::rank_matches::END;
use tome_wgpu::matching::Params;
use tome_wgpu::vit::{Config, Options};
use tome_wgpu::{Error, Matching, Partition, Schedule, cpu, reference};

use crate::common::{Random, same, set};

/// Calls `check` with two images whose sums are exact, some tokens being alike and some without direction.
fn each(check: impl Fn(Params, &[f32])) {
    for (tokens, protect) in [(2, 0), (5, 1), (9, 0), (12, 2), (30, 5)] {
        for &similarity in Similarity::ALL {
            for r in 0..=(tokens - protect) / 2 {
                let params = set!(Params::default(); batch: 2, tokens, width: 3, r, protect, similarity);
                let mut metric = Random(u64::from(tokens + r)).sixteenths(2 * tokens * 3);
                metric.chunks_exact_mut(3).step_by(7).for_each(|token| token.fill(0.0));
                check(params, &metric);
            }
        }
    }
}

/// Both plans, which are the same, and put every token into one group or, where it is dropped, beside one.
fn compare(params: Params, metric: &[f32], run: impl Fn(&mut [u32]), reference: impl Fn(&mut [u32])) {
    let [mut plan, mut want] = [(); 2].map(|()| vec![77; (2 * params.plan_len()) as usize]);
    run(&mut plan);
    reference(&mut want);
    same(format!("{params:?} {metric:?}"), &plan, &want);
    for plan in plan.chunks_exact(params.plan_len() as usize) {
        let (keep, rest) = plan.split_at((params.tokens - params.r) as usize);
        let (next, group) = rest.split_at(params.tokens as usize);
        for (place, &first) in keep.iter().enumerate() {
            let mut member = first;
            while member != END {
                assert_eq!(group[member as usize], place as u32, "{params:?}");
                member = next[member as usize];
            }
        }
        assert!(group.iter().all(|&place| place < params.tokens - params.r), "{params:?}");
        assert!((0..params.protect).all(|t| keep[t as usize] == t && next[t as usize] == END), "{params:?}");
    }
}

#[test]
fn greedy_is_the_references() {
    each(|params, metric| {
        compare(
            params,
            metric,
            |plan| cpu::matchings::greedy(&params, metric, plan),
            |plan| reference::matchings::greedy(&params, metric, plan),
        );
    });
}

#[test]
fn kmeans_is_the_references() {
    for iterations in [1, 2, 5] {
        each(|params, metric| {
            compare(
                params,
                metric,
                |plan| cpu::matchings::kmeans(&params, iterations, metric, plan),
                |plan| reference::matchings::kmeans(&params, iterations, metric, plan),
            );
        });
    }
}

#[test]
fn pruning_is_the_references() {
    each(|params, metric| {
        let [mut weight, mut want] = [(); 2].map(|()| vec![0.0; (2 * params.tokens) as usize]);
        cpu::matchings::random_weights(&params, 9, 4, &mut weight);
        reference::matchings::random_weights(&params, 9, 4, &mut want);
        assert_eq!(weight, want);
        let ties: Vec<f64> = weight.iter().map(|weight| weight % 3.0).collect();
        for weight in [&weight, &ties] {
            compare(
                params,
                metric,
                |plan| cpu::matchings::prune(&params, weight, metric, plan),
                |plan| reference::matchings::prune(&params, weight, metric, plan),
            );
        }
    });
}

#[test]
fn the_class_tokens_attention_is_the_references_and_sums_to_one() {
    let params = set!(attention::Params::fused(2, 7, 3, 4); queries: 1, prefix: 2, rows: 2, columns: 3);
    let mut random = Random(3);
    let (qkv, size) = (random.floats(2 * 7 * 36), random.sizes(2 * 7));
    let bias = random.floats(3 * (3 * 5 + 3));
    for (size, bias) in
        [(None, None), (Some(&size[..]), None), (None, Some(&bias[..])), (Some(&size[..]), Some(&bias[..]))]
    {
        let [mut weight, mut want] = [[0.0f64; 14]; 2];
        cpu::matchings::class_attention(&params, &qkv, &qkv, size, bias, &mut weight);
        reference::matchings::class_attention(&params, &qkv, &qkv, size, bias, &mut want);
        for (weight, want) in weight.chunks_exact(7).zip(want.chunks_exact(7)) {
            assert!((weight.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{weight:?}");
            assert!(weight.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12), "{weight:?} {want:?}");
        }
    }
}

#[test]
fn two_and_two_are_found_by_greedy_and_by_kmeans() {
    // On a circle: 0 1 lie together, 2 and 5, and 3 4.
    let angles = [0.0f32, 0.1, 1.0, 2.0, 2.1, 1.05];
    let metric: Vec<f32> = angles.iter().flat_map(|a| [a.cos(), a.sin()]).collect();
    let params = set!(Params::default(); batch: 1, tokens: 6, width: 2, r: 3);
    for (plan, what) in [
        (|params, metric: &[f32], plan: &mut [u32]| cpu::matchings::greedy(params, metric, plan))
            as fn(&Params, &[f32], &mut [u32]),
        |params, metric, plan| cpu::matchings::kmeans(params, 2, metric, plan),
    ]
    .into_iter()
    .zip(["greedy", "k-means"])
    {
        let mut written = vec![0; 15];
        plan(&params, &metric, &mut written);
        assert_eq!(written[..3], [0, 2, 3], "{what}");
        assert_eq!(written[9..], [0, 0, 1, 2, 2, 1], "{what}");
    }
}

#[test]
fn matchings_are_read_as_they_are_printed() {
    for text in ["bipartite", "greedy", "kmeans:2", "prune-random:7", "prune-attention"] {
        assert_eq!(text.parse::<Matching>().expect("a matching").to_string(), text);
    }
    for text in ["", "kmeans", "kmeans:0", "kmeans:1001", "kmeans:x", "greedy:1", "prune-random", "random:1"]
    {
        assert!(text.parse::<Matching>().is_err(), "{text}");
    }
}

#[test]
fn what_a_matching_lacks_is_said() {
    let config = Config::preset("vit_small_patch16_224").expect("a preset");
    let with = |matching| set!(Options::with_schedule(Schedule::constant(8)); matching);
    let refused = |options: Options, config: &Config| match options.check(config) {
        Err(Error::Input(why)) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(with(Matching::Greedy).tokens_per_block(&config)[12], 101);
    with(Matching::PruneAttention).check(&config).expect("it has a class token");
    let without = set!(config.clone(); class_token: false);
    assert!(refused(with(Matching::PruneAttention), &without).contains("class token"));
    assert!(refused(with(Matching::KMeans { iterations: 0 }), &config).contains("1 to 1000"));
    let both = set!(with(Matching::Greedy); partition: Partition::Sequential);
    assert!(refused(both, &config).contains("sequential"));
}
