use tome_wgpu::kernels::find_matches::{PROTECTED, UNDIRECTED};
use tome_wgpu::kernels::rank_matches::{END, Io, Params, SPEC, rank_matches};
use tome_wgpu::reference;

use crate::common::{Random, Rig, energies, partitions, rigs_for, same, set};

fn on_gpu(
    rig: &Rig,
    params: Params,
    score: &[f32],
    best: &[u32],
    split: Option<&[u32]>,
) -> (Vec<u32>, Vec<u32>) {
    let split = split.map(|split| rig.data(split));
    let (evens, plan_len) = (score.len() as u32, params.batch * params.plan_len());
    let (score, best, rank, plan) =
        (rig.data(score), rig.data(best), rig.unwritten(evens), rig.unwritten(plan_len));
    let io = set!(Io::new(&score, &best, &rank, &plan); split: split.as_ref().map(Into::into));
    rig.run(&[rank_matches(&rig.gpu, params, io).unwrap()]);
    (rig.read(&rank, evens), rig.read(&plan, plan_len))
}

/// Ranks and plan are the reference's, number by number.
fn check(rig: &Rig, params: Params, score: &[f32], best: &[u32]) -> Vec<u32> {
    check_split(rig, params, score, best, None)
}

fn check_split(rig: &Rig, params: Params, score: &[f32], best: &[u32], split: Option<&[u32]>) -> Vec<u32> {
    let (mut rank, mut plan) = (vec![END; score.len()], vec![0; (params.batch * params.plan_len()) as usize]);
    reference::rank_matches(&params, score, best, split, &mut rank, &mut plan);
    let got = on_gpu(rig, params, score, best, split);
    let what = format!("{} {params:?}", rig.id());
    same(format!("{what} rank"), &got.0, &rank);
    same(format!("{what} plan"), &got.1, &plan);
    got.1
}

/// Scores as find_matches leaves them: few different ones, so that there are ties, and marks at protected tokens.
fn edges(params: Params, seed: u64) -> (Vec<f32>, Vec<u32>) {
    let mut random = Random(seed);
    let Params { batch, tokens, protect, .. } = params;
    let unprotected = (tokens / 2).saturating_sub(protect / 2);
    let score = |even: u32| match random.below(8) {
        _ if 2 * even < protect => PROTECTED,
        0 => UNDIRECTED,
        n => n as f32 / 8.0,
    };
    let evens = || (0..batch).flat_map(|_| 0..tokens.div_ceil(2));
    let score = evens().map(score).collect();
    let best = evens().map(|_| if unprotected == 0 { 0 } else { protect / 2 + random.below(unprotected) });
    (score, best.collect())
}

fn most(tokens: u32, protect: u32) -> u32 {
    tokens.saturating_sub(protect) / 2
}

#[test]
fn matches_the_reference_exactly_with_ties() {
    // 256 lanes go through the even tokens: 255, 256, 257 of them, and few.
    for rig in rigs_for(&SPEC) {
        for tokens in [1, 2, 3, 4, 5, 9, 17, 197, 198, 510, 511, 512, 513, 514, 577, 1370] {
            for protect in [0, 1, 2, 5].into_iter().filter(|&p| p <= tokens) {
                let most = most(tokens, protect);
                for r in [0, 1, most / 2, most].into_iter().filter(|&r| r <= most) {
                    let params = set!(Params::default(); batch: 2, tokens, r, protect);
                    let (score, best) = edges(params, u64::from(tokens) + u64::from(r));
                    check(rig, params, &score, &best);
                }
            }
        }
    }
}

/// Every token is in one group, protected ones in their own at their own place.
pub fn one_group_a_token([tokens, r, protect]: [u32; 3], plan: &[u32], what: &str) {
    for plan in plan.chunks_exact((3 * tokens - r) as usize) {
        let (keep, rest) = plan.split_at((tokens - r) as usize);
        let (next, group) = rest.split_at(tokens as usize);
        let mut seen = vec![0; tokens as usize];
        for (place, &kept) in keep.iter().enumerate() {
            let mut member = kept;
            while member != END {
                seen[member as usize] += 1;
                assert_eq!(group[member as usize], place as u32, "{what}: token {member}");
                member = next[member as usize];
            }
        }
        assert!(seen.iter().all(|&count| count == 1), "{what}: {seen:?}");
        for token in 0..protect as usize {
            assert_eq!((keep[token], next[token]), (token as u32, END), "{what}");
        }
    }
}

#[test]
fn a_plan_puts_every_token_into_one_group_and_leaves_protected_ones_alone() {
    for rig in rigs_for(&SPEC) {
        for (tokens, protect) in [(20, 0), (21, 0), (197, 1), (198, 2), (42, 5)] {
            let params = set!(Params::default(); batch: 1, tokens, r: most(tokens, protect), protect);
            let (score, best) = edges(params, 11);
            let (_, plan) = on_gpu(rig, params, &score, &best, None);
            one_group_a_token([tokens, params.r, protect], &plan, &format!("{} {params:?}", rig.id()));
        }
    }
}

#[test]
fn equal_scores_merge_from_the_front() {
    for rig in rigs_for(&SPEC) {
        let params = set!(Params::default(); batch: 1, tokens: 11, r: 3, protect: 1);
        let plan = check(rig, params, &[PROTECTED, 0.5, 0.5, 0.5, 0.5, 0.5], &[0, 4, 0, 4, 4, 0]);
        // Tokens 2, 4 and 6 go to 9, 1 and 9. Class token, 8, 10, then the odd ones.
        assert_eq!(plan[..8], [0, 8, 10, 1, 3, 5, 7, 9], "{}", rig.id());
        let next = &plan[8..19];
        assert_eq!((next[9], next[2], next[6], next[1]), (2, 6, END, 4), "{}", rig.id());
    }
}

#[test]
fn many_images() {
    for rig in rigs_for(&SPEC) {
        let params = set!(Params::default(); batch: 70_000, tokens: 3, r: 1, protect: 1);
        let (score, best) = edges(params, 12);
        check(rig, params, &score, &best);
    }
}

#[test]
fn matches_the_reference_exactly_in_every_partition() {
    for rig in rigs_for(&SPEC) {
        for free in [1, 2, 3, 12, 65, 196, 513] {
            for protect in [0, 1, 2, 5] {
                for partition in partitions(free) {
                    let tokens = free + protect;
                    let most = partition.most(tokens, protect);
                    for r in [1, most / 2, most].into_iter().filter(|&r| r <= most) {
                        let Some(list) = partition.split(2, tokens, protect, r) else { continue };
                        let mut split = vec![0; (list.lists * tokens) as usize];
                        let energy = energies(&list, &mut Random(tokens.into()));
                        reference::split_tokens(&list, Some(&energy), &mut split);
                        let (srcs, split_stride) = (list.srcs, list.stride());
                        let params =
                            set!(Params::default(); batch: 2, tokens, r, protect, srcs, split_stride);
                        let mut random = Random(u64::from(tokens) + u64::from(r));
                        let sources = || (0..2).flat_map(|_| 0..srcs);
                        let score: Vec<f32> = sources()
                            .map(|i| if i < list.held() { PROTECTED } else { random.below(8) as f32 / 8.0 })
                            .collect();
                        let best: Vec<u32> = sources().map(|_| random.below(tokens - srcs)).collect();
                        let plan = check_split(rig, params, &score, &best, Some(&split));
                        let what = format!("{} {partition} {params:?}", rig.id());
                        one_group_a_token([tokens, r, protect], &plan, &what);
                    }
                }
            }
        }
    }
}
