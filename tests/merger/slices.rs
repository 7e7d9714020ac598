//! Merges of slices: the CPU path's and a device's.

use std::sync::LazyLock;

use tome_wgpu::cpu::MergeInput;
use tome_wgpu::kernels::unmerge;
use tome_wgpu::{DeviceChoice, Error, SliceMerger};

use super::ways::{decided, every_way, merge_by_reference};
use super::{Input, input, shape};
use crate::common::{Tol, close, rigs, same, set};

/// The CPU path, and the first adapter where there is one.
fn mergers() -> &'static [SliceMerger] {
    static MERGERS: LazyLock<Vec<SliceMerger>> = LazyLock::new(|| {
        // Whether a device may be missing is decided there.
        let device = (!rigs().is_empty()).then_some(DeviceChoice::Index(0));
        let all = [DeviceChoice::Cpu].into_iter().chain(device);
        all.map(|device| SliceMerger::new(&device).unwrap()).collect()
    });
    &MERGERS
}

fn slices(input: &Input) -> MergeInput<'_> {
    let Input { keys, x, size, source } = input;
    MergeInput { keys, x, size: Some(size), source: Some(source) }
}

#[test]
fn slices_merge_as_the_reference_says() {
    every_way(|what, shape| {
        let mut inputs = (0..).map(|seed| input(&shape, seed << 8 | u64::from(shape.tokens)));
        let input = inputs.find(|input| decided(shape, input)).expect("a seed");
        let want = merge_by_reference(shape, &input);
        for merger in mergers() {
            let what = format!("{}: {what}", merger.device().name);
            let got = merger.merge(&shape, slices(&input)).unwrap();
            same(format!("{what}: source"), &got.source, &want.source);
            same(format!("{what}: size"), &got.size, &want.size);
            // As for buffers.
            close(format!("{what}: x"), &got.x, &want.x, Tol { abs: 1e-6, rel: 2e-6 });
            let params = unmerge::Params::new(2, shape.tokens_out(), shape.sources, shape.channels);
            let back = merger.unmerge(params, &got.x, &got.source, Some(&input.x)).unwrap();
            let rows = got.x.chunks_exact(8).collect::<Vec<_>>();
            let per_image = got.source.len() / 2;
            for (at, y) in back.chunks_exact(8).enumerate() {
                let holder = at / per_image * shape.tokens_out() as usize + got.source[at] as usize;
                let sum: Vec<f32> =
                    rows[holder].iter().zip(&input.x[at * 8..]).map(|(x, residual)| x + residual).collect();
                same(&what, y, &sum);
            }
        }
    });
}

#[test]
fn a_threshold_pads_slices() {
    let shape = set!(shape(2, 41, 8, 12, 1); threshold: Some(0.3), least: 2);
    let input = input(&shape, 3);
    let want = merge_by_reference(shape, &input);
    for merger in mergers() {
        let got = merger.merge(&shape, slices(&input)).unwrap();
        same(&merger.device().name, &got.source, &want.source);
        same(&merger.device().name, &got.size, &want.size);
    }
}

#[test]
fn slices_that_do_not_fit_are_refused() {
    let shape = shape(2, 10, 8, 2, 0);
    let whole = input(&shape, 1);
    let short = |change: fn(&mut Input)| {
        let mut input = whole.clone();
        change(&mut input);
        input
    };
    let wrong = [
        (shape, short(|input| input.keys.truncate(3))),
        (shape, short(|input| input.x.truncate(3))),
        (shape, short(|input| input.size.truncate(3))),
        (shape, short(|input| input.source.truncate(3))),
        (shape, short(|input| input.source[3] = 10)),
        (set!(shape; heads: 0), whole.clone()),
        (set!(shape; by_size: 3.0), whole.clone()),
        (set!(shape; by_size: f32::NAN), whole.clone()),
        (set!(shape; threshold: Some(f32::NAN)), whole.clone()),
        (set!(shape; key_stride: 4), whole.clone()),
        (set!(shape; key_start: 4), whole.clone()),
    ];
    for merger in mergers() {
        for (shape, input) in &wrong {
            let error = merger.merge(shape, slices(input)).unwrap_err();
            assert!(matches!(error, Error::Input(_)), "{error}");
        }
        let params = unmerge::Params::new(1, 4, 6, 8);
        for (x, source) in
            [(&[0.0; 32][..], &[4; 6][..]), (&[0.0; 31], &[0; 6]), (&[0.0; 32], &[0; 5]), (&[], &[])]
        {
            assert!(matches!(merger.unmerge(params, x, source, None), Err(Error::Input(_))));
        }
    }
}
