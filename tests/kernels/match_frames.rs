use tome_wgpu::kernels::find_matches::Similarity;
use tome_wgpu::kernels::match_frames::{Io, LONGEST, Params, SPEC, match_frames};
use tome_wgpu::reference;

use crate::common::{Random, Rig, rigs_for, same, set};
use crate::rank_matches::one_group_a_token;

/// The plan by the reference.
fn on_reference(params: Params, metric: &[f32], size: Option<&[f32]>) -> Vec<u32> {
    let mut plan = vec![u32::MAX; (params.batch * params.plan_len()) as usize];
    reference::match_frames(&params, metric, size, &mut plan);
    plan
}

/// The plan is the reference's, number by number: for metrics whose dot products are exact.
fn check(rig: &Rig, params: Params, metric: &[f32], size: Option<&[f32]>) -> Vec<u32> {
    let want = on_reference(params, metric, size);
    let (metric, plan) = (rig.data(metric), rig.unwritten(want.len() as u32));
    let size = size.map(|size| rig.data(size));
    let io = Io::new(&metric, &plan);
    let io = size.as_ref().map_or(io, |size| io.size(size));
    rig.run(&[match_frames(&rig.gpu, params, io).unwrap()]);
    same(format!("{} {params:?}", rig.id()), &rig.read::<u32>(&plan, want.len() as u32), &want);
    want
}

/// Every seventh token has no direction.
fn metric(params: Params) -> Vec<f32> {
    let rows = params.batch * params.tokens;
    let mut metric = Random(rows.into()).sixteenths(rows * params.width);
    metric.chunks_exact_mut(params.width as usize).step_by(7).for_each(|token| token.fill(0.0));
    metric
}

