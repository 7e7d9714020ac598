//! `TokenMerger` on the GPU: the reference implementation's matchings, and what every merge must keep.

#[path = "../common/mod.rs"]
mod common;

mod slices;
mod ways;

use common::{Random, Rig, Tol, close, rigs, same, set};
use serde_json::Value;
use tome_wgpu::kernels::merge_tokens::{MergeMode, MergedPosition};
use tome_wgpu::kernels::{self, Similarity, unmerge};
use tome_wgpu::{Error, MergeIo, MergeShape, Partition, TokenMerger};

/// Results of one merge.
struct Merged {
    x: Vec<f32>,
    size: Vec<f32>,
    source: Vec<u32>,
    tokens: usize,
}

/// What goes into one merge.
#[derive(Clone)]
struct Input {
    keys: Vec<f32>,
    x: Vec<f32>,
    size: Vec<f32>,
    source: Vec<u32>,
}

impl Input {
    /// That of one image.
    fn of(&self, shape: &MergeShape, image: usize) -> Input {
        fn part<T: Copy>(all: &[T], length: u32, image: usize) -> Vec<T> {
            all[image * length as usize..][..length as usize].to_vec()
        }
        Input {
            keys: part(&self.keys, shape.tokens * shape.key_stride, image),
            x: part(&self.x, shape.tokens * shape.channels, image),
            size: part(&self.size, shape.tokens, image),
            source: part(&self.source, shape.sources, image),
        }
    }
}

/// Keys of one head right behind each other; x of 8 channels.
fn shape(batch: u32, tokens: u32, width: u32, r: u32, protect: u32) -> MergeShape {
    set!(
        MergeShape::default();
        batch, tokens, channels: 8, heads: 1, head_width: width, key_stride: width, key_start: 0, r, protect, sources: tokens
    )
}

fn input(shape: &MergeShape, seed: u64) -> Input {
    let mut random = Random(seed);
    let rows = shape.batch * shape.tokens;
    Input {
        keys: random.floats(rows * shape.key_stride),
        x: random.floats(rows * shape.channels),
        size: random.sizes(rows),
        source: (0..shape.batch).flat_map(|_| 0..shape.sources).collect(),
    }
}

fn merge(rig: &Rig, shape: MergeShape, input: &Input) -> Merged {
    let rows = shape.batch * shape.tokens_out();
    let (x_out, size_out) = (rig.unwritten(rows * shape.channels), rig.unwritten(rows));
    let source_out = rig.unwritten(shape.batch * shape.sources);
    let (keys, x) = (rig.elems(&input.keys), rig.data(&input.x));
    let (size, source) = (rig.data(&input.size), rig.data(&input.source));
    let io = MergeIo::new(&keys, &x, &x_out)
        .size(&size)
        .source(&source)
        .size_out(&size_out)
        .source_out(&source_out);
    let merger = TokenMerger::new(&rig.gpu, shape, io).unwrap();
    rig.run(merger.dispatches());
    Merged {
        x: rig.read(&x_out, rows * shape.channels),
        size: rig.read(&size_out, rows),
        source: rig.read(&source_out, shape.batch * shape.sources),
        tokens: shape.tokens_out() as usize,
    }
}

/// The members of each output token of one image.
fn groups(merged: &Merged, image: usize, sources: usize) -> Vec<Vec<u64>> {
    let mut groups = vec![Vec::new(); merged.tokens];
    for (token, &group) in merged.source[image * sources..][..sources].iter().enumerate() {
        groups[group as usize].push(token as u64);
    }
    groups
}

/// The generator that the reference's inputs come from.
fn lcg(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed as u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f64::from(state >> 8) / f64::from(1 << 24) * 2.0 - 1.0) as f32
    })
    .take(count)
    .collect()
}

fn reference() -> Value {
    serde_json::from_str(include_str!("../golden/matching.json")).unwrap()
}

