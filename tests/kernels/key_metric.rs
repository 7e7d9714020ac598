use tome_wgpu::kernels::key_metric::{Io, Length, Params, SPEC, key_metric};
use tome_wgpu::{Element, reference};

use crate::common::{Random, Rig, Tol, close, rigs_for, set};

// Components of a unit vector, from a mean of 12 and a sum of up to 1,028 squares: a few roundings each.
const TOL: Tol = Tol { abs: 3e-7, rel: 1e-6 };

fn on_gpu(rig: &Rig, params: Params, keys: &[f32]) -> Vec<f32> {
    let keys = rig.elems(keys);
    let metric = rig.unwritten(params.rows * params.head_width);
    let io = Io::new(&keys, &metric);
    rig.run(&[key_metric(&rig.gpu, params, io).unwrap()]);
    rig.read(&metric, params.rows * params.head_width)
}

fn check(rig: &Rig, params: Params, keys: &[f32]) -> Vec<f32> {
    let mut want = vec![f32::NAN; (params.rows * params.head_width) as usize];
    reference::key_metric(&params, keys, None, &mut want);
    let got = on_gpu(rig, params, keys);
    close(format!("{} {params:?}", rig.id()), &got, &want, TOL);
    got
}

#[test]
fn matches_the_reference() {
    // A workgroup takes four rows, 16 vectors of four of each at a time.
    let shapes = [
        (1, 1, 4),
        (3, 1, 60),
        (5, 1, 256),
        (3, 2, 260),
        (2 * 197, 3, 64),
        (40, 12, 64),
        (9, 16, 80),
        (2, 1, 1028),
    ];
    for rig in rigs_for(&SPEC) {
        for (rows, heads, head_width) in shapes {
            let stride = heads * head_width;
            let keys = Random(head_width.into()).floats(rows * stride);
            check(rig, set!(Params::default(); rows, heads, head_width, stride, start: 0), &keys);
        }
    }
}

#[test]
fn keys_lie_anywhere_in_a_token() {
    for rig in rigs_for(&SPEC) {
        // The second of three parts, and the last token ends with its key.
        let params = set!(Params::default(); rows: 5, heads: 2, head_width: 20, stride: 120, start: 40);
        check(rig, params, &Random(6).floats(4 * 120 + 80));
    }
}

#[test]
fn more_rows_than_one_dimension_of_workgroups() {
    for rig in rigs_for(&SPEC) {
        let params = set!(Params::default(); rows: 70_000, heads: 1, head_width: 4, stride: 4, start: 0);
        check(rig, params, &Random(8).floats(280_000));
    }
}

#[test]
fn keys_without_direction_become_zero() {
    // 16 bits hold neither 1e-12 nor 1e12.
    for rig in rigs_for(&SPEC).filter(|rig| rig.gpu.variant().element == Element::F32) {
        let params = set!(Params::default(); rows: 9, heads: 2, head_width: 64, stride: 128, start: 0);
        let mut keys = Random(9).floats(9 * 128);
        let mut token = |row: usize, change: &dyn Fn(&mut [f32])| change(&mut keys[row * 128..][..128]);
        token(1, &|t| t.fill(0.0));
        token(2, &|t| t[70] = f32::NAN);
        token(3, &|t| t[5] = f32::INFINITY);
        // The heads cancel.
        token(4, &|t| (0..64).for_each(|i| t[64 + i] = -t[i]));
        // Squares below and above what an f32 holds.
        token(5, &|t| t.fill(1e-30));
        token(6, &|t| t.fill(1e30));
        // Far from 1 and still normal.
        token(7, &|t| t.iter_mut().for_each(|v| *v *= 1e-12));
        token(8, &|t| t.iter_mut().for_each(|v| *v *= 1e12));
        let got = check(rig, params, &keys);
        for (row, metric) in got.chunks_exact(64).enumerate() {
            let length: f32 = metric.iter().map(|v| v * v).sum::<f32>().sqrt();
            let want = if (1..=6).contains(&row) { 0.0 } else { 1.0 };
            assert!((length - want).abs() <= 1e-6 * want, "{} row {row}: length {length}", rig.id());
        }
    }
}

#[test]
fn what_needs_no_unit_length_keeps_its_own_and_stays_within_bounds() {
    // 16 bits do not hold 1e18.
    for rig in rigs_for(&SPEC).filter(|rig| rig.gpu.variant().element == Element::F32) {
        let params = set!(
            Params::default();
            rows: 5, heads: 2, head_width: 64, stride: 128, start: 0, length: Length::Own
        );
        let mut keys = Random(10).floats(5 * 128);
        let (_, rest) = keys.split_at_mut(128);
        rest[0] = f32::NAN;
        // Lengths of 1e18, just within, and of 2e18: their squares would still be floats, four times them no more.
        rest[128..256].fill(0.0);
        (rest[128], rest[192]) = (0.99e18, 0.99e18);
        rest[256..384].fill(0.0);
        (rest[256], rest[320]) = (2e18, 2e18);
        rest[384..].fill(1e-20);
        let got = check(rig, params, &keys);
        let zero = |row: usize| got[row * 64..][..64].iter().all(|&v| v == 0.0);
        assert_eq!([0, 1, 2, 3, 4].map(zero), [false, true, false, true, true], "{}", rig.id());
        assert_eq!(got[0], (keys[0] + keys[64]) / 2.0);
    }
}

#[test]
fn tokens_of_size_0_become_zero() {
    for rig in rigs_for(&SPEC) {
        let params = Params::fused(6, 2, 20);
        let data = Random(11).floats(6 * params.stride);
        let size = [1.0, 0.0, 3.0, 0.0, 0.0, 2.0];
        let mut want = vec![f32::NAN; 120];
        reference::key_metric(&params, &data, Some(&size), &mut want);
        let (keys, sizes, metric) = (rig.elems(&data), rig.data(&size), rig.unwritten(120));
        rig.run(&[key_metric(&rig.gpu, params, Io::new(&keys, &metric).size(&sizes)).unwrap()]);
        let got: Vec<f32> = rig.read(&metric, 120);
        close(rig.id(), &got, &want, TOL);
        for (metric, size) in got.chunks_exact(20).zip(size) {
            assert_eq!(metric.iter().all(|&v| v == 0.0), size == 0.0, "{}", rig.id());
        }
    }
}
