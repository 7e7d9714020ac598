use tome_wgpu::kernels::NormKind;
use tome_wgpu::kernels::norm_heads::{Io, Params, SPEC, norm_heads};
use tome_wgpu::{Element, reference};

use crate::common::{Random, Rig, Tol, close, rigs_for, same, set};

// Values are about 1 before weight and bias: a few roundings of a number of up to 4, after sums of up to 128.
const TOL: Tol = Tol { abs: 2e-6, rel: 1e-6 };

#[derive(Clone)]
struct Case {
    params: Params,
    weight: Option<Vec<f32>>,
    bias: Option<Vec<f32>>,
    x: Vec<f32>,
    /// Positions and turns.
    turned: Option<[Vec<f32>; 2]>,
}

impl Case {
    fn new(rows: u32, heads: u32, head_width: u32, stride: u32) -> Self {
        let mut random = Random(u64::from(rows) << 32 | u64::from(head_width));
        let [weight, bias] = [(); 2].map(|()| Some(random.floats(2 * head_width)));
        let x = random.floats(rows * stride);
        let params = set!(Params::default(); rows, parts: 2, heads, head_width, stride, eps: 1e-6);
        Case { params, weight, bias, x, turned: None }
    }

    fn on_gpu(&self, rig: &Rig) -> Vec<f32> {
        let [weight, bias] = [&self.weight, &self.bias].map(|data| data.as_ref().map(|data| rig.data(data)));
        let x = rig.elems(&self.x);
        let (weight, bias) = (weight.as_ref().map(Into::into), bias.as_ref().map(Into::into));
        let turned = self.turned.as_ref().map(|parts| [rig.data(&parts[0]), rig.data(&parts[1])]);
        let (position, turn) = (
            turned.as_ref().map(|parts| (&parts[0]).into()),
            turned.as_ref().map(|parts| (&parts[1]).into()),
        );
        let io = set!(Io::new(&x); weight, bias, position, turn);
        rig.run(&[norm_heads(&rig.gpu, self.params, io).unwrap()]);
        rig.read_elems(&x, self.x.len() as u32)
    }

    fn on_reference(&self) -> Vec<f32> {
        let mut x = self.x.clone();
        let turned = self.turned.as_ref().map(|[position, turn]| (&position[..], &turn[..]));
        reference::norm_heads(&self.params, self.weight.as_deref(), self.bias.as_deref(), turned, &mut x);
        x
    }

    fn check(&self, rig: &Rig, tol: Tol) {
        close(
            format!("{} {:?}", rig.id(), self.params),
            &self.on_gpu(rig),
            &self.on_reference(),
            rig.stored(tol),
        );
    }
}

#[test]
fn matches_the_reference() {
    // A workgroup has four heads of q and k, 16 vectors of four of each at a time.
    for rig in rigs_for(&SPEC) {
        for (rows, heads, head_width) in
            [(1, 1, 4), (5, 2, 12), (2, 16, 64), (197, 3, 64), (7, 5, 80), (3, 11, 128)]
        {
            Case::new(rows, heads, head_width, 3 * heads * head_width).check(rig, TOL);
            Case::new(rows, heads, head_width, 2 * heads * head_width + 4).check(rig, TOL);
        }
    }
}

#[test]
fn pairs_are_turned_behind_the_norm() {
    for rig in rigs_for(&SPEC) {
        for (rows, heads, head_width) in [(1, 1, 4), (5, 3, 12), (197, 3, 64)] {
            let mut case = Case::new(rows, heads, head_width, 3 * heads * head_width);
            let mut random = Random(u64::from(rows));
            // Angles of up to 12.
            let position = random.floats(2 * rows).iter().map(|v| v * 6.0).collect();
            case.turned = Some([position, random.floats(2 * heads * head_width)]);
            // Values of up to 4 turned by angles that are off by 6e-7.
            case.check(rig, Tol { abs: 6e-6, rel: 1e-6 });
            case.bias = None;
            case.params.kind = NormKind::Rms;
            case.check(rig, Tol { abs: 6e-6, rel: 1e-6 });
        }
    }
}

