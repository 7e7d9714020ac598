//! `Session`, on the CPU path and on a GPU: the same answers whatever the batch and the device, and typed errors.

mod common;

use std::future::Future;

use common::{Random, Tol, adapter, close, open, same};
use tome_wgpu::vit::{Config, Images, Options, Outputs, Pool, PoolBy, Protect, Weights};
use tome_wgpu::{
    DeviceChoice, Element, Error, Gpu, Schedule, Session, Want, cooperative_tile, tested_tile,
    wanted_features, wanted_limits,
};

/// 17 tokens, 2 blocks.
fn config() -> Config {
    let mut config = Config::preset("vit_tiny_patch16_224").unwrap();
    config.image_size = [16, 16];
    config.patch_size = [4, 4];
    config.embed_dim = 32;
    config.mlp_hidden = 64;
    config.num_heads = 2;
    config.depth = 2;
    config.num_classes = 7;
    config
}

fn images(config: &Config, count: usize) -> Vec<f32> {
    Random(7).floats((config.image_values() * count) as u32)
}

fn options(r: u32) -> Options {
    Options::with_schedule(Schedule::constant(r))
}

/// The CPU path, and a GPU where there is one.
fn sessions(config: &Config) -> Vec<Session> {
    let weights = Weights::random(config, 3);
    let cpu = Session::new(config.clone(), &weights, &DeviceChoice::Cpu).unwrap();
    let gpu = adapter().map(|adapter| {
        let opened = open(adapter, wgpu::Features::empty(), wgpu::Limits::default());
        Session::with_device(opened.device, opened.queue, config.clone(), &weights).unwrap()
    });
    std::iter::once(cpu).chain(gpu).collect()
}

