use tome_wgpu::kernels::split_tokens::{Io, Params, SPEC, SplitMode, pcg, split_tokens};
use tome_wgpu::{Partition, reference};

use crate::common::{Rig, partitions, rigs_for, same, set};

fn on_reference(params: Params) -> Vec<u32> {
    let mut split = vec![u32::MAX; (params.lists * params.tokens) as usize];
    reference::split_tokens(&params, &mut split);
    split
}

fn check(rig: &Rig, params: Params) -> Vec<u32> {
    let want = on_reference(params);
    let split = rig.unwritten(want.len() as u32);
    rig.run(&[split_tokens(&rig.gpu, params, Io::new(&split)).unwrap()]);
    same(format!("{} {params:?}", rig.id()), &rig.read::<u32>(&split, want.len() as u32), &want);
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
                            assert!(sources.is_sorted() && destinations.is_sorted(), "{what}");
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
        let (list, srcs) = (on_reference(params), params.srcs as usize);
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

#[test]
fn random_lists_differ_by_image_and_by_seed_and_continue_where_a_batch_ends() {
    let draw = |partition: Partition, first| {
        on_reference(set!(partition.split(2, 197, 1, 16).expect("a list"); first_list: first))
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
