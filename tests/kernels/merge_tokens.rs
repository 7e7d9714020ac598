use tome_wgpu::kernels::merge_tokens::{Io, MergeMode, MergedPosition, Params, SPEC};
use tome_wgpu::kernels::rank_matches::END;
use tome_wgpu::kernels::{NormKind, layer_norm, merge_tokens};
use tome_wgpu::reference;

use crate::common::{Random, Rig, Tol, close, rigs_for, same, set};
use crate::merge_source::random_plan;

// A group is summed in the same order on both sides, on one of them in f64: some roundings of sums of up to 5 times
// the group's members, over the same number.
const TOL: Tol = Tol { abs: 1e-6, rel: 1e-6 };

struct Case {
    params: Params,
    plan: Vec<u32>,
    x: Vec<f32>,
    size: Option<Vec<f32>>,
}

/// Tokens and sizes after merging.
type Merged = (Vec<f32>, Vec<f32>);

impl Case {
    /// A plan for scores without ties, every edge going to one of `targets` odd tokens.
    fn new(batch: u32, tokens: u32, r: u32, channels: u32, protect: u32, targets: u32) -> Self {
        let mut random = Random(u64::from(tokens) << 32 | u64::from(channels));
        Case {
            params: Params::new([batch, tokens, channels], r),
            plan: random_plan(&mut random, batch, tokens, r, protect, targets),
            x: random.floats(batch * tokens * channels),
            size: Some(random.sizes(batch * tokens)),
        }
    }

    fn lens(&self) -> [u32; 2] {
        let Params { batch, tokens, r, channels, .. } = self.params;
        [batch * (tokens - r) * channels, batch * (tokens - r)]
    }

    fn on_gpu(&self, rig: &Rig) -> Merged {
        self.on_gpu_and_normed(rig, None)
    }

    fn on_gpu_and_normed(&self, rig: &Rig, normed: Option<&wgpu::Buffer>) -> Merged {
        let (plan, x) = (rig.data(&self.plan), rig.data(&self.x));
        let size = self.size.as_ref().map(|size| rig.data(size));
        let [x_out, size_out] = self.lens().map(|len| rig.unwritten(len));
        let io = Io::new(&plan, &x, &x_out, &size_out);
        let io = set!(io; size: size.as_ref().map(Into::into), normed: normed.map(Into::into));
        rig.run(&[merge_tokens(&rig.gpu, self.params, io).unwrap()]);
        let [x, size] = self.lens();
        (rig.read(&x_out, x), rig.read(&size_out, size))
    }

    fn on_reference(&self) -> Merged {
        let [mut x, mut size] = self.lens().map(|len| vec![f32::NAN; len as usize]);
        let Case { params, plan, .. } = self;
        reference::merge_tokens(params, plan, &self.x, self.size.as_deref(), &mut x, &mut size, None, None);
        (x, size)
    }

    fn check(&self, rig: &Rig) -> Merged {
        let (got, want) = (self.on_gpu(rig), self.on_reference());
        let what = format!("{} {:?}", rig.id(), self.params);
        close(format!("{what} x"), &got.0, &want.0, TOL);
        // Whole numbers.
        same(format!("{what} size"), &got.1, &want.1);
        got
    }
}

#[test]
fn matches_the_reference() {
    // 64 lanes take a vector of four each.
    for rig in rigs_for(&SPEC) {
        for channels in [4, 192, 252, 256, 260, 768] {
            Case::new(2, 21, 8, channels, 1, 5).check(rig);
        }
        for (tokens, r, protect) in
            [(1, 0, 1), (2, 1, 0), (3, 1, 1), (197, 16, 1), (198, 98, 2), (50, 22, 5), (51, 25, 0)]
        {
            Case::new(2, tokens, r, 20, protect, (tokens / 2).saturating_sub(protect / 2).max(1)).check(rig);
        }
    }
}

#[test]
fn what_is_left_is_brought_to_norm_as_well() {
    // As layer_norm: values of about 1, a few roundings, sums of at most 1,028 numbers.
    let tol = Tol { abs: 2e-6, rel: 1e-6 };
    for rig in rigs_for(&SPEC) {
        for channels in [4, 60, 64, 68, 192, 768, 1028] {
            for (batch, tokens, r, mode) in [
                (1, 1, 0, MergeMode::WeightedMean),
                (2, 21, 8, MergeMode::WeightedMean),
                (3, 51, 25, MergeMode::WeightedMean),
                (3, 51, 25, MergeMode::Mlerp),
            ] {
                let mut case = Case::new(batch, tokens, r, channels, 1, (tokens / 2).max(1));
                case.params.eps = 1e-3;
                case.params.kind = if r == 25 { NormKind::Rms } else { NormKind::Layer };
                case.params.mode = mode;
                let [x, size] = case.lens();
                let normed = rig.unwritten(x);
                let merged = case.on_gpu_and_normed(rig, Some(&normed));
                let plain = case.on_gpu(rig);
                let what = format!("{} {:?}", rig.id(), case.params);
                same(format!("{what} x"), &merged.0, &plain.0);
                same(format!("{what} size"), &merged.1, &plain.1);

                let mut want = vec![f32::NAN; x as usize];
                let kind = case.params.kind;
                let params = set!(layer_norm::Params::new(size, channels, 1e-3); kind);
                reference::layer_norm(&params, &case.on_reference().0, None, None, None, &mut want);
                close(what, &rig.read_elems(&normed, x), &want, rig.stored(tol));
            }
        }
    }
}