#[test]
fn cpu_and_gpu_agree() {
    for pool in [Pool::Token, Pool::Average] {
        let mut config = config();
        config.pool = pool;
        let images = images(&config, 3);
        for pool_by in [PoolBy::Size, PoolBy::Plain] {
            let options = Options { pool_by, prop_attn: pool_by == PoolBy::Size, ..options(3) };
            let all: Vec<Outputs> = sessions(&config)
                .iter_mut()
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

/// Networks that differ in what stands before the patches, none of them square.
fn prefixes() -> Vec<Config> {
    let base = config().with(|c| (c.image_size, c.depth) = ([12, 24], 3));
    let average = base.clone().with(|c| (c.pool, c.fc_norm) = (Pool::Average, true));
    vec![
        average.clone().with(|c| c.class_token = false),
        average.clone().with(|c| (c.class_token, c.reg_tokens) = (false, 3)),
        base.clone().with(|c| (c.dist_token, c.pool) = (true, Pool::Distilled)),
        base.clone().with(|c| c.reg_tokens = 4),
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
            for mut session in sessions(&config) {
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
    for mut session in sessions(&config) {
        let all = session.run(&images, &options(3), Want::ALL).unwrap();
        // A session of its own, so that what is prepared for little has to grow.
        let mut session = sessions(&config).swap_remove(usize::from(session.device().name != "CPU"));
        for want in [
            Want::NONE,
            Want::LOGITS,
            Want { dense: true, ..Want::NONE },
            Want { source_per_block: true, features: true, ..Want::NONE },
            Want::ALL,
            Want::LOGITS,
        ] {
            let outputs = session.run(&images, &options(3), want).unwrap();
            let part = |wanted: bool, values: &[f32]| if wanted { values.to_vec() } else { Vec::new() };
            assert_eq!((outputs.batch, outputs.merged), (2, 11), "{want:?}");
            assert_eq!(outputs.logits, part(want.logits, &all.logits), "{want:?}");
            assert_eq!(outputs.features, part(want.features, &all.features), "{want:?}");
            assert_eq!(outputs.dense, part(want.dense, &all.dense), "{want:?}");
            let maps = if want.source_per_block { all.source_per_block.clone() } else { Vec::new() };
            assert_eq!(outputs.source_per_block, maps, "{want:?}");
        }
    }
}

#[test]
fn an_image_gives_the_same_bits_alone_and_in_a_batch() {
    let config = config();
    let images = images(&config, 5);
    for mut session in sessions(&config) {
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

fn pixels(config: &Config, count: usize) -> Vec<u8> {
    let mut random = Random(11);
    (0..config.image_values() * count).map(|_| random.below(256) as u8).collect()
}

#[test]
fn pixels_give_what_the_same_images_give_normalised() {
    // A grey network whose images take no whole number of words, and one of more channels than pictures have.
    for (in_chans, image_size) in [(3, [16, 16]), (1, [13, 17]), (5, [16, 16])] {
        let mut config = config().with(|c| (c.in_chans, c.image_size) = (in_chans, image_size));
        config.preprocess.mean = (0..in_chans).map(|i| 0.5 - 0.05 * i as f32).collect();
        config.preprocess.std = (0..in_chans).map(|i| 0.2 + 0.05 * i as f32).collect();
        let pixels = pixels(&config, 3);
        let normalised = Images::Pixels(&pixels).normalised(&config);
        assert_eq!(normalised[0], (f32::from(pixels[0]) / 255.0 - 0.5) / 0.2);
        for mut session in sessions(&config) {
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
fn a_stream_gives_every_batch_its_own_results_in_order() {
    let config = config();
    let per_image = config.image_values();
    for mut session in sessions(&config) {
        let all = images(&config, 12);
        // Of different sizes, more than are on their way at once.
        let batches: Vec<&[f32]> = [0..2, 2..3, 3..7, 7..9, 9..11, 11..12]
            .map(|range| &all[range.start * per_image..range.end * per_image])
            .to_vec();
        let want: Vec<Outputs> =
            batches.iter().map(|batch| session.run(*batch, &options(3), Want::ALL).unwrap()).collect();
        let mut got = Vec::new();
        let mut stream = session.stream(&options(3), Want::ALL);
        for batch in &batches {
            if stream.is_full() {
                got.extend(stream.pop().unwrap());
            }
            stream.push(*batch).unwrap();
            // What is refused leaves the others alone.
            assert!(matches!(stream.push(&[0.0f32][..]), Err(Error::Input(_))));
        }
        while let Some(outputs) = stream.pop().unwrap() {
            got.push(outputs);
        }
        assert_eq!(got, want);
        // Nothing need be taken before the end.
        batches.iter().for_each(|batch| stream.push(*batch).unwrap());
        for want in &want {
            assert_eq!(stream.pop().unwrap().as_ref(), Some(want));
        }
        // Dropped with batches on their way.
        stream.push(batches[2]).unwrap();
        stream.push(batches[0]).unwrap();
        drop(stream);
        assert_eq!(session.run(batches[0], &options(3), Want::ALL).unwrap(), want[0]);
    }
}

#[test]
fn protect_all_and_protect_class_are_the_same_without_registers() {
    let config = config();
    let images = images(&config, 1);
    for mut session in sessions(&config) {
        let prefix = session.run(&images, &options(2), Want::ALL).unwrap();
        let class = Options { protect: Protect::Class, ..options(2) };
        assert_eq!(prefix, session.run(&images, &class, Want::ALL).unwrap());
    }
}

#[test]
fn only_what_is_wanted_is_read() {
    let config = config();
    for mut session in sessions(&config) {
        let images = images(&config, 2);
        let outputs = session.run(&images, &options(2), Want { size: true, ..Want::NONE }).unwrap();
        assert_eq!((outputs.batch, outputs.merged, outputs.size.len()), (2, 13, 26));
        assert!(outputs.logits.is_empty() && outputs.tokens.is_empty() && outputs.source.is_empty());
        assert!(outputs.dense.is_empty() && outputs.source_per_block.is_empty());
        assert_eq!(session.classify(&images, &options(2), 3).unwrap()[1].len(), 3);
        assert_eq!(session.features(&images, &options(2)).unwrap().len(), 64);
    }
}

#[test]
fn without_a_head_the_logits_are_the_features() {
    let config = config().with(|c| c.num_classes = 0);
    for mut session in sessions(&config) {
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
    for mut session in sessions(&config) {
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
fn async_needs_no_blocking() {
    let config = config();
    for mut session in sessions(&config) {
        let images = images(&config, 2);
        let blocking = session.run(&images, &options(3), Want::ALL).unwrap();
        let later = pollster::block_on(session.run_async(&images, &options(3), Want::ALL)).unwrap();
        assert_eq!(blocking, later);
    }
}

#[test]
fn a_dropped_future_leaves_nothing_behind() {
    let config = config();
    for mut session in sessions(&config) {
        let images = images(&config, 2);
        let want = session.run(&images, &options(3), Want::ALL).unwrap();
        {
            let options = options(3);
            let mut dropped = std::pin::pin!(session.run_async(&images, &options, Want::ALL));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            let _ = dropped.as_mut().poll(&mut context);
        }
        assert_eq!(want, session.run(&images, &options(3), Want::ALL).unwrap(), "{}", session.device());
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
    let mut half = Session::with_element(config.clone(), &weights, &choice, Element::F16).unwrap();
    assert_eq!(half.device().precision, "f16");
    let mut exact = Session::new(config.clone(), &weights, &choice).unwrap();
    let images = images(&config, 3);
    let got = half.run(&images, &options(0), Want::ALL).unwrap();
    let want = exact.run(&images, &options(0), Want::ALL).unwrap();
    // Two blocks whose values are each rounded to 11 binary digits a few times; logits are up to 10.
    close("logits", &got.logits, &want.logits, Tol { abs: 5e-2, rel: 1e-2 });
    assert_ne!(got.logits, want.logits, "nothing was stored in 16 bits");
    // Sizes are exact whatever the storage type.
    let sizes = half.run(&images, &options(5), Want { size: true, ..Want::NONE }).unwrap().size;
    assert_eq!(sizes.iter().sum::<f32>(), 3.0 * config.tokens() as f32);
}

#[test]
fn a_profile_counts_what_the_network_computes() {
    let config = config();
    for mut session in sessions(&config) {
        // The GPU of these sessions is opened without timestamps.
        assert!(session.profile(2, &options(3)).unwrap().is_none(), "{}", session.device());
    }
    let Some(adapter) = adapter() else { return };
    if !adapter.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
        return;
    }
    let choice = DeviceChoice::Name(adapter.get_info().name);
    let mut session = Session::new(config.clone(), &Weights::random(&config, 3), &choice).unwrap();
    let options = options(3);
    let profile = session.profile(2, &options).unwrap().expect("a profile");
    let calls =
        |kernel: &str| profile.kernels.iter().find(|time| time.kernel == kernel).map_or(0, |time| time.calls);
    assert_eq!(["matmul", "attention", "merge_tokens", "pool"].map(calls), [9, 2, 2, 1]);
    // Matching is left out of the config's count.
    let products: u64 =
        profile.kernels.iter().filter(|time| time.kernel != "find_matches").map(|time| time.flops).sum();
    let counted = 2.0 * 2.0 * config.macs(&options.tokens_per_block(&config));
    assert_eq!(products as f64, counted);
    assert!(profile.kernels.iter().all(|time| time.seconds >= 0.0 && time.bytes > 0));
    assert!(profile.best_flops > 0.0 && profile.best_bytes > 0.0);
}

#[test]
fn more_schedules_than_are_kept_take_turns() {
    let config = config();
    for mut session in sessions(&config) {
        let images = images(&config, 2);
        let want: Vec<Outputs> =
            (0..10).map(|r| session.run(&images, &options(r), Want::ALL).unwrap()).collect();
        for _ in 0..2 {
            for (r, want) in want.iter().enumerate() {
                assert!(session.measure(2, &options(r as u32)).unwrap().seconds > 0.0);
                assert_eq!(*want, session.run(&images, &options(r as u32), Want::ALL).unwrap(), "r = {r}");
            }
        }
    }
}

#[test]
fn wrong_input_is_a_typed_error() {
    let config = config();
    for mut session in sessions(&config) {
        for values in [0, 1, config.image_values() + 1] {
            let wrong = session.run(&vec![0.0; values], &options(2), Want::LOGITS);
            assert!(matches!(wrong, Err(Error::Input(_))), "{values} values: {wrong:?}");
        }
        assert!(matches!(session.measure(0, &options(0)), Err(Error::Input(_))));
    }
    // Registers that may merge under average pooling can leave nothing behind the prefix.
    let config = config.with(|c| (c.pool, c.reg_tokens, c.depth) = (Pool::Average, 4, 3));
    let hungry = Options { protect: Protect::Class, ..options(1000) };
    for mut session in sessions(&config) {
        let wrong = session.run(&images(&config, 1), &hungry, Want::LOGITS);
        assert!(wrong.is_err(), "{}: {wrong:?}", session.device());
    }
}

#[test]
fn a_batch_past_the_devices_limits_is_split_or_refused() {
    let Some(adapter) = adapter() else { return };
    let config = config();
    let weights = Weights::random(&config, 3);
    let small = wgpu::Limits {
        max_storage_buffer_binding_size: 32 << 10,
        max_buffer_size: 64 << 10,
        ..Default::default()
    };
    let opened = open(adapter, wgpu::Features::empty(), small);
    let gpu = Gpu::new(&opened.device).unwrap();
    let vit = tome_wgpu::vit::VisionTransformer::new(&gpu, config.clone(), &weights).unwrap();
    // 17 tokens of 96 values of 4 bytes.
    assert_eq!(vit.max_batch(), 5);
    assert!(matches!(vit.plan(6, &options(2)), Err(Error::Limit { .. })));
    assert!(matches!(vit.plan(u32::MAX, &options(2)), Err(Error::Limit { .. })));
    assert!(matches!(vit.plan(0, &options(2)), Err(Error::Input(_))));
    let images = images(&config, 12);
    let mut session = Session::with_device(opened.device, opened.queue, config.clone(), &weights).unwrap();
    let split = session.run(&images, &options(2), Want::ALL).unwrap();
    let whole = sessions(&config)[1].run(&images, &options(2), Want::ALL).unwrap();
    assert_eq!(split, whole);

    let tight = wgpu::Limits { max_storage_buffer_binding_size: 4 << 10, ..wgpu::Limits::default() };
    let opened = open(adapter, wgpu::Features::empty(), tight);
    let refused = Session::with_device(opened.device, opened.queue, config, &weights);
    assert!(matches!(refused, Err(Error::Limit { .. })), "{refused:?}");
}

#[test]
fn results_past_the_largest_buffer_are_read_in_parts() {
    let Some(adapter) = adapter() else { return };
    // 5 images can be bound, 17 tokens of 96 values each; their results, 40 maps among them, are 36,180 bytes.
    let config = config().with(|c| c.depth = 40);
    let small = wgpu::Limits {
        max_storage_buffer_binding_size: 32 << 10,
        max_buffer_size: 32 << 10,
        ..Default::default()
    };
    let opened = open(adapter, wgpu::Features::empty(), small);
    let weights = Weights::random(&config, 3);
    let mut session = Session::with_device(opened.device, opened.queue, config.clone(), &weights).unwrap();
    let images = images(&config, 5);
    let split = session.run(&images, &options(0), Want::ALL).unwrap();
    let whole = sessions(&config)[1].run(&images, &options(0), Want::ALL).unwrap();
    assert_eq!(split, whole);
}

#[test]
fn a_lost_device_is_a_typed_error() {
    let Some(adapter) = adapter() else { return };
    let config = config();
    let opened = open(adapter, wanted_features(adapter), wanted_limits(adapter));
    let weights = Weights::random(&config, 3);
    let mut session =
        Session::with_device(opened.device.clone(), opened.queue, config.clone(), &weights).unwrap();
    let images = images(&config, 1);
    session.run(&images, &options(2), Want::LOGITS).unwrap();
    opened.device.destroy();
    for r in [2, 3] {
        let lost = session.run(&images, &options(r), Want::LOGITS);
        assert!(matches!(lost, Err(Error::DeviceLost(_) | Error::Device { .. })), "r = {r}: {lost:?}");
    }
    let mut stream = session.stream(&options(2), Want::LOGITS);
    assert!(stream.push(&images).is_err() && stream.pop().unwrap().is_none());
}

#[test]
fn an_adapter_that_is_not_there_is_named() {
    let config = config();
    let weights = Weights::random(&config, 3);
    for choice in [DeviceChoice::Name("no such device".into()), DeviceChoice::Index(999)] {
        let refused = Session::new(config.clone(), &weights, &choice);
        assert!(matches!(refused, Err(Error::NoAdapter(_))), "{refused:?}");
    }
}

/// A plan is the fixed list that it prints.
#[test]
fn a_plan_lists_its_kernels() {
    let Some(adapter) = adapter() else { return };
    let opened = open(adapter, wgpu::Features::empty(), wgpu::Limits::default());
    let config = config();
    let gpu = Gpu::new(&opened.device).unwrap();
    let vit =
        tome_wgpu::vit::VisionTransformer::new(&gpu, config.clone(), &Weights::random(&config, 3)).unwrap();
    let plan = vit.plan(2, &options(3)).unwrap();
    assert_eq!(plan.tokens_per_block(), [17, 14, 11]);
    // embed; two blocks of norm, qkv, attention, proj, then four that merge and norm, then two of the MLP; pool, norm, head
    assert_eq!(plan.steps().len(), 1 + 2 * (4 + 4 + 2) + 3);
    let text = plan.to_string();
    assert_eq!(text.lines().count(), plan.steps().len());
    assert!(text.contains("block 1   merge_tokens   [2, 14, 32] -> [2, 11, 32] +norm"), "{text}");
}

#[test]
fn later_batches_allocate_nothing_on_the_device() {
    let Some(adapter) = adapter() else { return };
    let opened = open(adapter, wgpu::Features::empty(), wgpu::Limits::default());
    let (config, device) = (config(), opened.device.clone());
    let weights = Weights::random(&config, 3);
    let images = images(&config, 4);
    let mut session = Session::with_device(opened.device, opened.queue, config, &weights).unwrap();
    let mut held_after = |batches: usize| {
        for _ in 0..batches {
            session.run(&images, &options(3), Want::ALL).unwrap();
        }
        // Not every backend can say.
        device.generate_allocator_report().map(|all| (all.allocations.len(), all.total_allocated_bytes))
    };
    let first = held_after(1);
    assert_eq!(held_after(30), first, "allocations and their bytes");

    let mut stream = session.stream(&options(3), Want::ALL);
    let mut held_after = |batches: usize| {
        for _ in 0..batches {
            if stream.is_full() {
                stream.pop().unwrap();
            }
            stream.push(&images).unwrap();
        }
        device.generate_allocator_report().map(|all| (all.allocations.len(), all.total_allocated_bytes))
    };
    let first = held_after(3);
    assert_eq!(held_after(30), first, "allocations and their bytes in a stream");
}

#[test]
fn matrix_units_pass_their_test_and_the_verdict_is_remembered() {
    let Some(adapter) = common::adapter() else { return };
    let there = cooperative_tile(adapter);
    for _ in 0..2 {
        assert_eq!(pollster::block_on(tested_tile(adapter)), there);
    }
}
