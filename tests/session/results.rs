//! The same answers whatever the batch and the device.

use std::collections::BTreeSet;

use tome_wgpu::vit::{
    Config, Images, Options, Output, Outputs, Pool, PoolBy, Protect, Tensor, Want, Weights,
};
use tome_wgpu::{DeviceChoice, Element, Error, Partition, Session};

use crate::common::{Tol, adapter, close, same, set};
use crate::networks::{config, images, options, pixels, sessions};

#[test]
fn cpu_and_gpu_agree() {
    for pool in [Pool::Token, Pool::Average] {
        let mut config = config();
        config.pool = pool;
        let images = images(&config, 3);
        for pool_by in [PoolBy::Size, PoolBy::Plain] {
            let options = set!(options(3); pool_by, prop_attn: pool_by == PoolBy::Size);
            let all: Vec<Outputs> = sessions(&config)
                .iter()
                .map(|session| session.run(&images, &options, Want::ALL).unwrap())
                .collect();
            for other in &all[1..] {
                // Two blocks in f32 in another order of summing; the largest values are about 10, and 1e-5 of
                // those is ten times what rounding was seen to make of them.
                let tol = Tol { abs: 1e-4, rel: 0.0 };
                close("logits", &other.logits, &all[0].logits, tol);
                close("features", &other.features, &all[0].features, tol);
                close("tokens", &other.tokens, &all[0].tokens, tol);
                same("size", &other.size, &all[0].size);
                same("source", &other.source, &all[0].source);
            }
        }
    }
}

#[test]
fn patches_may_overlap_and_have_frames() {
    for (patch_stride, frames, patch_frames) in [(Some([3, 2]), 1, 1), (None, 5, 2), (Some([2, 4]), 2, 1)] {
        let config = config()
            .with(|c| (c.patch_stride, c.frames, c.patch_frames) = (patch_stride, frames, patch_frames));
        let [rows, columns] = patch_stride.map_or([4, 4], |[down, across]| [12 / down + 1, 12 / across + 1]);
        assert_eq!(config.patches(), frames / patch_frames * rows * columns);
        let (floats, bytes) = (images(&config, 2), pixels(&config, 2));
        for images in [Images::from(&floats), Images::from(&bytes)] {
            let all: Vec<Outputs> = sessions(&config)
                .iter()
                .map(|session| session.run(images, &options(5), Want::ALL).unwrap())
                .collect();
            for other in &all[1..] {
                close("logits", &other.logits, &all[0].logits, Tol { abs: 1e-4, rel: 0.0 });
                same("source", &other.source, &all[0].source);
                assert_eq!(other.dense.len(), 2 * (config.patches() * config.embed_dim) as usize);
                close("dense", &other.dense, &all[0].dense, Tol { abs: 1e-4, rel: 0.0 });
            }
            let shape = [frames / patch_frames, rows, columns, config.embed_dim].map(|side| side as usize);
            let times = usize::from(shape[0] == 1);
            assert_eq!(Output::Dense.shape(&config, 0), shape[times..]);
        }
    }
}

/// Where tokens merge by lines or within frame groups, what is at one time stays there; where they alternate, it does not.
#[test]
fn lines_and_groups_of_a_clip_stay_within_their_time() {
    let config = config().with(|c| (c.frames, c.patch_frames) = (6, 2));
    let images = images(&config, 2);
    let apart = [Partition::Lines { grid: None }, Partition::Frames { groups: None }];
    for (partition, apart) in apart.map(|p| (p, true)).into_iter().chain([(Partition::Alternating, false)]) {
        // In lines sizes do not count.
        let by_size = if matches!(partition, Partition::Lines { .. }) { 0.0 } else { 0.5 };
        let options = set!(options(12); partition, by_size);
        let all: Vec<Outputs> = sessions(&config)
            .iter()
            .map(|session| session.run(&images, &options, Want::ALL).unwrap())
            .collect();
        for other in &all[1..] {
            same("source", &other.source, &all[0].source);
            close("logits", &other.logits, &all[0].logits, Tol { abs: 1e-4, rel: 0.0 });
        }
        assert!(all[0].merged < config.tokens() as usize);
        let mut crossed = 0;
        for source in all[0].source.chunks_exact(config.tokens() as usize) {
            let times: Vec<BTreeSet<u32>> =
                source[1..].chunks_exact(16).map(|time| time.iter().copied().collect()).collect();
            assert_eq!(times.len(), 3);
            crossed += times[0].intersection(&times[1]).count() + times[1].intersection(&times[2]).count();
        }
        assert_eq!(crossed == 0, apart, "{partition}: {crossed} tokens of two times");
    }
}

