//! Networks with rotary positions.

use tome_wgpu::kernels::{MergeMode, MergedPosition};
use tome_wgpu::vit::{Angles, Config, Coordinates, Options, Protect, Rotary, Weights};
use tome_wgpu::{Error, Schedule, cpu};

use crate::common::{Tol, close, set};
use crate::network::{config, images, network};

/// A small network whose patches have positions, and its prefix none.
fn rotary(architecture: &str) -> Config {
    let rotary = Config::preset(architecture).unwrap().rotary;
    config().with(|c| (c.rotary, c.pos_embed) = (rotary, false))
}

fn merging(r: u32, positions: MergedPosition) -> Options {
    set!(Options::with_schedule(Schedule::constant(r)); positions)
}

fn logits(vit: &cpu::VisionTransformer, images: &[f32], options: &Options) -> Vec<f32> {
    vit.forward(images, options).unwrap().logits
}

#[test]
fn where_merged_tokens_lie_changes_the_result() {
    for architecture in ["vit_small_patch16_dinov3", "vit_small_patch16_rope_mixed_224"] {
        let config = rotary(architecture);
        let (vit, images) = (network(&config), images(&config, 2));
        let [mean, kept] = [MergedPosition::Mean, MergedPosition::Kept]
            .map(|positions| logits(&vit, &images, &merging(20, positions)));
        assert!(mean.iter().zip(&kept).any(|(a, b)| (a - b).abs() > 1e-4), "{architecture}");
        // Where nothing merges into anything, there is nothing to choose.
        let dropping = |positions| set!(merging(20, positions); merge: MergeMode::KeepOne);
        assert_eq!(
            logits(&vit, &images, &dropping(MergedPosition::Mean)),
            logits(&vit, &images, &dropping(MergedPosition::Kept))
        );
        // And without merging none lies anywhere else.
        assert_eq!(
            logits(&vit, &images, &merging(0, MergedPosition::Mean)),
            logits(&vit, &images, &merging(0, MergedPosition::Kept))
        );
    }
}

#[test]
fn numbers_may_begin_anywhere_where_nothing_else_has_a_place() {
    // Scores know how far two patches are apart. Without tokens before them all have a place, and all may move.
    let base = rotary("vit_small_patch16_rope_224");
    let from = |first: f32| {
        let config = base.clone().with(|c| {
            (c.class_token, c.reg_tokens, c.pool) = (false, 0, tome_wgpu::vit::Pool::Average);
            let rotary = c.rotary.as_mut().unwrap();
            rotary.coordinates = Coordinates::Numbers { first, reference: None };
        });
        logits(&network(&config), &images(&config, 1), &merging(0, MergedPosition::Mean))
    };
    // Angles of up to 30 are known to 2e-6, and there are four blocks.
    close("moved by 17", &from(17.0), &from(0.0), Tol { abs: 2e-4, rel: 1e-4 });
}

#[test]
fn what_has_no_place_does_not_merge_with_what_has_one() {
    let config = rotary("vit_small_patch16_dinov3");
    let (vit, images) = (network(&config), images(&config, 1));
    let unprotected = set!(merging(4, MergedPosition::Mean); protect: Protect::Class);
    match vit.forward(&images, &unprotected) {
        Err(Error::Unsupported { field, .. }) => assert_eq!(field, "protect"),
        other => panic!("{other:?}"),
    }
    let plain = crate::network::config();
    match merging(4, MergedPosition::Kept).check(&plain) {
        Err(Error::Input(why)) => assert!(why.contains("positions kept"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn angles_beyond_what_is_exact_are_refused() {
    let config = rotary("vit_small_patch16_dinov3");
    for theta in [0.0, -1.0, 1e-9, f32::NAN] {
        let config = config.clone().with(|c| c.rotary.as_mut().unwrap().angles = Angles::Powers { theta });
        match config.check() {
            Err(Error::Config { field, .. }) => assert_eq!(field, "rope_theta"),
            other => panic!("{theta}: {other:?}"),
        }
    }
    let learned = rotary("vit_small_patch16_rope_mixed_224");
    let Some(Rotary { angles: Angles::Learned, .. }) = learned.rotary else { panic!("learned angles") };
    for value in [f32::NAN, f32::INFINITY, 1e6] {
        let mut weights = Weights::random(&learned, 1);
        let mut freqs = weights.get("rope.freqs").unwrap().clone();
        let mut values = freqs.data.to_f32().into_owned();
        values[5] = value;
        freqs.data = values.into();
        weights.insert("rope.freqs", freqs);
        match cpu::VisionTransformer::new(learned.clone(), &weights) {
            Err(Error::Weight { name, .. }) => assert_eq!(name, "rope.freqs"),
            other => panic!("{value}: {other:?}"),
        }
    }
}
