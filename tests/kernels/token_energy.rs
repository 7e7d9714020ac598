use tome_wgpu::kernels::token_energy::{Io, PROTECTED, Params, SPEC, UNDIRECTED, token_energy};
use tome_wgpu::reference;

use crate::common::{Random, Rig, Tol, close, rigs_for};

// Means of up to 513 values of up to 1: the exponential is off by 1e-7 of at most 2, as are cosines, and few roundings
// come of sums.
const TOL: Tol = Tol { abs: 5e-7, rel: 0.0 };

fn on_gpu(rig: &Rig, params: Params, metric: &[f32]) -> Vec<f32> {
    let count = params.batch * params.tokens;
    let (metric, energy) = (rig.data(metric), rig.unwritten(count));
    rig.run(&[token_energy(&rig.gpu, params, Io::new(&metric, &energy)).unwrap()]);
    rig.read(&energy, count)
}

fn check(rig: &Rig, params: Params, metric: &[f32]) -> Vec<f32> {
    let got = on_gpu(rig, params, metric);
    let mut want = vec![f32::NAN; got.len()];
    reference::token_energy(&params, metric, &mut want);
    close(format!("{} {params:?}", rig.id()), &got, &want, TOL);
    got
}

#[test]
fn matches_the_reference_where_cosines_are_exact() {
    // 64 lanes go through the others, four tokens at once: 63, 64 and 65 of them and few. What is exact falls on the
    // same side of a margin everywhere, also where it is the margin.
    for rig in rigs_for(&SPEC) {
        for tokens in [1, 2, 3, 4, 5, 8, 63, 64, 65, 130, 197, 513] {
            for protect in [0, 1, 2, 5].into_iter().filter(|&protect| protect <= tokens) {
                for (width, margin) in [(4, 0.9), (20, 3.0 / 256.0), (64, 0.05), (64, 0.0), (64, -0.01)] {
                    let mut metric = Random(tokens.into()).sixteenths(2 * tokens * width);
                    // Some without direction.
                    metric.chunks_exact_mut(width as usize).step_by(7).for_each(|token| token.fill(0.0));
                    let params = Params::new([2, tokens, width], protect, margin);
                    let energy = check(rig, params, &metric);
                    for (row, energy) in energy.into_iter().enumerate() {
                        let protected = (row as u32 % tokens) < protect;
                        let directed =
                            metric[row * width as usize..][..width as usize].iter().any(|&v| v != 0.0);
                        assert_eq!(energy == PROTECTED, protected, "{} {params:?}", rig.id());
                        assert_eq!(energy == UNDIRECTED, !directed && !protected, "{} {params:?}", rig.id());
                    }
                }
            }
        }
    }
}

/// Unit vectors as keys give them: some of a kind, others alone.
#[test]
fn matches_the_reference_for_metrics_of_unit_length() {
    for rig in rigs_for(&SPEC) {
        for (tokens, width, margin) in [(197, 64, 0.9), (197, 64, 0.45), (50, 768, 0.0), (33, 80, 0.075)] {
            let mut random = Random(u64::from(tokens + width));
            let kinds = random.floats(5 * width);
            let mut metric = random.floats(2 * tokens * width);
            for (token, row) in metric.chunks_exact_mut(width as usize).enumerate() {
                if token % 3 > 0 {
                    let kind = &kinds[token % 5 * width as usize..][..width as usize];
                    row.iter_mut().zip(kind).for_each(|(v, kind)| *v = kind + 0.2 * *v);
                }
                let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
                row.iter_mut().for_each(|v| *v /= length);
            }
            let params = Params::new([2, tokens, width], 1, margin);
            let energy = check(rig, params, &metric);
            // Those of a kind have more than those that are alone.
            let mean = |alone: bool| {
                let image = energy[..tokens as usize].iter().enumerate().skip(1);
                let of = image.filter(|(token, _)| (token % 3 == 0) == alone).map(|(_, &energy)| energy);
                of.clone().sum::<f32>() / of.count() as f32
            };
            let [alone, of_a_kind] = [true, false].map(mean);
            assert!(of_a_kind > alone + 0.05, "{} {params:?}: {of_a_kind} and {alone}", rig.id());
        }
    }
}

#[test]
fn energies_are_those_of_the_formula() {
    // Three tokens behind a protected one: two alike, one across, with a margin of a half.
    let metric = [[1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]];
    let across = (-0.5f32).exp() - 1.0;
    let want = [PROTECTED, (2.0 + across) / 3.0, (2.0 + across) / 3.0, (1.0 + 2.0 * across) / 3.0];
    for rig in rigs_for(&SPEC) {
        let got = check(rig, Params::new([1, 4, 4], 1, 0.5), metric.as_flattened());
        close(rig.id(), &got, &want, TOL);
        // Above 1 nothing is alike, not even a token to itself; below -1 all are.
        let got = check(rig, Params::new([1, 4, 4], 0, 2.0), metric.as_flattened());
        let [same, other] = [1.0, 2.0].map(|below: f32| (-below).exp() - 1.0);
        let [three, one] = [(3.0 * same + other) / 4.0, (same + 3.0 * other) / 4.0];
        close(rig.id(), &got, &[three, three, three, one], TOL);
        let got = check(rig, Params::new([1, 4, 4], 0, -2.0), metric.as_flattened());
        close(rig.id(), &got, &[0.75, 0.75, 0.75, 0.25], TOL);
    }
}

/// Whatever rounding makes of lengths: the order of two tokens is that of their places, then.
#[test]
fn two_tokens_have_the_same_energy() {
    for rig in rigs_for(&SPEC) {
        let mut random = Random(8);
        for _ in 0..20 {
            let mut metric = random.floats(2 * 64);
            for row in metric.chunks_exact_mut(64) {
                let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
                row.iter_mut().for_each(|v| *v /= length);
            }
            let energy = check(rig, Params::new([1, 2, 64], 0, 0.9), &metric);
            assert_eq!(energy[0], energy[1], "{}", rig.id());
        }
    }
}

#[test]
fn more_tokens_than_one_dimension_of_workgroups() {
    for rig in rigs_for(&SPEC) {
        check(rig, Params::new([70_000, 3, 4], 1, 0.01), &Random(5).sixteenths(70_000 * 12));
    }
}
