use tome_wgpu::kernels::split_tokens::{Io, Params, SPEC, SplitMode, pcg, split_tokens};
use tome_wgpu::kernels::token_energy::{PROTECTED, UNDIRECTED};
use tome_wgpu::{Partition, reference};

use crate::common::{Random, Rig, energies, partitions, rigs_for, same, set};

fn on_reference(params: Params, energy: Option<&[f32]>) -> Vec<u32> {
    let mut split = vec![u32::MAX; (params.lists * params.tokens) as usize];
    reference::split_tokens(&params, energy, &mut split);
    split
}

fn on_gpu(rig: &Rig, params: Params, energy: Option<&[f32]>) -> Vec<u32> {
    let count = params.lists * params.tokens;
    let (split, energy) = (rig.unwritten(count), energy.map(|energy| rig.data(energy)));
    let io = set!(Io::new(&split); energy: energy.as_ref().map(Into::into));
    rig.run(&[split_tokens(&rig.gpu, params, io).unwrap()]);
    rig.read(&split, count)
}

fn check(rig: &Rig, params: Params) -> Vec<u32> {
    let energy =
        (params.mode == SplitMode::Energy).then(|| energies(&params, &mut Random(params.tokens.into())));
    let want = on_reference(params, energy.as_deref());
    same(format!("{} {params:?}", rig.id()), &on_gpu(rig, params, energy.as_deref()), &want);
    want
}

