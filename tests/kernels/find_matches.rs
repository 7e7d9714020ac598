use tome_wgpu::kernels::find_matches::{Io, PROTECTED, Params, SPEC, Similarity, UNDIRECTED, find_matches};
use tome_wgpu::reference;

use crate::common::{Random, Rig, Tol, close, energies, partitions, rigs_for, same, set};

/// Scores and indices of the best.
type Edges = (Vec<f32>, Vec<u32>);

fn on_gpu(rig: &Rig, params: Params, metric: &[f32], split: Option<&[u32]>) -> Edges {
    let evens = params.batch * split.map_or(params.tokens.div_ceil(2), |_| params.srcs);
    let split = split.map(|split| rig.data(split));
    let (metric, score, best) = (rig.data(metric), rig.unwritten(evens), rig.unwritten(evens));
    let io = set!(Io::new(&metric, &score, &best); split: split.as_ref().map(Into::into));
    rig.run(&[find_matches(&rig.gpu, params, io).unwrap()]);
    (rig.read(&score, evens), rig.read(&best, evens))
}

fn on_reference(params: Params, metric: &[f32], split: Option<&[u32]>) -> Edges {
    let evens = (params.batch * split.map_or(params.tokens.div_ceil(2), |_| params.srcs)) as usize;
    let (mut score, mut best) = (vec![f32::NAN; evens], vec![u32::MAX; evens]);
    reference::find_matches(&params, metric, split, None, &mut score, &mut best);
    (score, best)
}

/// Decisions and scores to the last bit: for metrics whose dot products are exact.
fn check_exact(rig: &Rig, params: Params, metric: &[f32]) -> Edges {
    check_split(rig, params, metric, None)
}

fn check_split(rig: &Rig, params: Params, metric: &[f32], split: Option<&[u32]>) -> Edges {
    let (got, want) = (on_gpu(rig, params, metric, split), on_reference(params, metric, split));
    let what = format!("{} {params:?}", rig.id());
    same(format!("{what} best"), &got.1, &want.1);
    same(format!("{what} score"), &got.0, &want.0);
    got
}

#[test]
fn decisions_are_exact_where_sums_are_and_ties_fall_to_the_lower_index() {
    // 64 lanes go through the odd tokens: 63, 64, 65 and 129 of them, and none, one and two.
    for rig in rigs_for(&SPEC) {
        for tokens in [1, 2, 3, 4, 5, 126, 127, 128, 129, 130, 131, 197, 258] {
            for protect in [0, 1, 2, 5] {
                for width in [4, 20, 64] {
                    let params = set!(Params::default(); batch: 2, tokens, width, protect);
                    check_exact(rig, params, &Random(tokens.into()).sixteenths(2 * tokens * width));
                }
            }
        }
    }
}

#[test]
fn equal_tokens_match_the_first_unprotected_one() {
    for rig in rigs_for(&SPEC) {
        for (protect, first) in [(0, 0), (1, 0), (2, 1), (5, 2)] {
            let params = set!(Params::default(); batch: 1, tokens: 261, width: 64, protect);
            let (score, best) = check_exact(rig, params, &[0.125; 261 * 64]);
            for even in 0..131 {
                let kept = 2 * even < protect as usize;
                let want = if kept { (PROTECTED, 0) } else { (1.0, first) };
                assert_eq!((score[even], best[even]), want, "{} protect {protect} even {even}", rig.id());
            }
        }
    }
}

#[test]
fn random_metrics_choose_a_best_within_rounding() {
    // Unit vectors: a dot product of 64 terms in f32 is off by less than 64 * 6e-8 / 4 = 1e-6, whatever the order.
    let tol = Tol { abs: 1e-6, rel: 0.0 };
    for rig in rigs_for(&SPEC) {
        for (tokens, width) in [(197, 64), (198, 80), (577, 64), (50, 768)] {
            let params = set!(Params::default(); batch: 2, tokens, width, protect: 1);
            let mut metric = Random(tokens.into()).floats(2 * tokens * width);
            for token in metric.chunks_exact_mut(width as usize) {
                let length = token.iter().map(|v| v * v).sum::<f32>().sqrt();
                token.iter_mut().for_each(|v| *v /= length);
            }
            let (got, want) = (on_gpu(rig, params, &metric, None), on_reference(params, &metric, None));
            let what = format!("{} {params:?}", rig.id());
            close(format!("{what} score"), &got.0, &want.0, tol);
            // Where another one was chosen, it is as good: its own cosine, in f64, is the best one's.
            let evens = tokens.div_ceil(2);
            for (i, (&got, &best)) in got.1.iter().zip(&want.1).enumerate() {
                let (item, even) = (i as u32 / evens, i as u32 % evens);
                let token = |t: u32| &metric[((item * tokens + t) * width) as usize..][..width as usize];
                let cosine = |odd: u32| -> f64 {
                    let pairs = token(2 * even).iter().zip(token(2 * odd + 1));
                    pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
                };
                let lost = cosine(best) - cosine(got);
                assert!(
                    lost <= 1e-6,
                    "{what}: even token {even} took {got} instead of {best}, {lost:e} worse"
                );
            }
        }
    }
}

