//! Whole networks: what must not change the result, and what is refused.

use std::collections::BTreeSet;

use tome_wgpu::kernels::MergeMode;
use tome_wgpu::vit::{Config, Options, Output, Outputs, Pool, PoolBy, Protect, ValuesMut, Weights};
use tome_wgpu::{Error, Partition, Schedule, cpu};

use crate::common::{Random, set};

/// A small network that takes every branch but `no head`.
fn config() -> Config {
    let base = Config::preset("vit_tiny_patch16_224").expect("a preset");
    let preprocess = set!(base.preprocess.clone(); mean: vec![0.5; 3], std: vec![0.5; 3]);
    base.with(|c| {
        c.image_size = [40, 48];
        c.patch_size = [4, 4];
        c.embed_dim = 64;
        c.depth = 4;
        c.num_heads = 4;
        c.num_classes = 10;
        c.mlp_hidden = 128;
        c.reg_tokens = 2;
        c.layer_scale = true;
        c.pre_norm = true;
        c.preprocess = preprocess;
    })
}

fn network(config: &Config) -> cpu::VisionTransformer {
    cpu::VisionTransformer::new(config.clone(), &Weights::random(config, 1)).expect("a network")
}

fn images(config: &Config, count: usize) -> Vec<f32> {
    Random(2).floats((count * config.image_values()) as u32)
}

fn merging(r: u32) -> Options {
    Options::with_schedule(Schedule::constant(r))
}

/// One image's results out of a batch's.
fn image(all: &Outputs, i: usize) -> Outputs {
    fn part<T: Copy>(values: &mut Vec<T>, of: usize, i: usize) {
        let length = values.len() / of;
        *values = values[i * length..][..length].to_vec();
    }
    let mut one = all.clone();
    one.batch = 1;
    for &output in Output::ALL {
        match one.get_mut(output) {
            ValuesMut::F32(values) => part(values, all.batch, i),
            ValuesMut::U32(values) => part(values, all.batch, i),
        }
    }
    one
}

#[test]
fn results_depend_on_neither_batch_nor_threads() {
    let config = config();
    let (vit, images) = (network(&config), images(&config, 5));
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    for options in [merging(0), merging(9), merging(1000)] {
        let all = vit.forward(&images, &options).expect("results");
        assert_eq!(vit.forward(&images, &options).expect("results"), all, "a second run differs");
        for threads in [1, 3, 8] {
            let on_pool = pool(threads).install(|| vit.forward(&images, &options)).expect("results");
            assert_eq!(on_pool, all, "{threads} threads differ");
        }
        for (i, one) in images.chunks_exact(config.image_values()).enumerate() {
            assert_eq!(
                vit.forward(one, &options).expect("results"),
                image(&all, i),
                "image {i} alone differs"
            );
        }
    }
}

#[test]
fn without_merging_no_option_matters() {
    let config = config().with(|c| (c.pool, c.fc_norm) = (Pool::Average, true));
    let (vit, images) = (network(&config), images(&config, 2));
    let plain = vit.forward(&images, &Options::default()).expect("results");
    let tokens = config.tokens() as usize;
    assert_eq!(plain.merged, tokens);
    assert_eq!(plain.size, vec![1.0; 2 * tokens]);
    assert_eq!(plain.source, [0, 1].map(|_| (0..tokens as u32).collect::<Vec<_>>()).concat());
    let options = set!(
        Options::default();
        schedule: Schedule::List(vec![]), prop_attn: false, pool_by: PoolBy::Plain, protect: Protect::Class
    );
    assert_eq!(vit.forward(&images, &options).expect("results"), plain);
    let options = set!(options; partition: Partition::Energy { margin: None }, merge: MergeMode::Mlerp);
    assert_eq!(vit.forward(&images, &options).expect("results"), plain);
}

#[test]
fn every_patch_ends_in_one_token_and_the_prefix_in_itself() {
    let config = config();
    let options = merging(9);
    let all = network(&config).forward(&images(&config, 3), &options).expect("results");
    assert_eq!(all.merged as u32, *options.tokens_per_block(&config).last().expect("tokens"));
    for i in 0..3 {
        let one = image(&all, i);
        let mut size = vec![0.0; one.merged];
        one.source.iter().for_each(|&token| size[token as usize] += 1.0);
        assert_eq!(size, one.size);
        let prefix = config.prefix();
        assert_eq!(one.source[..prefix as usize], (0..prefix).collect::<Vec<_>>());
    }
}