#[test]
fn the_mean_stays_where_only_squares_count_and_rows_may_be_whole() {
    for rig in rigs_for(&SPEC) {
        let mut case = Case::new(6, 3, 32, 3 * 96);
        // Means of about 1 beside deviations of 0.6.
        case.x.iter_mut().for_each(|v| *v += 1.0);
        let with_mean = case.on_gpu(rig);
        case.params.kind = NormKind::Rms;
        case.check(rig, TOL);
        let differ = |(a, b): (&f32, &f32)| (a - b).abs() > 0.1;
        assert!(case.on_gpu(rig).iter().zip(&with_mean).any(differ), "{}", rig.id());

        for (rows, channels) in [(1, 4), (7, 60), (5, 2048)] {
            for kind in [NormKind::Layer, NormKind::Rms] {
                let params = set!(Params::whole(rows, channels, 1e-6); kind);
                let mut random = Random(u64::from(channels));
                let [weight, bias] = [(); 2].map(|()| Some(random.floats(channels)));
                let case = Case { params, weight, bias, x: random.floats(rows * channels), turned: None };
                case.check(rig, TOL);
                Case { bias: None, ..case.clone() }.check(rig, TOL);
                Case { weight: None, bias: None, ..case }.check(rig, TOL);
            }
        }
    }
}

#[test]
fn zeros_behind_a_row_do_not_count() {
    for rig in rigs_for(&SPEC) {
        for (channels, kind) in
            [(5, NormKind::Layer), (45, NormKind::Layer), (2730, NormKind::Layer), (45, NormKind::Rms)]
        {
            let rows = 6;
            let params = set!(Params::whole(rows, channels, 1e-6); kind);
            let mut x = Random(u64::from(channels)).floats(rows * params.stride);
            // Means of about 1, which zeros that count would lower.
            for row in x.chunks_exact_mut(params.stride as usize) {
                row.iter_mut().for_each(|v| *v += 1.0);
                row[channels as usize..].fill(0.0);
            }
            let case = Case { params, weight: None, bias: None, x, turned: None };
            let counting = |x: Vec<f32>| -> Vec<f32> {
                x.chunks_exact(params.stride as usize)
                    .flat_map(|row| row[..channels as usize].to_vec())
                    .collect()
            };
            let (got, want) = (counting(case.on_gpu(rig)), counting(case.on_reference()));
            close(format!("{} {params:?}", rig.id()), &got, &want, rig.stored(TOL));
        }
    }
}

#[test]
fn values_and_what_lies_between_tokens_stay() {
    for rig in rigs_for(&SPEC) {
        let case = Case::new(9, 2, 8, 52);
        for (got, old) in case.on_gpu(rig).chunks_exact(52).zip(case.x.chunks_exact(52)) {
            same(rig.id(), &got[32..], &old[32..]);
        }
    }
}

#[test]
fn every_head_has_mean_0_and_variance_1() {
    // 16 bits know values around 30 to 1/128 only.
    for rig in rigs_for(&SPEC).filter(|rig| rig.gpu.variant().element == Element::F32) {
        let mut case = Case::new(4, 3, 16, 144);
        (case.weight, case.bias) = (None, None);
        // Far from 0, so that a variance around 0 instead of the mean would show.
        case.x.iter_mut().for_each(|v| *v += 30.0);
        for token in case.on_gpu(rig).chunks_exact(144) {
            for head in token[..96].chunks_exact(16) {
                let mean = head.iter().sum::<f32>() / 16.0;
                let variance = head.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / 16.0;
                // Values around 30 have a rounding of 2e-6, against deviations of about 0.6.
                assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-4, "{mean} {variance}");
            }
        }
    }
}

#[test]
fn more_workgroups_than_one_dimension_holds() {
    for rig in rigs_for(&SPEC) {
        // Among millions of heads of four values some are so close together that their deviations, known to 6e-8,
        // grow a hundredfold.
        Case::new(66_000 * 32, 1, 4, 8).check(rig, Tol { abs: 3e-5, rel: 1e-6 });
    }
}
