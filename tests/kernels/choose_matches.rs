use tome_wgpu::kernels::choose_matches::{Io, Params, SPEC, choose_matches};
use tome_wgpu::kernels::find_matches::{PROTECTED, UNDIRECTED};
use tome_wgpu::kernels::rank_matches;
use tome_wgpu::kernels::rank_matches::END;
use tome_wgpu::reference;

use crate::common::{Random, Rig, rigs_for, same, set};

/// Ranks, plan and mask.
type Chosen = (Vec<u32>, Vec<u32>, Vec<f32>);

fn on_reference(params: Params, score: &[f32], best: &[u32], size: Option<&[f32]>) -> Chosen {
    let (mut rank, mut plan) = (vec![77; score.len()], vec![77; (params.batch * params.plan_len()) as usize]);
    let mut mask = vec![f32::NAN; (params.batch * (params.tokens - params.least)) as usize];
    reference::choose_matches(&params, score, best, size, &mut rank, &mut plan, &mut mask);
    (rank, plan, mask)
}

/// Everything is the reference's, number by number.
fn check(rig: &Rig, params: Params, score: &[f32], best: &[u32], size: Option<&[f32]>) -> Chosen {
    let want = on_reference(params, score, best, size);
    let size = size.map(|size| rig.data(size));
    let [edges, plan_len, places] = [want.0.len(), want.1.len(), want.2.len()].map(|len| len as u32);
    let (score, best) = (rig.data(score), rig.data(best));
    let [rank, plan, mask] = [edges, plan_len, places].map(|len| rig.unwritten(len));
    let io = set!(Io::new(&score, &best, &rank, &plan, &mask); size: size.as_ref().map(Into::into));
    rig.run(&[choose_matches(&rig.gpu, params, io).unwrap()]);
    let what = format!("{} {params:?}", rig.id());
    same(format!("{what} rank"), &rig.read::<u32>(&rank, edges), &want.0);
    same(format!("{what} plan"), &rig.read::<u32>(&plan, plan_len), &want.1);
    same(format!("{what} mask"), &rig.read::<f32>(&mask, places), &want.2);
    want
}

/// Scores with ties and marks as find_matches leaves them, and partners, some of which are padding.
fn edges(params: Params, random: &mut Random) -> (Vec<f32>, Vec<u32>) {
    let Params { batch, tokens, protect, .. } = params;
    let goals = (tokens / 2).saturating_sub(protect / 2);
    let evens = || (0..batch).flat_map(|_| 0..tokens.div_ceil(2));
    let score = evens().map(|even| match random.below(8) {
        _ if 2 * even < protect || goals == 0 => PROTECTED,
        0 => UNDIRECTED,
        n => n as f32 / 8.0,
    });
    let score: Vec<f32> = score.collect();
    let best = evens().map(|_| if goals == 0 { 0 } else { protect / 2 + random.below(goals) });
    (score, best.collect())
}

fn most(tokens: u32, protect: u32) -> u32 {
    tokens.saturating_sub(protect) / 2
}

/// Sizes of images with some padding behind the tokens, or anywhere.
fn sizes(params: Params, random: &mut Random, behind: bool) -> Vec<f32> {
    let mut size = random.sizes(params.batch * params.tokens);
    for image in size.chunks_exact_mut(params.tokens as usize) {
        let free = params.tokens - params.protect;
        if free > 0 && behind {
            let padding = random.below(free + 1) as usize;
            image[params.tokens as usize - padding..].fill(0.0);
        } else if free > 0 {
            (params.protect as usize..image.len()).for_each(|token| {
                if random.below(3) == 0 {
                    image[token] = 0.0;
                }
            });
        }
    }
    size
}

/// Every token that has a size is in one group, nobody else is, and nobody is lost.
fn nobody_is_lost(params: Params, (_, plan, mask): &Chosen, size: &[f32]) {
    let Params { tokens, protect, least, .. } = params;
    let places = (tokens - least) as usize;
    let images = plan.chunks_exact(params.plan_len() as usize).zip(mask.chunks_exact(places));
    for ((plan, mask), size) in images.zip(size.chunks_exact(tokens as usize)) {
        let (keep, rest) = plan.split_at(places);
        let (next, group) = rest.split_at(tokens as usize);
        let mut seen = vec![0; tokens as usize];
        for (place, &first) in keep.iter().enumerate() {
            assert_eq!(mask[place], f32::from(first != END), "{params:?}");
            assert!(place == 0 || first == END || keep[place - 1] != END, "{params:?}: a hole at {place}");
            let mut member = first;
            while member != END {
                assert_eq!(group[member as usize], place as u32, "{params:?}");
                seen[member as usize] += 1;
                member = next[member as usize];
            }
        }
        for token in 0..tokens as usize {
            let there = token < protect as usize || size[token] > 0.0;
            assert_eq!(seen[token], i32::from(there), "{params:?}: token {token}");
        }
    }
}