#[test]
fn plans_are_the_references_for_groups_of_any_length() {
    // 64 sources are looked at at once, by four lanes each, and 256 lanes have a token each.
    let lengths = [1, 2, 3, 4, 5, 8, 9, 49, 127, 128, 129, 130, 196, 255, 256, 257, 513];
    for rig in rigs_for(&SPEC) {
        for (turn, length) in lengths.into_iter().enumerate() {
            for (protect, groups) in [(0, 1), (0, 3), (1, 1), (1, 2), (5, 3), (260, 1)] {
                let similarity = Similarity::ALL[(turn + groups as usize) % 3];
                let most = length / 2;
                for lost in [0, 1, most / 2, most].into_iter().filter(|&lost| lost <= most) {
                    let params = set!(Params::new(2, 20, protect, [groups, length], lost); similarity);
                    let plan = check(rig, params, &metric(params), None);
                    let what = format!("{} {params:?}", rig.id());
                    one_group_a_token([params.tokens, params.r(), protect], &plan, &what);
                    let length_out = length - lost;
                    for image in plan.chunks_exact(params.plan_len() as usize) {
                        let group = &image[image.len() - params.tokens as usize..];
                        let kept = &image[..(params.tokens - params.r()) as usize];
                        assert!(kept.is_sorted(), "{what}: not in order");
                        for (token, &out) in group.iter().enumerate().skip(protect as usize) {
                            let [from, to] = [token as u32, out].map(|at| at - protect);
                            assert_eq!(from / length, to / length_out, "{what}: {token} crosses");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_twin_in_another_frame_is_left_alone() {
    // Two frames of four: each token of the first has its twin in the second, and is unlike its own.
    let frame = [[8.0, 0.0, 0.0, 1.0f32], [0.0, 8.0, 0.0, 0.0], [0.0, 0.0, 8.0, 0.0], [1.0, 0.0, 0.0, 8.0]];
    for rig in rigs_for(&SPEC) {
        let metric = [[0.0; 4]; 1].iter().chain(&frame).chain(&frame).copied().collect::<Vec<_>>();
        // Behind one protected token destinations come first: of 1 2 3 4 the sources are 2 and 4, and 4 is like 1.
        let params = set!(Params::new(1, 4, 1, [2, 4], 1); similarity: Similarity::Dot);
        let plan = check(rig, params, metric.as_flattened(), None);
        assert_eq!(plan[..7], [0, 1, 2, 3, 5, 6, 7], "{}", rig.id());
        assert_eq!(plan[16..], [0, 1, 2, 3, 1, 4, 5, 6, 4], "{}", rig.id());
        // Behind none, sources do: 0 is like 3.
        let params = set!(Params::new(1, 4, 0, [2, 4], 1); similarity: Similarity::Dot);
        let plan = check(rig, params, metric[1..].as_flattened(), None);
        assert_eq!(plan[..6], [1, 2, 3, 5, 6, 7], "{}", rig.id());
        assert_eq!(plan[14..], [2, 0, 1, 2, 5, 3, 4, 5], "{}", rig.id());
    }
}

#[test]
fn equal_ones_merge_from_the_front_of_each_group_into_its_first() {
    for rig in rigs_for(&SPEC) {
        let plan = check(rig, Params::new(1, 4, 2, [2, 5], 2), &[0.5; 12 * 4], None);
        // Tokens 2 and 4 into 3, 7 and 9 into 8.
        assert_eq!(plan[..8], [0, 1, 3, 5, 6, 8, 10, 11], "{}", rig.id());
        assert_eq!(plan[20..], [0, 1, 2, 2, 2, 3, 4, 5, 5, 5, 6, 7], "{}", rig.id());
    }
}

#[test]
fn a_small_token_wins_over_a_nearer_large_one() {
    // In both frames 0 is nearer to 1, which is large, than to 3.
    let frame = [[1.0f32, 0.0, 0.0, 0.0], [0.75, 0.66, 0.0, 0.0], [0.0; 4], [0.5, 0.0, 0.87, 0.0]];
    let (metric, size) = ([frame, frame], [9.0, 9.0, 1.0, 1.0, 9.0, 9.0, 1.0, 1.0]);
    for rig in rigs_for(&SPEC) {
        for (by_size, want) in [(0.0, [0, 0, 1, 2, 3, 3, 4, 5]), (1.0, [2, 0, 1, 2, 5, 3, 4, 5])] {
            let params = set!(Params::new(1, 4, 0, [2, 4], 1); by_size);
            let plan = check(rig, params, metric.as_flattened().as_flattened(), Some(&size));
            assert_eq!(plan[plan.len() - 8..], want, "{} {by_size}", rig.id());
        }
    }
}

/// Sizes of every kind, where no rounding decides: the reference says the same of metrics a little off.
#[test]
fn by_size_is_the_references() {
    for rig in rigs_for(&SPEC) {
        for (similarity, by_size) in [(Similarity::Cosine, 1.0), (Similarity::Euclidean, 0.5)] {
            for (protect, groups, length, lost) in [(0, 4, 9, 3), (1, 3, 20, 7), (5, 1, 33, 16)] {
                let params = set!(Params::new(2, 12, protect, [groups, length], lost); similarity, by_size);
                let rows = params.batch * params.tokens;
                let decided = |seed: u64| {
                    let mut random = Random(seed << 8 | u64::from(length));
                    let mut metric = random.floats(rows * params.width);
                    for row in metric.chunks_exact_mut(params.width as usize) {
                        let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
                        row.iter_mut().for_each(|v| *v /= norm);
                    }
                    let mut size = random.sizes(rows);
                    size.iter_mut().step_by(11).for_each(|size| *size = 0.0);
                    let off: Vec<f32> = random.floats(rows * params.width);
                    let off: Vec<f32> = metric.iter().zip(&off).map(|(v, off)| v + off * 1e-5).collect();
                    let [plain, moved] = [&metric, &off].map(|m| on_reference(params, m, Some(&size)));
                    (plain == moved).then_some((metric, size))
                };
                let (metric, size) = (0..).find_map(decided).expect("a seed");
                check(rig, params, &metric, Some(&size));
            }
        }
    }
}

#[test]
fn everything_protected() {
    for rig in rigs_for(&SPEC) {
        let params = Params::new(2, 4, 300, [3, 0], 0);
        check(rig, params, &metric(params), None);
    }
}

#[test]
fn the_longest_group_and_many_images() {
    for rig in rigs_for(&SPEC) {
        let params = Params::new(1, 4, 1, [2, LONGEST], LONGEST / 2);
        check(rig, params, &metric(params), None);
        let params = Params::new(20_000, 4, 0, [4, 2], 1);
        check(rig, params, &metric(params), None);
    }
}