#[test]
fn lists_are_the_references_and_name_every_token_once() {
    // 256 lanes take a run of tokens each.
    for rig in rigs_for(&SPEC) {
        for free in [1, 2, 3, 4, 5, 12, 36, 196, 254, 255, 256, 257, 513] {
            for protect in [0, 1, 2, 5] {
                for partition in partitions(free) {
                    let tokens = free + protect;
                    let most = partition.most(tokens, protect);
                    for params in
                        [1, most].iter().filter_map(|&r| partition.split(3, tokens, protect, r.min(most)))
                    {
                        for list in check(rig, params).chunks_exact(tokens as usize) {
                            let what = format!("{partition}, {tokens} tokens, {protect} protected: {list:?}");
                            let (sources, destinations) = list.split_at(params.srcs as usize);
                            let (held, merging) = sources.split_at(params.held() as usize);
                            let energy = matches!(partition, Partition::Energy { .. });
                            assert!(held.is_sorted() && merging.is_sorted(), "{what}");
                            assert!(destinations.is_sorted() && (energy || sources.is_sorted()), "{what}");
                            assert!(!energy || merging.len() == destinations.len(), "{what}");
                            assert_eq!(
                                sources[..protect as usize],
                                (0..protect).collect::<Vec<_>>(),
                                "{what}"
                            );
                            let mut all = list.to_vec();
                            all.sort_unstable();
                            assert_eq!(all, (0..tokens).collect::<Vec<_>>(), "{what}");
                            assert!(!destinations.is_empty(), "{what}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn lists_are_what_the_partition_says() {
    let list = |partition: Partition, tokens, protect, r| {
        let params = partition.split(1, tokens, protect, r).expect("a list");
        let (list, srcs) = (on_reference(params, None), params.srcs as usize);
        (list[..srcs].to_vec(), list[srcs..].to_vec())
    };
    assert_eq!(list(Partition::Sequential, 8, 1, 1), (vec![0, 1, 2, 3, 4], vec![5, 6, 7]));
    // The last two are no group of three.
    assert_eq!(list(Partition::EveryKth(3), 9, 1, 1), (vec![0, 1, 2, 4, 5, 7, 8], vec![3, 6]));
    let grid = |seed| Partition::Grid { rows: 5, columns: 6, stride: [2, 4], seed };
    let (sources, destinations) = list(grid(None), 30, 0, 1);
    assert_eq!((sources.len(), destinations), (28, vec![0, 12]));
    let (_, destinations) = list(grid(Some(7)), 30, 0, 1);
    let cell = |token: u32| (token / 6 / 2, token % 6 / 4);
    assert_eq!(destinations.iter().map(|&t| cell(t)).collect::<Vec<_>>(), [(0, 0), (1, 0)]);
    let (sources, destinations) = list(Partition::Random { seed: 7 }, 20, 2, 6);
    assert_eq!((sources.len(), destinations.len()), (8, 12));
}

/// In falling order of energy: 5, 3, 6, then 1 and 7, which are equal, 4 and 8, 2; in the second image 6, 3 and 4, 2, 5, 7,
/// and at last those without direction, 1 and 8.
#[test]
fn the_highest_energies_merge_in_turn_and_the_lower_token_is_first_of_equals() {
    let energy = [
        [PROTECTED, 0.25, -0.5, 0.75, 0.0, 1.0, 0.5, 0.25, -0.0],
        [PROTECTED, UNDIRECTED, -0.5, 0.0, 0.0, -1.0, 0.5, -2.0, UNDIRECTED],
    ];
    let energy = energy.as_flattened();
    let by_energy = |r| Partition::Energy { margin: None }.split(2, 9, 1, r).expect("a list");
    for rig in rigs_for(&SPEC) {
        for (r, first, second) in [
            (1, [0, 1, 2, 4, 6, 7, 8, 5, 3], [0, 1, 2, 4, 5, 7, 8, 6, 3]),
            (2, [0, 2, 4, 7, 8, 5, 6, 1, 3], [0, 1, 5, 7, 8, 4, 6, 2, 3]),
            (3, [0, 2, 8, 5, 6, 7, 1, 3, 4], [0, 1, 8, 4, 5, 6, 2, 3, 7]),
            (4, [0, 5, 6, 7, 8, 1, 2, 3, 4], [0, 1, 4, 5, 6, 2, 3, 7, 8]),
        ] {
            let params = by_energy(r);
            assert_eq!((params.srcs, params.held()), (9 - r, 9 - 2 * r));
            same(rig.id(), &on_gpu(rig, params, Some(energy)), &[first, second].concat());
            same(rig.id(), &on_reference(params, Some(energy)), &[first, second].concat());
        }
    }
}

/// Energies are data, and nothing checks at run time that they are numbers.
#[test]
fn a_list_names_every_token_once_whatever_energies_are() {
    for rig in rigs_for(&SPEC) {
        for (tokens, r) in [(2, 1), (9, 3), (300, 150), (600, 7)] {
            let mut random = Random(tokens.into());
            let odd = [f32::NAN, -f32::NAN, f32::INFINITY, -f32::INFINITY, 0.0, -0.0, 1e-45, 0.5];
            let energy: Vec<f32> = (0..2 * tokens).map(|_| odd[random.below(8) as usize]).collect();
            let params = Partition::Energy { margin: None }.split(2, tokens, 0, r).expect("a list");
            let lists = on_gpu(rig, params, Some(&energy));
            for list in lists.chunks_exact(tokens as usize) {
                let mut all = list.to_vec();
                all.sort_unstable();
                assert_eq!(all, (0..tokens).collect::<Vec<_>>(), "{}", rig.id());
            }
        }
    }
}

#[test]
fn random_lists_differ_by_image_and_by_seed_and_continue_where_a_batch_ends() {
    let draw = |partition: Partition, first| {
        on_reference(set!(partition.split(2, 197, 1, 16).expect("a list"); first_list: first), None)
    };
    let random = |seed| Partition::Random { seed };
    let both = draw(random(1), 0);
    let (one, two) = both.split_at(197);
    assert_ne!(one, two);
    assert_ne!(both, draw(random(2), 0));
    assert_eq!(two, &draw(random(1), 1)[..197]);
    let grid = |seed| Partition::Grid { rows: 14, columns: 14, stride: [2, 2], seed: Some(seed) };
    assert_ne!(draw(grid(1), 0), draw(grid(2), 0));
    // Every token is as likely as any other: with 16 of 196, 4,000 draws take each 327 times, give or take 17.
    let mut taken = [0; 197];
    for first in 0..2000 {
        let lists = draw(random(3), 2 * first);
        lists.chunks_exact(197).flat_map(|list| &list[1..17]).for_each(|&t| taken[t as usize] += 1);
    }
    assert!(taken[1..].iter().all(|count| (240..414).contains(count)), "{taken:?}");
}

#[test]
fn the_hash_is_the_published_one() {
    assert_eq!([0, 1, 2, u32::MAX].map(pcg), [129708002, 2831084092, 2055130248, 3861530882]);
}

#[test]
fn many_lists() {
    for rig in rigs_for(&SPEC) {
        check(
            rig,
            set!(Params::default(); lists: 70_000, tokens: 3, srcs: 1, mode: SplitMode::Random, seed: 5),
        );
    }
}