#[test]
fn maps_only_ever_join_and_the_last_is_the_source() {
    let config = config();
    let options = set!(merging(0); schedule: Schedule::List(vec![9, 0, 20, 3]));
    let tokens = options.tokens_per_block(&config);
    let all = network(&config).forward(&images(&config, 2), &options).expect("results");
    for i in 0..2 {
        let one = image(&all, i);
        let maps: Vec<&[u32]> = one.source_per_block.chunks(config.tokens() as usize).collect();
        assert_eq!(maps.len(), config.depth as usize);
        assert_eq!(maps[3], one.source);
        assert_eq!(maps[0], maps[1], "nothing merges in the second block");
        for (map, &tokens) in maps.iter().zip(&tokens[1..]) {
            assert_eq!(map.iter().collect::<BTreeSet<_>>().len(), tokens as usize);
        }
        for pair in maps.windows(2) {
            // Who is together stays together.
            let joined: BTreeSet<_> = pair[0].iter().zip(pair[1]).collect();
            assert_eq!(joined.len(), pair[0].iter().collect::<BTreeSet<_>>().len());
        }
    }
}

#[test]
fn dense_is_every_patch_in_its_place() {
    for (class_token, reg_tokens, r) in [(true, 2, 0), (true, 0, 9), (false, 0, 9), (false, 3, 30)] {
        let config = config().with(|c| {
            (c.class_token, c.reg_tokens, c.pool, c.fc_norm) = (class_token, reg_tokens, Pool::Average, true)
        });
        let (vit, channels) = (network(&config), config.embed_dim as usize);
        let all = vit.forward(&images(&config, 2), &merging(r)).expect("results");
        let dense = vit.dense(&all);
        assert_eq!(dense.len(), 2 * config.patches() as usize * channels);
        for (i, dense) in dense.chunks(dense.len() / 2).enumerate() {
            let one = image(&all, i);
            for (patch, feature) in dense.chunks(channels).enumerate() {
                let holder = one.source[config.prefix() as usize + patch] as usize;
                assert_eq!(feature, &one.tokens[holder * channels..][..channels]);
                assert!(r > 0 || holder == config.prefix() as usize + patch);
            }
        }
    }
}

#[test]
fn a_nan_stays_in_its_image() {
    let config = config();
    let (vit, mut images) = (network(&config), images(&config, 3));
    let clean = vit.forward(&images, &merging(9)).expect("results");
    images[config.image_values()] = f32::NAN;
    let all = vit.forward(&images, &merging(9)).expect("results");
    assert!(image(&all, 1).logits.iter().all(|v| v.is_nan()));
    assert_eq!(image(&all, 0), image(&clean, 0));
    assert_eq!(image(&all, 2), image(&clean, 2));
}

#[test]
fn a_network_without_a_head_gives_features() {
    let config = config().with(|c| c.num_classes = 0);
    let all = network(&config).forward(&images(&config, 2), &merging(4)).expect("results");
    assert_eq!(all.logits, all.features);
    assert_eq!(all.features.len(), 2 * config.embed_dim as usize);
}

#[test]
fn input_that_does_not_fit_is_refused() {
    let config = config();
    let (vit, two) = (network(&config), images(&config, 2));
    let refused =
        |images: &[f32], options: Options| matches!(vit.forward(images, &options), Err(Error::Input(_)));
    assert!(refused(&[], merging(0)));
    assert!(refused(&two[1..], merging(0)));

    // Registers that merge may leave fewer tokens than average pooling skips.
    let config = config.with(|c| (c.pool, c.fc_norm, c.reg_tokens) = (Pool::Average, true, 4));
    let options = set!(merging(1000); protect: Protect::Class);
    let left = network(&config.clone().with(|c| c.depth = 8)).forward(&two, &options);
    assert!(matches!(left, Err(Error::Input(_))), "{left:?}");
    assert!(network(&config).forward(&two, &set!(options; protect: Protect::Prefix)).is_ok());
}
