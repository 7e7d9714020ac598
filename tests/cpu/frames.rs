//! Matching within frame groups: against the reference, and as the partition of a network.

use std::collections::BTreeSet;

use tome_wgpu::kernels::find_matches::Similarity;
use tome_wgpu::kernels::match_frames::Params;
use tome_wgpu::vit::{Config, Options, Protect};
use tome_wgpu::{Error, MergeShape, Partition, Schedule, cpu, reference};

use crate::common::{Random, same, set};

#[test]
fn plans_are_the_references() {
    for (turn, length) in [1, 2, 3, 4, 7, 16, 49].into_iter().enumerate() {
        for (protect, groups) in [(0, 1), (0, 4), (1, 1), (1, 3), (2, 2), (5, 3)] {
            for lost in 0..=length / 2 {
                let (similarity, by_size) = [
                    (Similarity::Cosine, 1.0),
                    (Similarity::Dot, 0.0),
                    (Similarity::Euclidean, 2.0),
                    (Similarity::Cosine, 0.0),
                ][(turn + lost as usize) % 4];
                let params = set!(Params::new(2, 12, protect, [groups, length], lost); similarity, by_size);
                let rows = 2 * params.tokens;
                let mut random = Random(rows.into());
                let mut metric = random.sixteenths(rows * 12);
                metric.chunks_exact_mut(12).step_by(5).for_each(|token| token.fill(0.0));
                // Of one harmonic mean, a power of two: sizes count, and no rounding decides.
                let size = (by_size > 0.0).then(|| vec![4.0; rows as usize]);
                let [mut plan, mut want] = [(); 2].map(|()| vec![7; (2 * params.plan_len()) as usize]);
                cpu::match_frames(&params, &metric, size.as_deref(), &mut plan);
                reference::match_frames(&params, &metric, size.as_deref(), &mut want);
                same(format!("{params:?}"), &plan, &want);
            }
        }
    }
}

fn frames(groups: u32) -> Partition {
    Partition::Frames { groups: Some(groups) }
}

#[test]
fn one_group_is_the_alternating_partition_in_its_own_order() {
    for (tokens, protect) in [(16, 0), (17, 0), (17, 1), (18, 1), (23, 2), (40, 5)] {
        for r in [1, 4, 1000] {
            let mut shape = MergeShape::fused(2, tokens, 2, 8, r);
            shape.protect = protect;
            let mut random = Random(u64::from(tokens * 7 + protect));
            let (keys, x) = (random.floats(2 * tokens * 48), random.floats(2 * tokens * 16));
            let input = cpu::MergeInput { keys: &keys, x: &x, size: None, source: None };
            let groups = |partition| -> Vec<BTreeSet<Vec<u32>>> {
                let merged = cpu::merge(&set!(shape; partition), input).expect("a merge");
                let images = merged.source.chunks_exact(tokens as usize);
                let of = |source: &[u32], group: u32| {
                    (0..tokens).filter(|&token| source[token as usize] == group).collect()
                };
                images.map(|source| (0..tokens).map(|group| of(source, group)).collect()).collect()
            };
            assert_eq!(groups(frames(1)), groups(Partition::Alternating), "{tokens} {protect} {r}");
        }
    }
}

#[test]
fn what_cannot_be_matched_is_an_error_and_no_panic() {
    let merge = |tokens: u32, partition, similarity, by_size| {
        let shape = set!(MergeShape::fused(1, tokens, 1, 4, 2); partition, similarity, by_size);
        let (keys, x) = (vec![0.5; (12 * tokens) as usize], vec![0.5; (4 * tokens) as usize]);
        cpu::merge(&shape, cpu::MergeInput { keys: &keys, x: &x, size: None, source: None })
    };
    let lines = Partition::Lines { grid: Some([1, 1026]) };
    for refused in [
        merge(2052, frames(1), Similarity::Cosine, 0.0),
        merge(1026, lines, Similarity::Cosine, 0.0),
        merge(8, frames(2), Similarity::Dot, 1.0),
    ] {
        assert!(matches!(refused, Err(Error::Params { .. })), "{refused:?}");
    }
    assert!(merge(2052, frames(2), Similarity::Cosine, 2.0).is_ok());
    assert!(matches!(merge(9, frames(2), Similarity::Cosine, 0.0), Err(Error::Input(_))));
    let lines = Partition::Lines { grid: Some([1, 8]) };
    assert!(merge(8, lines, Similarity::Cosine, 0.0).is_ok());
    assert!(matches!(merge(8, lines, Similarity::Cosine, 1.0), Err(Error::Input(_))));
}

