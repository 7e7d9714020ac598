use tome_wgpu::kernels::pool::{Io, Params, PoolMode, SPEC, pool};
use tome_wgpu::reference;

use crate::common::{Random, Rig, Tol, close, rigs_for, same, set};

// A mean of up to 577 numbers below 1: the sum is off by its last place each time, 577 * 2e-6 at worst and far less
// at random.
const TOL: Tol = Tol { abs: 1e-6, rel: 1e-6 };

fn on_gpu(rig: &Rig, params: Params, x: &[f32], size: Option<&[f32]>) -> Vec<f32> {
    let (x, size) = (rig.data(x), size.map(|size| rig.data(size)));
    let y = rig.unwritten(params.batch * params.channels);
    let io = set!(Io::new(&x, &y); size: size.as_ref().map(Into::into));
    rig.run(&[pool(&rig.gpu, params, io).unwrap()]);
    rig.read(&y, params.batch * params.channels)
}

#[test]
fn matches_the_reference() {
    // 64 lanes take a vector of four each.
    for rig in rigs_for(&SPEC) {
        for &mode in PoolMode::ALL {
            for (tokens, channels, first_token) in
                [(1, 4, 0), (2, 252, 1), (5, 256, 4), (17, 260, 0), (197, 384, 1), (577, 20, 5)]
            {
                // There must be one before.
                let first_token = if mode == PoolMode::MeanBefore { first_token.max(1) } else { first_token };
                let params = set!(Params::default(); batch: 3, tokens, channels, first_token, mode);
                let mut random = Random(tokens.into());
                let (x, size) = (random.floats(3 * tokens * channels), random.sizes(3 * tokens));
                let size = (mode == PoolMode::MeanBySize).then_some(&size[..]);
                let mut want = vec![f32::NAN; (3 * channels) as usize];
                reference::pool(&params, &x, size, &mut want);
                let got = on_gpu(rig, params, &x, size);
                let what = format!("{} {params:?}", rig.id());
                close(&what, &got, &want, TOL);
                if mode == PoolMode::Token {
                    same(what, &got, &want);
                }
            }
        }
    }
}

#[test]
fn more_images_than_one_dimension_of_workgroups() {
    for rig in rigs_for(&SPEC) {
        let params = set!(Params::default(); batch: 70_000, tokens: 2, channels: 4, first_token: 1, mode: PoolMode::Token);
        let x = Random(1).floats(70_000 * 8);
        let want: Vec<f32> = x.chunks_exact(8).flat_map(|image| &image[4..]).copied().collect();
        same(rig.id(), &on_gpu(rig, params, &x, None), &want);
    }
}