#[test]
fn positions_become_one_as_well() {
    for rig in rigs_for(&SPEC) {
        for (tokens, r, targets) in [(1, 0, 1), (21, 8, 5), (197, 98, 1), (198, 98, 60)] {
            for mode in [MergeMode::WeightedMean, MergeMode::Max, MergeMode::KeepOne] {
                for (positions, padded) in [
                    (MergedPosition::Mean, false),
                    (MergedPosition::Mean, true),
                    (MergedPosition::Kept, false),
                    (MergedPosition::Kept, true),
                ] {
                    let mut case = Case::new(2, tokens, r, 8, 1, targets);
                    (case.params.mode, case.params.positions) = (mode, positions);
                    if let Some(size) = case.size.as_mut().filter(|_| padded) {
                        size.iter_mut().step_by(3).for_each(|size| *size = 0.0);
                    }
                    let [x_len, left] = case.lens();
                    let before: Vec<f32> = Random(5).floats(4 * tokens).iter().map(|v| v * 6.0).collect();

                    let (plan, x, position) = (rig.data(&case.plan), rig.data(&case.x), rig.data(&before));
                    let size = rig.data(case.size.as_ref().expect("sizes"));
                    let [x_out, size_out, after] = [x_len, left, 2 * left].map(|len| rig.unwritten(len));
                    let io = Io::new(&plan, &x, &x_out, &size_out).size(&size);
                    let io = io.position(&position).position_out(&after);
                    rig.run(&[merge_tokens(&rig.gpu, case.params, io).unwrap()]);

                    let [mut want_x, mut want_size, mut want] =
                        [x_len, left, 2 * left].map(|len| vec![f32::NAN; len as usize]);
                    reference::merge_tokens(
                        &case.params,
                        &case.plan,
                        &case.x,
                        case.size.as_deref(),
                        &mut want_x,
                        &mut want_size,
                        None,
                        Some((&before, &mut want)),
                    );
                    let what = format!("{} {:?}", rig.id(), case.params);
                    close(format!("{what} x"), &rig.read(&x_out, x_len), &want_x, TOL);
                    // Six times as large as the tokens' values.
                    close(what, &rig.read(&after, 2 * left), &want, Tol { abs: 6e-6, rel: 1e-6 });
                }
            }
        }
    }
}

#[test]
fn everything_into_one_token() {
    for rig in rigs_for(&SPEC) {
        // The longest walk: 98 tokens of sizes up to 5 in one group.
        let (_, size) = Case::new(2, 197, 98, 64, 1, 1).check(rig);
        assert!(size.iter().any(|&s| s > 98.0), "{}", rig.id());
    }
}

#[test]
fn sizes_and_weighted_sums_are_conserved() {
    for rig in rigs_for(&SPEC) {
        let case = Case::new(1, 197, 90, 4, 1, 20);
        let (x, size) = case.on_gpu(rig);
        let given = case.size.as_deref().expect("sizes");
        let sum = |x: &[f32], size: &[f32], i: usize| -> f64 {
            x.chunks_exact(4).zip(size).map(|(x, &s)| f64::from(x[i]) * f64::from(s)).sum()
        };
        assert_eq!(size.iter().sum::<f32>(), given.iter().sum::<f32>(), "{}", rig.id());
        for i in 0..4 {
            let (before, after) = (sum(&case.x, given, i), sum(&x, &size, i));
            // 107 products of at most a group's size, 600 in all, each rounded to 6e-8 of it.
            assert!((before - after).abs() < 4e-5, "{}: {before} became {after}", rig.id());
        }
    }
}

#[test]
fn unmerged_tokens_are_copied_to_the_last_bit() {
    for rig in rigs_for(&SPEC) {
        let case = Case::new(1, 41, 0, 20, 1, 20);
        let (x, size) = case.check(rig);
        let keep = &case.plan[..41];
        let token = |&kept: &u32| &case.x[kept as usize * 20..][..20];
        same(format!("{} x", rig.id()), &x, &keep.iter().flat_map(token).copied().collect::<Vec<_>>());
        let sizes: Vec<f32> =
            keep.iter().map(|&kept| case.size.as_ref().expect("sizes")[kept as usize]).collect();
        same(format!("{} size", rig.id()), &size, &sizes);
    }
}