#[test]
fn plans_are_the_references_and_nobody_is_lost() {
    // 256 lanes go through sources and tokens: around one and two chunks of both, and few.
    for rig in rigs_for(&SPEC) {
        for tokens in [1, 2, 3, 4, 5, 9, 17, 64, 197, 255, 256, 257, 511, 512, 513, 514, 1370] {
            for protect in [0, 1, 2, 5].into_iter().filter(|&p| p <= tokens) {
                let most = most(tokens, protect);
                for (r, least) in [(0, 0), (most, 0), (most / 2, most / 4), (most, most), (0, most)] {
                    for threshold in [-2.0, 0.5, 2.0] {
                        let params = set!(Params::default(); batch: 2, tokens, r, least, protect, threshold);
                        let random = &mut Random(u64::from(tokens) + u64::from(r));
                        let (score, best) = edges(params, random);
                        let all = vec![1.0; 2 * tokens as usize];
                        nobody_is_lost(params, &check(rig, params, &score, &best, None), &all);
                        for behind in [true, false] {
                            let size = sizes(params, random, behind);
                            nobody_is_lost(params, &check(rig, params, &score, &best, Some(&size)), &size);
                        }
                    }
                }
            }
        }
    }
}

/// Below every score, and with as many places as r leaves, it is the plan of rank_matches.
#[test]
fn without_a_choice_the_plan_is_that_of_rank_matches() {
    for rig in rigs_for(&SPEC) {
        for (tokens, protect) in [(4, 0), (25, 0), (26, 1), (197, 1), (198, 2), (42, 5)] {
            for r in [1, most(tokens, protect) / 2, most(tokens, protect)] {
                let params = set!(Params::default(); batch: 2, tokens, r, least: r, protect, threshold: -2.0);
                let (score, best) = edges(params, &mut Random(7));
                let (rank, plan, mask) = check(rig, params, &score, &best, None);
                let ranked = rank_matches::Params::new(2, tokens, r, protect);
                let (mut want_rank, mut want) = (vec![0; rank.len()], vec![0; plan.len()]);
                reference::rank_matches(&ranked, &score, &best, None, &mut want_rank, &mut want);
                same(format!("{} {params:?}", rig.id()), &plan, &want);
                assert!(mask.iter().all(|&there| there == 1.0));
            }
        }
    }
}

#[test]
fn what_is_above_merges_and_what_has_no_room() {
    // Tokens 0 to 8, class token first; sources 2, 4, 6 and 8 with their partners 3, 3, 5 and 1.
    let (score, best) = ([PROTECTED, 0.9, 0.5, 0.7, 0.1], [0, 1, 1, 2, 0]);
    let of =
        |r, least, threshold| set!(Params::default(); batch: 1, tokens: 9, r, least, protect: 1, threshold);
    let keep = |params: Params, size: Option<&[f32]>| {
        let plan = on_reference(params, &score, &best, size).1;
        plan[..(9 - params.least) as usize].to_vec()
    };
    let e = END;
    // Two are above 0.6; of those one may; in any case four must.
    assert_eq!(keep(of(4, 0, 0.6), None), [0, 4, 8, 1, 3, 5, 7, e, e]);
    assert_eq!(keep(of(1, 0, 0.6), None), [0, 4, 6, 8, 1, 3, 5, 7, e]);
    assert_eq!(keep(of(4, 1, 0.6), None), [0, 4, 8, 1, 3, 5, 7, e]);
    assert_eq!(keep(of(4, 4, 0.6), None), [0, 1, 3, 5, 7]);
    assert_eq!(keep(of(4, 0, 0.7), None), [0, 4, 6, 8, 1, 3, 5, 7, e]);
    // Tokens 7 and 8 are padding: of four places that disappear two are theirs, and the edge above is one of two others.
    let size = [1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0];
    assert_eq!(keep(of(4, 4, 0.8), Some(&size)), [0, 4, 1, 3, 5]);
    assert_eq!(keep(of(4, 2, 0.8), Some(&size)), [0, 4, 6, 1, 3, 5, e]);
}

#[test]
fn many_images() {
    for rig in rigs_for(&SPEC) {
        let params = set!(Params::default(); batch: 70_000, tokens: 3, r: 1, protect: 1, threshold: 0.5);
        let random = &mut Random(12);
        let (score, best) = edges(params, random);
        check(rig, params, &score, &best, Some(&sizes(params, random, true)));
    }
}