#[test]
fn a_network_may_have_no_table_of_positions() {
    let config = config().with(|c| c.pos_embed = false);
    assert!(!config.tensors().contains_key("pos_embed"));
    let images = images(&config, 2);
    let all: Vec<Outputs> =
        sessions(&config).iter().map(|s| s.run(&images, &options(3), Want::ALL).unwrap()).collect();
    for other in &all[1..] {
        close("logits", &other.logits, &all[0].logits, Tol { abs: 1e-4, rel: 0.0 });
    }
    // As with a table of zeros.
    let mut weights = Weights::random(&config, 3);
    weights.insert("pos_embed", Tensor::new([1, 17, 32], vec![0.0; 17 * 32]));
    let config = config.with(|c| c.pos_embed = true);
    let session = Session::new(config, &weights, &DeviceChoice::Cpu).unwrap();
    same("logits", &session.run(&images, &options(3), Want::LOGITS).unwrap().logits, &all[0].logits);
}

/// Networks that differ in what stands before the patches, none of them square.
fn prefixes() -> Vec<Config> {
    let base = set!(config(); image_size: [12, 24], depth: 3);
    let average = set!(base.clone(); pool: Pool::Average, fc_norm: true);
    vec![
        set!(average.clone(); class_token: false),
        set!(average.clone(); class_token: false, reg_tokens: 3),
        set!(base.clone(); dist_token: true, pool: Pool::Distilled),
        set!(base.clone(); reg_tokens: 4),
        average,
        base,
    ]
}

#[test]
fn dense_output_and_maps_agree_whatever_stands_before_the_patches() {
    for config in prefixes() {
        let images = images(&config, 3);
        // Nothing merges in the second block.
        for r in ["0", "4,0,3"] {
            let options = Options::with_schedule(r.parse().unwrap());
            let what = format!("{} before the patches, r = {r}", config.prefix());
            let [n, c, prefix] = [config.tokens(), config.embed_dim, config.prefix()].map(|n| n as usize);
            let mut all = Vec::new();
            for session in sessions(&config) {
                let outputs = session.run(&images, &options, Want::ALL).unwrap();
                assert_eq!(outputs.dense.len(), 3 * config.patches() as usize * c);
                assert_eq!(outputs.source_per_block.len(), 3 * 3 * n);
                for image in 0..3 {
                    let tokens = &outputs.tokens[image * outputs.merged * c..][..outputs.merged * c];
                    let source = &outputs.source[image * n..][..n];
                    let maps = &outputs.source_per_block[image * 3 * n..][..3 * n];
                    same(&what, &maps[2 * n..], source);
                    same(&what, &maps[n..2 * n], &maps[..n]);
                    let gathered: Vec<f32> = source[prefix..]
                        .iter()
                        .flat_map(|&token| tokens[token as usize * c..][..c].to_vec())
                        .collect();
                    let dense = outputs.dense.len() / 3;
                    same(&what, &outputs.dense[image * dense..][..dense], &gathered);
                    if r == "0" {
                        same(&what, &gathered, &tokens[prefix * c..]);
                    }
                }
                all.push(outputs);
            }
            for other in &all[1..] {
                close(&what, &other.dense, &all[0].dense, Tol { abs: 1e-4, rel: 0.0 });
                same(&what, &other.source_per_block, &all[0].source_per_block);
            }
        }
    }
}

#[test]
fn what_is_wanted_may_differ_from_call_to_call() {
    let config = config();
    let images = images(&config, 2);
    for session in sessions(&config) {
        let all = session.run(&images, &options(3), Want::ALL).unwrap();
        // A session of its own, so that what is prepared for little has to grow.
        let session = sessions(&config).swap_remove(usize::from(session.device().name != "CPU"));
        for want in [
            Want::NONE,
            Want::LOGITS,
            Want::from(Output::Dense),
            Want::FEATURES | Output::SourcePerBlock,
            Want::ALL,
            Want::LOGITS,
        ] {
            let outputs = session.run(&images, &options(3), want).unwrap();
            assert_eq!((outputs.batch, outputs.merged), (2, 11), "{want:?}");
            for &output in Output::ALL {
                match want.has(output) {
                    true => assert_eq!(outputs.get(output), all.get(output), "{want:?}: {output}"),
                    false => assert!(outputs.get(output).is_empty(), "{want:?}: {output}"),
                }
            }
        }
    }
}

#[test]
fn an_image_gives_the_same_bits_alone_and_in_a_batch() {
    let config = config();
    let images = images(&config, 5);
    for session in sessions(&config) {
        let together = session.run(&images, &options(3), Want::ALL).unwrap();
        let mut one_by_one = Outputs::default();
        for image in images.chunks(config.image_values()) {
            one_by_one.append(session.run(image, &options(3), Want::ALL).unwrap());
        }
        assert_eq!(together, one_by_one, "{}", session.device());
        // A schedule in between must leave nothing behind.
        session.run(&images, &options(5), Want::LOGITS).unwrap();
        assert_eq!(together, session.run(&images, &options(3), Want::ALL).unwrap(), "again");
    }
}