#[test]
fn r_is_as_many_of_each_group_and_the_rest_is_carried() {
    let left = |tokens, protect, groups, r: &str| {
        let schedule: Schedule = r.parse().expect("a schedule");
        schedule.tokens_per_block(tokens, protect, frames(groups), 4)
    };
    // VideoMAE's: 65 is eight of each of 8 and one over, eight times.
    assert_eq!(left(1568, 0, 8, "65"), [1568, 1504, 1440, 1376, 1312]);
    // Nothing of 5, then one each of 10, then one each of 3 + 4, and nothing of 5.
    assert_eq!(left(57, 1, 7, "5,5,4,5"), [57, 57, 50, 43, 43]);
    // Blocks that merge nothing keep what is left over.
    assert_eq!(left(25, 1, 4, "3,0,1,0"), [25, 25, 25, 21, 21]);
    // At most half of a group, rounded down: of 7, 4, 2 tokens.
    assert_eq!(left(21, 0, 3, "1000"), [21, 12, 6, 3, 3]);
    assert_eq!(frames(3).after(21, 0, 9), frames(3));
    assert_eq!([frames(0), frames(4), Partition::Frames { groups: None }].map(|p| p.most(21, 0)), [0; 3]);
}

#[test]
fn a_network_s_groups_are_its_steps_in_time() {
    let picture = Config::preset("vit_small_patch16_224").expect("a preset");
    let clip = picture.clone().with(|c| (c.frames, c.patch_frames) = (16, 2));
    let mut options = Options::with_schedule(Schedule::constant(65));
    options.partition = "frames".parse().expect("a partition");
    options.check(&clip).expect("8 groups of 14 x 14");
    let tokens = options.tokens_per_block(&clip);
    assert_eq!(tokens[..3], [1569, 1505, 1441]);
    assert!(options.promised_speedup(&clip) > 1.3, "{tokens:?}");
    options.partition = frames(8);
    assert_eq!(options.tokens_per_block(&clip), tokens);
    // Steps in pairs.
    options.partition = frames(4);
    options.check(&clip).expect("4 groups of 28 x 14");
    options.partition = frames(5);
    assert!(matches!(options.check(&clip), Err(Error::Input(why)) if why.contains("5 frame groups of 1568")));
    // A picture is one group.
    options.partition = Partition::Frames { groups: None };
    let alternating = set!(options.clone(); partition: Partition::Alternating);
    assert_eq!(options.tokens_per_block(&picture), alternating.tokens_per_block(&picture));
    // Registers that merge are of no step in time.
    let registers = set!(clip.clone(); reg_tokens: 8);
    options.check(&registers).expect("they are protected");
    options.protect = Protect::Class;
    let refused = |options: &Options, config: &Config| match options.check(config) {
        Err(Error::Unsupported { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&options, &registers), "protect");
    options.check(&set!(picture.clone(); reg_tokens: 8)).expect("one group may have registers in it");
    options.protect = Protect::Prefix;
    // 46 x 46 tokens at once.
    assert_eq!(refused(&options, &set!(picture; image_size: [736, 736])), "partition");
    options.threshold = Some(0.5);
    assert_eq!(refused(&options, &clip), "partition");
    assert!(matches!(frames(0).check(5, 1), Err(Error::Input(_))));
    assert!(matches!(Partition::Frames { groups: None }.check(5, 1), Err(Error::Input(_))));
}

#[test]
fn frames_are_read_as_they_are_printed() {
    for text in ["frames", "frames:8"] {
        assert_eq!(text.parse::<Partition>().expect("frames").to_string(), text);
    }
    for text in ["frames:", "frames:0", "frames:-1", "frames:x", "frames:3x4", "frame"] {
        assert!(text.parse::<Partition>().is_err(), "{text}");
    }
}