#[test]
fn an_image_does_not_depend_on_its_batch() {
    for rig in rigs_for(&SPEC) {
        let whole = Case::new(3, 21, 8, 20, 1, 5);
        let merged = whole.on_gpu(rig);
        let plan = whole.plan.len() / 3;
        let alone = Case {
            params: set!(whole.params; batch: 1),
            plan: whole.plan[plan..2 * plan].to_vec(),
            x: whole.x[21 * 20..2 * 21 * 20].to_vec(),
            size: whole.size.as_ref().map(|size| size[21..42].to_vec()),
        };
        let (x, size) = alone.on_gpu(rig);
        same(rig.id(), &x, &merged.0[13 * 20..26 * 20]);
        same(rig.id(), &size, &merged.1[13..26]);
    }
}

#[test]
fn more_tokens_than_one_dimension_of_workgroups() {
    for rig in rigs_for(&SPEC) {
        Case::new(600, 197, 16, 4, 1, 50).check(rig);
    }
}

#[test]
fn every_mode_matches_the_reference_with_and_without_sizes() {
    for rig in rigs_for(&SPEC) {
        for &mode in MergeMode::ALL {
            for (tokens, r, protect) in
                [(1, 0, 0), (2, 1, 0), (3, 1, 1), (21, 8, 1), (51, 25, 0), (198, 98, 2)]
            {
                let mut case =
                    Case::new(2, tokens, r, 20, protect, (tokens / 2).saturating_sub(protect / 2).max(1));
                case.params.mode = mode;
                case.check(rig);
                case.size = None;
                let (_, size) = case.check(rig);
                assert_eq!(size.iter().sum::<f32>(), 2.0 * tokens as f32, "{}", rig.id());
            }
        }
    }
}

/// Three tokens of which 0 and 2 merge into 1, by hand.
#[test]
fn modes_are_what_their_names_say() {
    let x = [[1.0, -6.0, 3.0, 0.0], [2.0, 0.0, 9.0, 0.0], [6.0, 3.0, 0.0, 0.0]];
    // One is kept; 2 follows on 0, 0 on 1, nothing on 2; all are in the first group.
    let plan = [1, 2, 0, END, 0, 0, 0];
    for rig in rigs_for(&SPEC) {
        for (mode, want) in [
            (MergeMode::WeightedMean, [3.75, 0.0, 3.0, 0.0]),
            (MergeMode::Mean, [3.0, -1.0, 4.0, 0.0]),
            (MergeMode::Sum, [9.0, -3.0, 12.0, 0.0]),
            (MergeMode::Max, [6.0, 3.0, 9.0, 0.0]),
            (MergeMode::Min, [1.0, -6.0, 0.0, 0.0]),
            (MergeMode::KeepOne, [2.0, 0.0, 9.0, 0.0]),
            (MergeMode::MaxMagnitude, [6.0, -6.0, 9.0, 0.0]),
        ] {
            let case = Case {
                params: set!(Params::new([1, 3, 4], 2); mode),
                plan: plan.to_vec(),
                x: x.as_flattened().to_vec(),
                size: Some(vec![1.0, 1.0, 2.0]),
            };
            assert_eq!(case.check(rig), (want.to_vec(), vec![4.0]), "{} {mode:?}", rig.id());
        }
    }
}

/// As a threshold leaves them: the last place is nobody's, and a token that was padding is in no group.
#[test]
fn a_place_that_keeps_nobody_becomes_zeros_of_size_0() {
    let x = [[1.0, -6.0, 3.0, 0.0], [2.0, 0.0, 9.0, 0.0], [6.0, 3.0, 0.0, 4.0]];
    // 0 and 1 are one; the last two of three places are empty.
    let plan = [1, END, END, END, 0, END, 0, 0, 2];
    for rig in rigs_for(&SPEC) {
        for &mode in MergeMode::ALL {
            for size in [None, Some(vec![1.0, 3.0, 0.0])] {
                let case = Case {
                    params: set!(Params::new([1, 3, 4], 0); mode, eps: 1e-6),
                    plan: plan.to_vec(),
                    x: x.as_flattened().to_vec(),
                    size,
                };
                let (got, size) = case.check(rig);
                assert_eq!(got[4..], [0.0; 8], "{} {mode:?}", rig.id());
                assert_eq!(size[1..], [0.0; 2], "{} {mode:?}", rig.id());
            }
        }
    }
}