#[test]
fn pixels_give_what_the_same_images_give_normalised() {
    // A grey network whose images take no whole number of words, and one of more channels than pictures have.
    for (in_chans, image_size) in [(3, [16, 16]), (1, [13, 17]), (5, [16, 16])] {
        let mut config = set!(config(); in_chans, image_size);
        config.preprocess.mean = (0..in_chans).map(|i| 0.5 - 0.05 * i as f32).collect();
        config.preprocess.std = (0..in_chans).map(|i| 0.2 + 0.05 * i as f32).collect();
        let pixels = pixels(&config, 3);
        let normalised = Images::Pixels(&pixels).normalised(&config).unwrap();
        assert_eq!(normalised[0], (f32::from(pixels[0]) / 255.0 - 0.5) / 0.2);
        for session in sessions(&config) {
            let want = session.run(&*normalised, &options(3), Want::ALL).unwrap();
            let got = session.run(&pixels, &options(3), Want::ALL).unwrap();
            // The device may round the normalisation otherwise: two divisions in the last place, of values of up to 3.
            close("tokens", &got.tokens, &want.tokens, Tol { abs: 1e-4, rel: 0.0 });
            close("logits", &got.logits, &want.logits, Tol { abs: 1e-4, rel: 0.0 });
            same("source", &got.source, &want.source);
            // A plan that has run on the ones still runs on the others.
            assert_eq!(want, session.run(&*normalised, &options(3), Want::ALL).unwrap());
        }
    }
}

#[test]
fn protect_all_and_protect_class_are_the_same_without_registers() {
    let config = config();
    let images = images(&config, 1);
    for session in sessions(&config) {
        let prefix = session.run(&images, &options(2), Want::ALL).unwrap();
        let class = set!(options(2); protect: Protect::Class);
        assert_eq!(prefix, session.run(&images, &class, Want::ALL).unwrap());
    }
}

#[test]
fn only_what_is_wanted_is_read() {
    let config = config();
    for session in sessions(&config) {
        let images = images(&config, 2);
        let outputs = session.run(&images, &options(2), Output::Size).unwrap();
        assert_eq!((outputs.batch, outputs.merged, outputs.size.len()), (2, 13, 26));
        assert!(outputs.logits.is_empty() && outputs.tokens.is_empty() && outputs.source.is_empty());
        assert!(outputs.dense.is_empty() && outputs.source_per_block.is_empty());
        assert_eq!(session.classify(&images, &options(2), 3).unwrap()[1].len(), 3);
        assert_eq!(session.features(&images, &options(2)).unwrap().len(), 64);
    }
}

#[test]
fn without_a_head_the_logits_are_the_features() {
    let config = set!(config(); num_classes: 0);
    for session in sessions(&config) {
        let outputs = session.run(&images(&config, 2), &options(2), Want::ALL).unwrap();
        same("logits", &outputs.logits, &outputs.features);
    }
}

#[test]
fn a_nan_stays_in_its_image() {
    let config = config();
    let clean = images(&config, 3);
    let mut spoilt = clean.clone();
    spoilt[config.image_values() + 5] = f32::NAN;
    for session in sessions(&config) {
        let want = session.run(&clean, &options(3), Want::ALL).unwrap();
        let got = session.run(&spoilt, &options(3), Want::ALL).unwrap();
        assert!(got.logits_of(1).iter().all(|v| v.is_nan()), "{}", session.device());
        same("image before", got.logits_of(0), want.logits_of(0));
        same("image behind", got.logits_of(2), want.logits_of(2));
        // Its tokens merge by the tie rule, so that even its map is defined.
        assert!(got.source.iter().all(|&token| (token as usize) < got.merged));
    }
}

#[test]
fn sixteen_bits_are_close_or_refused() {
    let config = config();
    let weights = Weights::random(&config, 3);
    let refused = Session::with_element(config.clone(), &weights, &DeviceChoice::Cpu, Element::F16);
    assert!(matches!(&refused, Err(Error::Device { what, .. }) if what.contains("f16")), "{refused:?}");

    let Some(adapter) = adapter() else { return };
    if !adapter.features().contains(wgpu::Features::SHADER_F16) {
        return;
    }
    let choice = DeviceChoice::Name(adapter.get_info().name);
    let half = Session::with_element(config.clone(), &weights, &choice, Element::F16).unwrap();
    assert_eq!(half.device().precision, "f16");
    let exact = Session::new(config.clone(), &weights, &choice).unwrap();
    let images = images(&config, 3);
    let got = half.run(&images, &options(0), Want::ALL).unwrap();
    let want = exact.run(&images, &options(0), Want::ALL).unwrap();
    // Two blocks whose values are each rounded to 11 binary digits a few times; logits are up to 10.
    close("logits", &got.logits, &want.logits, Tol { abs: 5e-2, rel: 1e-2 });
    assert_ne!(got.logits, want.logits, "nothing was stored in 16 bits");
    // Sizes are exact whatever the storage type.
    let sizes = half.run(&images, &options(5), Output::Size).unwrap().size;
    assert_eq!(sizes.iter().sum::<f32>(), 3.0 * config.tokens() as f32);
}
