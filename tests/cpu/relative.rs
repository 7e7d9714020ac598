//! Networks with a relative position bias.

use tome_wgpu::kernels::{MergeMode, MergedPosition};
use tome_wgpu::vit::{BiasSource, Config, Options, Protect, Relative, TableResample, Tensor, Weights};
use tome_wgpu::{Error, Matching, Schedule, cpu};

use crate::common::{Tol, close, set};
use crate::network::{config, images, network};

/// A small network with a bias of its blocks, or one that they share.
fn biased(source: BiasSource, shared: bool) -> Config {
    config().with(|c| (c.relative, c.pos_embed) = (Some(Relative::new(source, shared)), false))
}

const TABLE: BiasSource = BiasSource::Table(TableResample::Even);

fn merging(r: u32, positions: MergedPosition) -> Options {
    set!(Options::with_schedule(Schedule::constant(r)); positions)
}

fn logits(vit: &cpu::VisionTransformer, images: &[f32], options: &Options) -> Vec<f32> {
    vit.forward(images, options).unwrap().logits
}

#[test]
fn where_merged_tokens_lie_changes_the_result() {
    for config in [biased(TABLE, false), biased(BiasSource::Mlp { hidden: 16 }, true)] {
        let (vit, images) = (network(&config), images(&config, 2));
        let [mean, kept] = [MergedPosition::Mean, MergedPosition::Kept]
            .map(|positions| logits(&vit, &images, &merging(20, positions)));
        assert!(mean.iter().zip(&kept).any(|(a, b)| (a - b).abs() > 1e-4), "{:?}", config.relative);
        // Where nothing merges into anything, there is nothing to choose.
        let dropping = |positions| set!(merging(20, positions); merge: MergeMode::KeepOne);
        assert_eq!(
            logits(&vit, &images, &dropping(MergedPosition::Mean)),
            logits(&vit, &images, &dropping(MergedPosition::Kept))
        );
        assert_eq!(
            logits(&vit, &images, &merging(0, MergedPosition::Mean)),
            logits(&vit, &images, &merging(0, MergedPosition::Kept))
        );
    }
}

/// Tables by name, changed.
fn tables(config: &Config, change: impl Fn(&str, &mut [f32])) -> cpu::VisionTransformer {
    let mut weights = Weights::random(config, 1);
    for (name, shape) in config.tensors().into_iter().filter(|(name, _)| name.ends_with("bias_table")) {
        let mut values = weights.get(&name).unwrap().data.to_f32().into_owned();
        change(&name, &mut values);
        weights.insert(name, Tensor::new(shape, values));
    }
    cpu::VisionTransformer::new(config.clone(), &weights).unwrap()
}

/// Weights are shares: what is added to every score of a head counts for nothing, with merging and without.
#[test]
fn a_bias_that_is_the_same_everywhere_changes_nothing() {
    let config = biased(TABLE, false);
    let plain = config.clone().with(|config| config.relative = None);
    let images = images(&config, 1);
    let flat = tables(&config, |_, values| {
        values.iter_mut().enumerate().for_each(|(i, v)| *v = (i % config.num_heads as usize) as f32);
    });
    let mut weights = Weights::new();
    for (name, tensor) in Weights::random(&config, 1).iter().filter(|(name, _)| !name.ends_with("bias_table"))
    {
        weights.insert(name, tensor.clone());
    }
    let without = cpu::VisionTransformer::new(plain, &weights).unwrap();
    let changed = tables(&config, |_, _| ());
    for r in [0, 20] {
        let options = merging(r, MergedPosition::Mean);
        let want = logits(&without, &images, &options);
        close(format!("r = {r}"), &logits(&flat, &images, &options), &want, Tol { abs: 1e-4, rel: 1e-4 });
        let other = logits(&changed, &images, &options);
        assert!(other.iter().zip(&want).any(|(a, b)| (a - b).abs() > 1e-2), "r = {r}: {other:?}");
    }
}

#[test]
fn a_shared_table_is_added_to_those_of_the_blocks() {
    let both = config().with(|config| {
        let mut relative = Relative::new(TABLE, true);
        relative.of_blocks = true;
        (config.relative, config.pos_embed) = (Some(relative), false);
    });
    let images = images(&both, 1);
    let moved = |by_block: f32, shared: f32| {
        let vit = tables(&both, |name, values| {
            let by = if name.starts_with("blocks.") { by_block } else { shared };
            values.iter_mut().enumerate().for_each(|(i, v)| *v = by * (i as f32 * 0.7).sin());
        });
        logits(&vit, &images, &merging(9, MergedPosition::Mean))
    };
    // Sums are made once, in f64.
    assert_eq!(moved(0.5, 0.25), moved(0.25, 0.5));
    assert_ne!(moved(0.5, 0.25), moved(0.5, 0.5));
}

/// A threshold that every pair is above merges what is merged without one; its padding has no place and counts for nothing.
#[test]
fn padding_lies_nowhere() {
    let config = biased(TABLE, false);
    let (vit, images) = (network(&config), images(&config, 2));
    let plain = merging(12, MergedPosition::Mean);
    let padded = set!(plain.clone(); threshold: Some(-1e30), least: Schedule::constant(5));
    let (want, got) = (vit.forward(&images, &plain).unwrap(), vit.forward(&images, &padded).unwrap());
    assert!(got.merged > want.merged);
    close("logits", &got.logits, &want.logits, Tol { abs: 1e-5, rel: 1e-5 });
}

#[test]
fn the_class_tokens_bias_counts_where_tokens_are_pruned_by_it() {
    let config = biased(TABLE, false);
    let images = images(&config, 1);
    let options = set!(merging(15, MergedPosition::Mean); matching: Matching::PruneAttention);
    // One head looks at patches alone, the other at the class token.
    let pairs = config.tensors()["blocks.0.attn.relative_position_bias_table"][0] - 3;
    let heads = config.num_heads as usize;
    let looking = |head: usize| {
        let vit = tables(&config, |_, values| {
            values.fill(0.0);
            values[(pairs + 2) * heads + head] = 30.0;
        });
        vit.forward(&images, &options).unwrap().source
    };
    assert_ne!(looking(0), looking(1));
}

#[test]
fn what_has_no_place_does_not_merge_with_what_has_one() {
    let config = biased(TABLE, false).with(|config| config.reg_tokens = 2);
    let unprotected = set!(merging(4, MergedPosition::Mean); protect: Protect::Class);
    match unprotected.check(&config) {
        Err(Error::Unsupported { field, .. }) => assert_eq!(field, "protect"),
        other => panic!("{other:?}"),
    }
}