/// Groups by hand: two tokens, sources in front of their destinations.
#[test]
fn the_longest_gives_the_norm_and_the_largest_magnitude_its_sign() {
    let plan = [1, 3, 5, 7, END, 0, END, 2, END, 4, END, 6, 0, 0, 1, 1, 2, 2, 3, 3];
    let x = [
        [3.0, 4.0, 0.0, 0.0], // of size 2, and twice as long as the next
        [1.5, -2.0, 0.0, 0.0],
        [1.0, -7.0, 2.0, 0.5], // opposite
        [-1.0, 7.0, -2.0, -0.5],
        [0.0, 0.0, 0.0, 0.0], // nothing beside something
        [0.0, 0.0, 3.0, 4.0],
        [0.0, 9.0, 0.0, 0.0], // of size 0
        [0.0, 1.0, 1.0, 0.0],
    ];
    let size = vec![2.0, 1.0, 1.0, 1.0, 3.0, 1.0, 0.0, 1.0];
    // The first mean is (2.5, 2, 0, 0).
    let length = 5.0 / (2.5f32 * 2.5 + 2.0 * 2.0).sqrt();
    let mlerp =
        [[2.5 * length, 2.0 * length, 0.0, 0.0], [0.0; 4], [0.0, 0.0, 3.0, 4.0], [0.0, 1.0, 1.0, 0.0]];
    // Of equals the destination's.
    let most = [[3.0, 4.0, 0.0, 0.0], [-1.0, 7.0, -2.0, -0.5], [0.0, 0.0, 3.0, 4.0], [0.0, 1.0, 1.0, 0.0]];
    for rig in rigs_for(&SPEC) {
        for (mode, want) in [(MergeMode::Mlerp, mlerp), (MergeMode::MaxMagnitude, most)] {
            let params = set!(Params::new([1, 8, 4], 4); mode);
            let x = x.as_flattened().to_vec();
            let case = Case { params, plan: plan.to_vec(), x, size: Some(size.clone()) };
            let (got, _) = case.check(rig);
            close(format!("{} {mode:?}", rig.id()), &got, want.as_flattened(), TOL);
            // Opposite tokens have no direction, not some rounding's.
            assert!(mode != MergeMode::Mlerp || got[4..8] == [0.0; 4], "{}: {got:?}", rig.id());
        }
    }
}

/// The lanes of a row share out the tokens of a group: fewer of them, as many, more.
#[test]
fn a_norm_may_be_any_tokens_of_the_group() {
    for rig in rigs_for(&SPEC) {
        for members in [2, 3, 15, 16, 17, 18, 33, 40] {
            for longest in [0, 1, members / 2, members - 1] {
                // All into token 1.
                let tokens = 2 * members;
                let mut case = Case::new(2, tokens, members - 1, 20, 0, 1);
                case.params.mode = MergeMode::Mlerp;
                let keep = case.plan.len() / 2;
                let mut group = vec![1];
                while group.len() < members as usize {
                    let last = group[group.len() - 1] as usize;
                    group.push(case.plan[keep + (tokens - members + 1) as usize + last]);
                }
                let row = (tokens + group[longest as usize]) as usize * 20;
                case.x[row..row + 20].fill(6.0);
                let (x, _) = case.check(rig);
                let norms = x.chunks_exact(20).map(|row| row.iter().map(|v| v * v).sum::<f32>().sqrt());
                let most = norms.fold(0.0, f32::max);
                // The square root of 20 times 36, to some roundings.
                assert!((most - 26.832_815).abs() < 3e-5, "{} {members} {longest}: {most}", rig.id());
            }
        }
    }
}

/// Padding: the first of a group, another, all of it.
#[test]
fn tokens_of_size_0_count_for_nothing() {
    for rig in rigs_for(&SPEC) {
        for &mode in MergeMode::ALL {
            let mut case = Case::new(2, 51, 20, 20, 1, 8);
            case.params.mode = mode;
            let size = case.size.as_mut().expect("sizes");
            size.iter_mut().step_by(3).for_each(|size| *size = 0.0);
            size[51..].fill(0.0);
            case.check(rig);

            // They are not looked at: NaN comes of them only where nothing else is in a group.
            let gone = case.size.iter().flatten().map(|&size| size == 0.0);
            let rows = case.x.chunks_exact_mut(20).zip(gone);
            rows.filter(|(_, gone)| *gone).for_each(|(row, _)| row.fill(f32::NAN));
            let known = |(x, _): Merged| -> Vec<Option<f32>> {
                x.into_iter().map(|v| Some(v).filter(|v| !v.is_nan())).collect()
            };
            let (got, want) = (known(case.on_gpu(rig)), known(case.on_reference()));
            assert!(got.iter().zip(&want).all(|(a, b)| a.is_some() == b.is_some()), "{} {mode:?}", rig.id());
            let [got, want] = [got, want].map(|values| values.into_iter().flatten().collect::<Vec<f32>>());
            close(format!("{} {mode:?}", rig.id()), &got, &want, TOL);
        }
    }
}