fn number(value: &Value) -> u32 {
    value.as_u64().unwrap() as u32
}

fn lists(value: &Value) -> Vec<Vec<u64>> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn merged_tokens_lie_at_their_members_mean_or_where_the_destination_lies() {
    for rig in rigs() {
        for positions in [MergedPosition::Mean, MergedPosition::Kept] {
            let shape = set!(shape(2, 31, 8, 9, 1); positions);
            let (n, m) = (shape.tokens as usize, shape.tokens_out() as usize);
            let input = input(&shape, 3);
            let merged = merge(rig, shape, &input);
            let before: Vec<f32> = Random(4).floats(4 * shape.tokens);
            let (keys, x, position) = (rig.elems(&input.keys), rig.data(&input.x), rig.data(&before));
            let (size, x_out) =
                (rig.data(&input.size), rig.unwritten(2 * shape.tokens_out() * shape.channels));
            let position_out = rig.unwritten(4 * shape.tokens_out());
            let io = MergeIo::new(&keys, &x, &x_out).size(&size).positions(&position, &position_out);
            rig.run(TokenMerger::new(&rig.gpu, shape, io).unwrap().dispatches());
            let after: Vec<f32> = rig.read(&position_out, 4 * shape.tokens_out());
            for image in 0..2 {
                for (group, members) in groups(&merged, image, n).iter().enumerate() {
                    let at = |token: u64, i: usize| before[2 * (image * n + token as usize) + i];
                    let size = |token: u64| input.size[image * n + token as usize];
                    // Destinations are the odd ones; what has merged into none lies where it did.
                    let kept = members.iter().copied().find(|token| token % 2 == 1).unwrap_or(members[0]);
                    for i in 0..2 {
                        let total: f32 = members.iter().map(|&token| size(token)).sum();
                        let sum: f32 = members.iter().map(|&token| size(token) * at(token, i)).sum();
                        let want = if positions == MergedPosition::Mean { sum / total } else { at(kept, i) };
                        let got = after[2 * (image * m + group) + i];
                        // Some roundings of sums of up to 50.
                        assert!((got - want).abs() < 1e-5, "{} {positions:?}: {got} for {want}", rig.id());
                    }
                }
            }
        }
    }
}

#[test]
fn groups_are_the_references() {
    let reference = reference();
    for case in reference["bsm"].as_array().unwrap() {
        let protect = u32::from(case["class_token"] == true) + u32::from(case["distill_token"] == true);
        let shape =
            shape(number(&case["B"]), number(&case["N"]), number(&case["C"]), number(&case["r"]), protect);
        let mut input = input(&shape, 1);
        input.keys = lcg(case["seed"].as_u64().unwrap(), input.keys.len());
        for rig in rigs() {
            let merged = merge(rig, shape, &input);
            for (image, want) in case["groups"].as_array().unwrap().iter().enumerate() {
                let got = groups(&merged, image, shape.sources as usize);
                assert_eq!(got, lists(want), "{}, seed {}, image {image}", rig.id(), case["seed"]);
            }
        }
    }
}