#[test]
fn tokens_without_direction_come_last_but_before_protected_ones() {
    for rig in rigs_for(&SPEC) {
        let params = set!(Params::default(); batch: 1, tokens: 12, width: 8, protect: 2);
        let mut metric = Random(3).sixteenths(12 * 8);
        metric.iter_mut().for_each(|v| *v += 0.5 / 16.0);
        let mut zero = |token: usize| metric[token * 8..][..8].fill(0.0);
        // An even one, and two odd ones.
        [4, 5, 9].into_iter().for_each(&mut zero);
        let (score, best) = check_exact(rig, params, &metric);
        assert_eq!((score[0], score[2], best[2]), (PROTECTED, UNDIRECTED, 1), "{}", rig.id());
        assert!(
            best.iter().enumerate().all(|(i, b)| i == 2 || ![2, 4].contains(b)),
            "{}: {best:?}",
            rig.id()
        );

        // No direction anywhere: a defined result all the same.
        let (score, best) = check_exact(rig, params, &[0.0; 12 * 8]);
        assert_eq!(score, [PROTECTED, UNDIRECTED, UNDIRECTED, UNDIRECTED, UNDIRECTED, UNDIRECTED]);
        assert_eq!(best, [0, 1, 1, 1, 1, 1]);
    }
}

#[test]
fn everything_protected() {
    for rig in rigs_for(&SPEC) {
        let params = set!(Params::default(); batch: 2, tokens: 7, width: 4, protect: 7);
        let (score, _) = check_exact(rig, params, &Random(4).sixteenths(2 * 7 * 4));
        assert_eq!(score, [PROTECTED; 8]);
    }
}

#[test]
fn more_even_tokens_than_one_dimension_of_workgroups() {
    for rig in rigs_for(&SPEC) {
        let params = set!(Params::default(); batch: 35_000, tokens: 4, width: 4, protect: 0);
        check_exact(rig, params, &Random(5).sixteenths(35_000 * 16));
    }
}

/// The best edges by any similarity and in any partition, to the last bit: sums of sixteenths squared are exact.
#[test]
fn decisions_are_exact_in_every_partition_and_by_every_similarity() {
    for rig in rigs_for(&SPEC) {
        for free in [1, 2, 3, 12, 65, 130, 196] {
            for protect in [0, 1, 2, 5] {
                for partition in partitions(free) {
                    let tokens = free + protect;
                    let r = partition.most(tokens, protect).min(9);
                    let Some(list) = partition.split(2, tokens, protect, r) else { continue };
                    let mut split = vec![0; (list.lists * tokens) as usize];
                    let energy = energies(&list, &mut Random(tokens.into()));
                    reference::split_tokens(&list, Some(&energy), &mut split);
                    for similarity in [Similarity::Cosine, Similarity::Dot, Similarity::Euclidean] {
                        let (srcs, split_stride, held) = (list.srcs, list.stride(), list.held());
                        let params = set!(
                            Params::default();
                            batch: 2, tokens, width: 20, protect, similarity, srcs, split_stride, held
                        );
                        let mut metric = Random(tokens.into()).sixteenths(2 * tokens * 20);
                        // Some without direction.
                        metric.chunks_exact_mut(20).step_by(7).for_each(|token| token.fill(0.0));
                        let (score, _) = check_split(rig, params, &metric, Some(&split));
                        for (i, score) in score.into_iter().enumerate() {
                            let holds = (i as u32 % srcs) < held;
                            assert_eq!(score == PROTECTED, holds, "{} {params:?}", rig.id());
                        }
                        // Protected tokens are held without being counted.
                        if held == protect {
                            check_split(rig, set!(params; held: 0), &metric, Some(&split));
                        }
                    }
                }
            }
        }
    }
}

