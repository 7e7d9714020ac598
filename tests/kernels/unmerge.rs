use tome_wgpu::Gpu;
use tome_wgpu::kernels::unmerge::{Io, Params, SPEC, unmerge};
use tome_wgpu::reference;

use crate::common::{Random, Rig, rigs_for, same, set};

fn check(rig: &Rig, params: Params) {
    let Params { batch, tokens, sources, first_source, channels, .. } = params;
    let values = batch * (sources - first_source) * channels;
    let mut random = Random(channels.into());
    let x = random.floats(batch * tokens * channels);
    let source: Vec<u32> = (0..batch * sources).map(|_| random.below(tokens)).collect();
    let mut want = vec![f32::NAN; values as usize];
    reference::unmerge(&params, &x, &source, None, &mut want);

    let (x, source, y) = (rig.data(&x), rig.data(&source), rig.unwritten(values));
    let io = Io::new(&x, &source, &y);
    rig.run(&[unmerge(&rig.gpu, params, io).unwrap()]);
    // Copies.
    same(format!("{} {params:?}", rig.id()), &rig.read::<f32>(&y, values), &want);
}

#[test]
fn matches_the_reference() {
    // 64 lanes take a vector of four each.
    for rig in rigs_for(&SPEC) {
        for channels in [4, 252, 256, 260, 768] {
            check(rig, set!(Params::default(); batch: 2, tokens: 13, sources: 29, channels));
        }
        check(rig, set!(Params::default(); batch: 3, tokens: 1, sources: 1, channels: 20));
        for first_source in [0, 1, 5, 196] {
            check(
                rig,
                set!(Params::default(); batch: 2, tokens: 99, sources: 197, first_source, channels: 20),
            );
        }
    }
}

#[test]
fn a_residual_is_added() {
    for rig in rigs_for(&SPEC) {
        for first_source in [0, 3] {
            let params =
                set!(Params::default(); batch: 2, tokens: 9, sources: 20, first_source, channels: 260);
            let wanted = 20 - first_source as usize;
            let values = 2 * wanted * 260;
            let mut random = Random(3);
            let x = random.floats(2 * 9 * 260);
            let residual = random.floats(values as u32);
            let source: Vec<u32> = (0..40).map(|_| random.below(9)).collect();
            let mut want = vec![f32::NAN; values];
            reference::unmerge(&params, &x, &source, Some(&residual), &mut want);

            let (x, source, residual) = (rig.data(&x), rig.data(&source), rig.data(&residual));
            let y = rig.unwritten(values as u32);
            rig.run(&[unmerge(&rig.gpu, params, Io::new(&x, &source, &y).residual(&residual)).unwrap()]);
            same(rig.id(), &rig.read::<f32>(&y, values as u32), &want);
        }
    }
}

/// Source maps are data, and nothing checks at run time that they name tokens.
#[test]
fn a_map_that_names_no_token_gives_the_last_one() {
    for rig in rigs_for(&SPEC) {
        let gpu = Gpu::with_variant(rig.gpu.device(), rig.gpu.variant()).unwrap();
        let params = set!(Params::default(); batch: 1, tokens: 3, sources: 4, channels: 4);
        let x: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let (x, source, y) = (rig.data(&x), rig.data(&[1, 3, u32::MAX, 0]), rig.unwritten(16));
        let io = Io::new(&x, &source, &y);
        rig.run(&[unmerge(&gpu, params, io).unwrap()]);
        let want = [4, 5, 6, 7, 8, 9, 10, 11, 8, 9, 10, 11, 0, 1, 2, 3].map(|i| i as f32);
        same(rig.id(), &rig.read::<f32>(&y, 16), &want);
    }
}

#[test]
fn more_tokens_than_one_dimension_of_workgroups() {
    for rig in rigs_for(&SPEC) {
        check(
            rig,
            set!(Params::default(); batch: 360, tokens: 11, sources: 197, first_source: 1, channels: 4),
        );
    }
}