#[test]
fn chain_of_three_merges_is_the_references() {
    let reference = reference();
    let chain = &reference["chain"];
    let n0 = number(&chain["N"]);
    for rig in rigs() {
        let mut shape = shape(1, n0, 8, 0, 1);
        let mut state = Input {
            keys: Vec::new(),
            x: lcg(chain["x_seed"].as_u64().unwrap(), (n0 * 8) as usize),
            size: vec![1.0; n0 as usize],
            source: (0..n0).collect(),
        };
        for step in chain["steps"].as_array().unwrap() {
            shape.r = number(&step["r"]);
            state.keys = lcg(step["metric_seed"].as_u64().unwrap(), (shape.tokens * 8) as usize);
            let merged = merge(rig, shape, &state);
            let want: Vec<f32> = serde_json::from_value(step["size"].clone()).unwrap();
            same(format!("{}: sizes", rig.id()), &merged.size, &want);
            let mut got = groups(&merged, 0, n0 as usize);
            let mut want = lists(&step["groups"]);
            got.iter_mut().chain(&mut want).for_each(|group| group.sort_unstable());
            assert_eq!(got, want, "{}: groups", rig.id());
            shape.tokens = shape.tokens_out();
            state = Input { keys: Vec::new(), x: merged.x, size: merged.size, source: merged.source };
        }
        let row = |key: &str| -> Vec<f32> { serde_json::from_value(chain[key].clone()).unwrap() };
        // Three means of a few values each: a handful of roundings of numbers below 1.
        let tol = Tol { abs: 5e-7, rel: 0.0 };
        close("first token", &state.x[..8], &row("final_x_row0"), tol);
        close("last token", &state.x[state.x.len() - 8..], &row("final_x_last"), tol);
    }
}

#[test]
fn a_merge_keeps_what_it_must() {
    for (tokens, r, protect) in
        [(1, 1, 0), (2, 1, 0), (7, 99, 0), (17, 3, 1), (50, 8, 0), (65, 13, 2), (197, 98, 1), (131, 20, 5)]
    {
        let shape = shape(2, tokens, 12, r, protect);
        let input = input(&shape, u64::from(tokens));
        for rig in rigs() {
            let what = format!("{}: {tokens} tokens, r = {r}, {protect} protected", rig.id());
            let merged = merge(rig, shape, &input);
            let m = merged.tokens;
            for image in 0..2 {
                let n = tokens as usize;
                let (size, x) = (&input.size[image * n..][..n], &input.x[image * n * 8..][..n * 8]);
                let (size_out, x_out) = (&merged.size[image * m..][..m], &merged.x[image * m * 8..][..m * 8]);
                // Sizes are small whole numbers, whose sums are exact.
                assert_eq!(size.iter().sum::<f32>(), size_out.iter().sum::<f32>(), "{what}: sum of sizes");
                let moment = |size: &[f32], x: &[f32], channel: usize| -> f32 {
                    size.iter().zip(x.chunks(8)).map(|(s, row)| f64::from(s * row[channel])).sum::<f64>()
                        as f32
                };
                for channel in 0..8 {
                    let [got, want] = [moment(size_out, x_out, channel), moment(size, x, channel)];
                    // One rounding a token in the mean, relative to values of up to 5 each.
                    assert!((got - want).abs() <= 1e-6 * 5.0 * tokens as f32, "{what}: weighted sum");
                }
                for token in 0..protect as usize {
                    assert_eq!(
                        merged.source[image * n + token],
                        token as u32,
                        "{what}: protected token moved"
                    );
                    assert_eq!(size_out[token], size[token], "{what}: protected token merged");
                    same(&what, &x_out[token * 8..][..8], &x[token * 8..][..8]);
                }
                let groups = groups(&merged, image, n);
                assert!(
                    groups.iter().all(|group| !group.is_empty()),
                    "{what}: an output token without source"
                );
            }
        }
    }
}

#[test]
fn an_image_merges_alike_alone_and_in_a_batch_and_twice() {
    let shape = shape(3, 65, 16, 11, 1);
    let whole = input(&shape, 5);
    for rig in rigs() {
        let together = merge(rig, shape, &whole);
        let again = merge(rig, shape, &whole);
        same("twice", &again.x, &together.x);
        for image in 0..3usize {
            let alone = Input {
                keys: whole.keys[image * 65 * 16..][..65 * 16].to_vec(),
                x: whole.x[image * 65 * 8..][..65 * 8].to_vec(),
                size: whole.size[image * 65..][..65].to_vec(),
                source: whole.source[image * 65..][..65].to_vec(),
            };
            let alone = merge(rig, set!(shape; batch: 1), &alone);
            let m = alone.tokens;
            same(
                format!("{}: x of image {image}", rig.id()),
                &together.x[image * m * 8..][..m * 8],
                &alone.x,
            );
            same("size", &together.size[image * m..][..m], &alone.size);
            same("source", &together.source[image * 65..][..65], &alone.source);
        }
    }
}