/// Sizes count: scores within the rounding of exp2 and log2 (WGSL asks for 3 ULP and some 2^-21), and where another edge
/// was chosen it is as good.
#[test]
fn large_tokens_must_be_more_alike() {
    let tol = Tol { abs: 1e-5, rel: 1e-5 };
    for rig in rigs_for(&SPEC) {
        for (tokens, similarity, by_size) in [
            (197, Similarity::Cosine, 0.5),
            (64, Similarity::Cosine, 1.0),
            (131, Similarity::Euclidean, 1.0),
            (50, Similarity::Euclidean, 2.0),
            (50, Similarity::Cosine, 0.0),
        ] {
            let (batch, width, protect) = (2, 20, 1);
            let params = set!(Params::default(); batch, tokens, width, protect, similarity, by_size);
            let mut random = Random(tokens.into());
            let mut metric = random.floats(batch * tokens * width);
            for token in metric.chunks_exact_mut(width as usize) {
                let length = token.iter().map(|v| v * v).sum::<f32>().sqrt();
                token.iter_mut().for_each(|v| *v /= length);
            }
            metric.chunks_exact_mut(20).step_by(9).for_each(|token| token.fill(0.0));
            // Small ones, a few large ones, and padding.
            let size: Vec<f32> =
                (0..batch * tokens).map(|i| [1.0, 2.0, 40.0, 0.0, 1.0, 7.0][i as usize % 6]).collect();

            let evens = batch * tokens.div_ceil(2);
            let (m, s, score, best) =
                (rig.data(&metric), rig.data(&size), rig.unwritten(evens), rig.unwritten(evens));
            let io = Io::new(&m, &score, &best).size(&s);
            rig.run(&[find_matches(&rig.gpu, params, io).unwrap()]);
            let (got, chosen) = (rig.read(&score, evens), rig.read(&best, evens));
            let (mut want, mut wanted) = (vec![f32::NAN; evens as usize], vec![u32::MAX; evens as usize]);
            reference::find_matches(&params, &metric, None, Some(&size), &mut want, &mut wanted);
            let what = format!("{} {params:?}", rig.id());
            close(format!("{what} score"), &got, &want, tol);
            let other = chosen.iter().zip(&wanted).filter(|(a, b): &(&u32, &u32)| a != b).count();
            assert!(other <= 1, "{what}: {other} of {evens} edges are others");
        }
    }
}

/// Two cosines of 0.75 and 0.5: with sizes 1 and 1 against 9 and 9, the nearer one is the larger and loses.
#[test]
fn a_small_token_wins_over_a_nearer_large_one() {
    let metric = [[1.0f32, 0.0, 0.0, 0.0], [0.75, 0.66, 0.0, 0.0], [0.0; 4], [0.5, 0.0, 0.87, 0.0]];
    let size = [9.0f32, 9.0, 1.0, 1.0];
    for rig in rigs_for(&SPEC) {
        for (by_size, winner) in [(0.0, 0), (1.0, 1)] {
            let params = set!(Params::default(); batch: 1, tokens: 4, width: 4, by_size);
            let (m, s, score, best) =
                (rig.data(metric.as_flattened()), rig.data(&size), rig.unwritten(2), rig.unwritten(2));
            rig.run(&[find_matches(&rig.gpu, params, Io::new(&m, &score, &best).size(&s)).unwrap()]);
            let best: Vec<u32> = rig.read(&best, 2);
            assert_eq!(best[0], winner, "{} {by_size}", rig.id());
        }
    }
}

#[test]
fn the_nearest_is_the_best_by_distance_and_the_longest_by_dot_product() {
    // Source 0 at 2, destinations at 1.75, 8 and 0.25; source 2 has no direction, nor has the destination 5.
    let metric = [2.0f32, 1.75, 0.0, 8.0, 0.25, 0.0].map(|v| [v, 0.0, 0.0, 0.0]);
    for rig in rigs_for(&SPEC) {
        for (similarity, scores, bests) in [
            (Similarity::Euclidean, [-0.0625, UNDIRECTED, -2.25], [0, 0, 0]),
            (Similarity::Dot, [16.0, UNDIRECTED, 2.0], [1, 0, 1]),
        ] {
            let params = set!(Params::default(); batch: 1, tokens: 6, width: 4, similarity);
            let (score, best) = check_exact(rig, params, metric.as_flattened());
            assert_eq!((&score[..], &best[..]), (&scores[..], &bests[..]), "{}", rig.id());
        }
    }
}

/// The longest metrics that key_metric lets through, against each other: no score leaves the floats or falls among the
/// marks.
#[test]
fn scores_of_the_longest_metrics_are_finite_and_above_the_marks() {
    for rig in rigs_for(&SPEC) {
        for similarity in [Similarity::Dot, Similarity::Euclidean] {
            let params = set!(Params::default(); batch: 1, tokens: 2, width: 4, similarity);
            for sign in [-1.0, 1.0] {
                let metric = [1e18, 0.0, 0.0, 0.0, sign * 1e18, 0.0, 0.0, 0.0];
                let (score, _) = on_gpu(rig, params, &metric, None);
                assert!(
                    score[0].is_finite() && score[0] > UNDIRECTED,
                    "{} {similarity:?} {score:?}",
                    rig.id()
                );
                assert_eq!(on_reference(params, &metric, None).0.len(), 1);
            }
        }
    }
}
