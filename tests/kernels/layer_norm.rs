use tome_wgpu::kernels::NormKind;
use tome_wgpu::kernels::layer_norm::{Io, Params, SPEC, layer_norm};
use tome_wgpu::reference;

use crate::common::{Random, Rig, Tol, close, rigs_for, same, set};

// Values are about 1 before weight and bias: a few roundings of a number of up to 4. Sums are of at most 1,028
// numbers by 16 lanes, so their error stays below that.
const TOL: Tol = Tol { abs: 2e-6, rel: 1e-6 };

type Part<'a> = Option<&'a [f32]>;

fn on_gpu(rig: &Rig, params: Params, x: &[f32], weight: Part<'_>, bias: Part<'_>) -> Vec<f32> {
    with_residual(rig, params, x, [weight, bias, None])
}

fn with_residual(rig: &Rig, params: Params, x: &[f32], parts: [Part<'_>; 3]) -> Vec<f32> {
    let x = rig.data(x);
    let parts = parts.map(|part| part.map(|data| rig.data(data)));
    let y = rig.unwritten(params.rows * params.channels);
    let [weight, bias, residual] =
        [&parts[0], &parts[1], &parts[2]].map(|part| part.as_ref().map(Into::into));
    let io = set!(Io::new(&x, &y); weight, bias, residual);
    rig.run(&[layer_norm(&rig.gpu, params, io).unwrap()]);
    rig.read_elems(&y, params.rows * params.channels)
}

fn on_reference(params: Params, x: &[f32], weight: Part<'_>, bias: Part<'_>) -> Vec<f32> {
    let mut y = vec![f32::NAN; x.len()];
    reference::layer_norm(&params, x, weight, bias, None, &mut y);
    y
}

fn check(rig: &Rig, params: Params, x: &[f32], tol: Tol) {
    let mut random = Random(7);
    let [weight, bias] = [(); 2].map(|()| random.floats(params.channels));
    for (weight, bias) in [
        (Some(&weight[..]), Some(&bias[..])),
        (Some(&weight[..]), None),
        (None, Some(&bias[..])),
        (None, None),
    ] {
        let (got, want) = (on_gpu(rig, params, x, weight, bias), on_reference(params, x, weight, bias));
        let parts = (weight.is_some(), bias.is_some());
        close(format!("{} {params:?} {parts:?}", rig.id()), &got, &want, rig.stored(tol));
    }
}

#[test]
fn matches_the_reference() {
    // A workgroup takes four rows, 16 vectors of four of each at a time.
    let shapes = [(1, 4), (3, 60), (4, 64), (5, 68), (3, 260), (2 * 197, 192), (5, 384), (2, 768), (2, 1028)];
    for rig in rigs_for(&SPEC) {
        for (rows, channels) in shapes {
            let x = Random(rows.into()).floats(rows * channels);
            check(rig, set!(Params::default(); rows, channels, eps: 1e-6), &x, TOL);
        }
    }
}

#[test]
fn the_mean_stays_where_only_squares_count() {
    for rig in rigs_for(&SPEC) {
        for (rows, channels) in [(3, 4), (5, 68), (2, 1028)] {
            // Means of about 1 beside deviations of 0.6.
            let x: Vec<f32> = Random(8).floats(rows * channels).iter().map(|v| v + 1.0).collect();
            let params = set!(Params::default(); rows, channels, eps: 1e-6);
            check(rig, set!(params; kind: NormKind::Rms), &x, TOL);
            let kinds = [NormKind::Layer, NormKind::Rms];
            let [layer, rms] = kinds.map(|kind| on_gpu(rig, set!(params; kind), &x, None, None));
            assert!(layer.iter().zip(&rms).any(|(a, b)| (a - b).abs() > 0.1), "{}", rig.id());
        }
    }
}

#[test]
fn rows_are_added_in_turn() {
    for rig in rigs_for(&SPEC) {
        // As many as there are, a few that repeat, and more than there are rows.
        for (rows, residual_rows) in [(7, 7), (7, 3), (2, 5), (9, 1)] {
            let channels = 68;
            let mut random = Random(9);
            let params = set!(Params::default(); rows, channels, eps: 1e-6, residual_rows);
            let x = random.floats(rows * channels);
            let [weight, residual] = [channels, residual_rows * channels].map(|count| random.floats(count));
            let got = with_residual(rig, params, &x, [Some(&weight), None, Some(&residual)]);
            let mut want = vec![f32::NAN; x.len()];
            reference::layer_norm(&params, &x, Some(&weight), None, Some(&residual), &mut want);
            close(format!("{} {params:?}", rig.id()), &got, &want, rig.stored(TOL));
        }
    }
}

#[test]
fn more_rows_than_one_dimension_of_workgroups() {
    for rig in rigs_for(&SPEC) {
        let params = set!(Params::default(); rows: 70_000, channels: 4, eps: 1e-6);
        check(rig, params, &Random(1).floats(params.rows * params.channels), TOL);
    }
}

#[test]
fn eps_counts() {
    for rig in rigs_for(&SPEC) {
        // The variance is about 3e-7, so that 1e-5 instead of 1e-6 would halve every value.
        let x: Vec<f32> = Random(2).floats(4 * 64).iter().map(|v| v * 1e-3).collect();
        for eps in [1e-5, 1e-6] {
            check(rig, set!(Params::default(); rows: 4, channels: 64, eps), &x, TOL);
        }
    }
}

#[test]
fn a_large_mean_costs_no_more_than_its_own_rounding() {
    for rig in rigs_for(&SPEC) {
        // The mean, 1000, is known to 6e-5 (one unit in its last place), and the deviation is 0.6. Squares instead of
        // centred squares would be off by 1e6 * 6e-8 = 0.06 of a variance of 0.33.
        let x: Vec<f32> = Random(3).floats(4 * 768).iter().map(|v| v + 1000.0).collect();
        check(
            rig,
            set!(Params::default(); rows: 4, channels: 768, eps: 1e-6),
            &x,
            Tol { abs: 3e-4, rel: 0.0 },
        );
    }
}

#[test]
fn a_constant_row_becomes_the_bias() {
    for rig in rigs_for(&SPEC) {
        let params = set!(Params::default(); rows: 2, channels: 64, eps: 1e-6);
        let bias = Random(4).floats(64);
        let got = on_gpu(rig, params, &[0.5; 128], Some(&[3.0; 64]), Some(&bias));
        same(rig.id(), &got, &[&bias[..], &bias[..]].concat());
    }
}

#[test]
fn a_row_with_nan_spoils_no_other() {
    for rig in rigs_for(&SPEC) {
        let params = set!(Params::default(); rows: 3, channels: 64, eps: 1e-6);
        let mut x = Random(5).floats(3 * 64);
        let clean = on_gpu(rig, params, &x, Some(&[1.0; 64]), Some(&[0.0; 64]));
        x[64 + 17] = f32::NAN;
        let got = on_gpu(rig, params, &x, Some(&[1.0; 64]), Some(&[0.0; 64]));
        assert!(got[64..128].iter().all(|v| v.is_nan()), "{}", rig.id());
        same(rig.id(), &got[..64], &clean[..64]);
        same(rig.id(), &got[128..], &clean[128..]);
    }
}