#[test]
fn r_0_moves_nothing() {
    for protect in [0, 1, 2] {
        let shape = shape(2, 9, 4, 0, protect);
        let input = input(&shape, 3);
        for rig in rigs() {
            let merged = merge(rig, shape, &input);
            same("x", &merged.x, &input.x);
            same("size", &merged.size, &input.size);
            same("source", &merged.source, &input.source);
        }
    }
}

/// Keys without a direction (zero, NaN, infinite) come last, attract nobody while anyone else is left, and leave every
/// result finite.
#[test]
fn keys_without_direction_merge_last() {
    let shape = shape(1, 12, 4, 3, 0);
    let mut input = input(&shape, 8);
    for (token, value) in [(1, 0.0), (2, f32::NAN), (5, f32::INFINITY)] {
        input.keys[token * 4..][..4].fill(value);
    }
    for rig in rigs() {
        let merged = merge(rig, shape, &input);
        assert!(merged.x.iter().all(|v| v.is_finite()), "{}: {:?}", rig.id(), merged.x);
        for group in groups(&merged, 0, 12) {
            let undirected = group.iter().filter(|token| [1, 2, 5].contains(token)).count();
            assert!(undirected == 0 || group.len() == 1, "{}: {group:?} merged", rig.id());
        }
        // With every key zero the lowest tokens merge into the first odd one.
        let mut flat = input.clone();
        flat.keys.fill(0.0);
        let merged = merge(rig, shape, &flat);
        assert!(groups(&merged, 0, 12).contains(&vec![0, 1, 2, 4]), "{}: {:?}", rig.id(), merged.source);
    }
}

#[test]
fn unmerge_gives_every_member_its_groups_token() {
    for protect in [0, 1, 2, 5] {
        let shape = shape(2, 37, 8, 12, protect);
        let input = input(&shape, 21);
        for rig in rigs() {
            let merged = merge(rig, shape, &input);
            let (x, source) = (rig.data(&merged.x), rig.data(&merged.source));
            let y = rig.unwritten(2 * 37 * 8);
            let params = set!(
                unmerge::Params::default();
                batch: 2, tokens: merged.tokens as u32, sources: 37, channels: 8
            );
            let io = unmerge::Io::new(&x, &source, &y);
            rig.run(&[kernels::unmerge(&rig.gpu, params, io).unwrap()]);
            let got: Vec<f32> = rig.read(&y, 2 * 37 * 8);
            for (row, &group) in merged.source.iter().enumerate() {
                let from = (row / 37 * merged.tokens + group as usize) * 8;
                same(format!("row {row}"), &got[row * 8..][..8], &merged.x[from..][..8]);
            }
        }
    }
}

#[test]
fn every_kth_and_grids_are_the_references() {
    let reference = reference();
    for (name, case) in ["kth", "sd2d"]
        .iter()
        .flat_map(|&name| reference[name].as_array().unwrap().iter().map(move |case| (name, case)))
    {
        let (n, partition, r) = if name == "kth" {
            // The reference leaves out what is behind the last whole group.
            let k = number(&case["k"]);
            let n = number(&case["N"]) / k * k;
            (n, Partition::EveryKth(k), n)
        } else {
            let [rows, columns, sy, sx] = ["h", "w", "sy", "sx"].map(|key| number(&case[key]));
            let partition = Partition::Grid { rows, columns, stride: [sy, sx], seed: None };
            (rows * columns, partition, number(&case["r"]))
        };
        let shape = set!(shape(1, n, 8, r, 0); partition, mode: MergeMode::Mean);
        let mut input = input(&shape, 1);
        input.keys = lcg(case["seed"].as_u64().unwrap(), input.keys.len());
        for rig in rigs() {
            let merged = merge(rig, shape, &input);
            let (mut got, mut want) = (groups(&merged, 0, n as usize), lists(&case["groups"]));
            if name == "sd2d" {
                // Its order of groups hangs on an unstable sort.
                got.sort_unstable();
                want.sort_unstable();
            }
            assert_eq!(got, want, "{} {name} seed {}", rig.id(), case["seed"]);
        }
    }
}

#[test]
fn tomesd_takes_a_share_of_the_tokens_and_no_more_than_cells_allow() {
    let tokens_out = |grid, ratio| MergeShape::tomesd(1, grid, 320, ratio).tokens_out();
    assert_eq!(tokens_out([64, 64], 0.5), 2048);
    assert_eq!(tokens_out([64, 64], 0.0), 4096);
    // A quarter stays: one token in each cell of 2 x 2.
    assert_eq!(tokens_out([64, 64], 1.0), 1024);
    assert_eq!(tokens_out([5, 7], 1.0), 6);
    assert_eq!(tokens_out([1, 7], 0.5), 7);
    assert_eq!(tokens_out([8, 8], f64::NAN), 64);
    assert_eq!(tokens_out([8, 8], -1.0), 64);
}

#[test]
fn a_partition_that_does_not_fit_is_refused() {
    let Some(rig) = rigs().first() else { return };
    let buffer = rig.data(&[0.0f32; 4096]);
    let others = [(); 3].map(|()| rig.unwritten(4096));
    let refused_by = |partition, similarity| {
        let io = MergeIo::new(&buffer, &buffer, &others[0]).size_out(&others[1]).source_out(&others[2]);
        let shape = set!(shape(1, 13, 8, 3, 1); partition, similarity);
        matches!(TokenMerger::new(&rig.gpu, shape, io), Err(Error::Input(_)))
    };
    let refused = |partition| refused_by(partition, Similarity::Cosine);
    let energy = |margin| Partition::Energy { margin };
    assert!(refused(energy(Some(f32::NAN))) && refused_by(energy(None), Similarity::Dot));
    assert!(refused_by(energy(Some(0.5)), Similarity::Euclidean));
    assert!(!refused(energy(None)) && !refused(energy(Some(-7.0))));
    let grid = |rows, columns, stride| Partition::Grid { rows, columns, stride, seed: None };
    let with = |partition| {
        let io = MergeIo::new(&buffer, &buffer, &others[0]).size_out(&others[1]).source_out(&others[2]);
        let shape = set!(shape(1, 13, 8, 3, 1); partition, threshold: Some(0.5));
        TokenMerger::new(&rig.gpu, shape, io)
    };
    assert!(matches!(with(Partition::Sequential), Err(Error::Unsupported { .. })));
    assert!(with(Partition::Alternating).is_ok());
    let lines = |grid| Partition::Lines { grid };
    assert!(refused(lines(None)) && refused(lines(Some([3, 5]))) && !refused(lines(Some([3, 4]))));
    let frames = |groups| Partition::Frames { groups };
    assert!(refused(frames(None)) && refused(frames(Some(5))) && refused(frames(Some(0))));
    assert!(!refused(frames(Some(1))) && !refused(frames(Some(6))));
    assert!(matches!(with(frames(Some(6))), Err(Error::Unsupported { .. })));
    assert!(refused(Partition::EveryKth(0)) && refused(Partition::EveryKth(1)));
    assert!(
        refused(grid(3, 5, [2, 2]))
            && refused(grid(3, 4, [0, 2]))
            && refused(grid(u32::MAX, u32::MAX, [1, 1]))
    );
    assert!(
        !refused(grid(3, 4, [2, 2])) && !refused(Partition::EveryKth(13)) && !refused(grid(3, 4, [9, 9]))
    );
}
