//! What does not fit, is not there or goes wrong is split or a typed error, and memory does not grow.

use tome_wgpu::tune::Bench;
use tome_wgpu::vit::{Options, Pool, Protect, VisionTransformer, Want, Weights};
use tome_wgpu::{DeviceChoice, Error, Gpu, Schedule, Session, wanted_features, wanted_limits};

use crate::common::{adapter, open, set};
use crate::networks::{config, images, options, sessions};

#[test]
fn wrong_input_is_a_typed_error() {
    let config = config();
    for session in sessions(&config) {
        for values in [0, 1, config.image_values() + 1] {
            let wrong = session.run(&vec![0.0; values], &options(2), Want::LOGITS);
            assert!(matches!(wrong, Err(Error::Input(_))), "{values} values: {wrong:?}");
        }
        assert!(matches!(Bench::new(&session).measure(0, &options(0)), Err(Error::Input(_))));
    }
    // Registers that may merge under average pooling can leave nothing behind the prefix.
    let config = set!(config; pool: Pool::Average, reg_tokens: 4, depth: 3);
    let hungry = set!(options(1000); protect: Protect::Class);
    for session in sessions(&config) {
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
    let vit = VisionTransformer::new(&gpu, config.clone(), &weights).unwrap();
    // 17 tokens of 96 values of 4 bytes.
    assert_eq!(vit.max_batch(), 5);
    assert!(matches!(vit.plan(6, &options(2)), Err(Error::Limit { .. })));
    assert!(matches!(vit.plan(u32::MAX, &options(2)), Err(Error::Limit { .. })));
    assert!(matches!(vit.plan(0, &options(2)), Err(Error::Input(_))));
    let schedule = Schedule::Inflected { r: 2, inflection: f64::NAN };
    assert!(matches!(vit.plan(1, &Options::with_schedule(schedule)), Err(Error::Input(_))));
    let images = images(&config, 12);
    let session =
        Session::on(Gpu::new(&opened.device).unwrap(), opened.queue, config.clone(), &weights).unwrap();
    let split = session.run(&images, &options(2), Want::ALL).unwrap();
    let whole = sessions(&config)[1].run(&images, &options(2), Want::ALL).unwrap();
    assert_eq!(split, whole);

    let tight = wgpu::Limits { max_storage_buffer_binding_size: 4 << 10, ..wgpu::Limits::default() };
    let opened = open(adapter, wgpu::Features::empty(), tight);
    let refused = Session::on(Gpu::new(&opened.device).unwrap(), opened.queue, config, &weights);
    assert!(matches!(refused, Err(Error::Limit { .. })), "{refused:?}");
}

#[test]
fn results_past_the_largest_buffer_are_read_in_parts() {
    let Some(adapter) = adapter() else { return };
    // 5 images can be bound, 17 tokens of 96 values each; their results, 40 maps among them, are 36,180 bytes.
    let config = set!(config(); depth: 40);
    let small = wgpu::Limits {
        max_storage_buffer_binding_size: 32 << 10,
        max_buffer_size: 32 << 10,
        ..Default::default()
    };
    let opened = open(adapter, wgpu::Features::empty(), small);
    let weights = Weights::random(&config, 3);
    let session =
        Session::on(Gpu::new(&opened.device).unwrap(), opened.queue, config.clone(), &weights).unwrap();
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
    let session =
        Session::on(Gpu::new(&opened.device).unwrap(), opened.queue, config.clone(), &weights).unwrap();
    let images = images(&config, 1);
    session.run(&images, &options(2), Want::LOGITS).unwrap();
    opened.device.destroy();
    for r in [2, 3] {
        let lost = session.run(&images, &options(r), Want::LOGITS);
        assert!(matches!(lost, Err(Error::DeviceLost(_))), "r = {r}: {lost:?}");
    }
    let mut stream = session.stream(&options(2), Want::LOGITS);
    assert!(stream.push(&images).is_err() && stream.pop().unwrap().is_none());

    // Another device takes its place.
    let opened = open(adapter, wanted_features(adapter), wanted_limits(adapter));
    let anew = Session::on(Gpu::new(&opened.device).unwrap(), opened.queue, config, &weights).unwrap();
    anew.run(&images, &options(2), Want::LOGITS).unwrap();
}

#[test]
fn an_adapter_that_is_not_there_is_named() {
    let config = config();
    let weights = Weights::random(&config, 3);
    // An empty name is in every other.
    let names = ["no such device", "", " "].map(|name| DeviceChoice::Name(name.into()));
    for choice in names.into_iter().chain([DeviceChoice::Index(999)]) {
        let refused = Session::new(config.clone(), &weights, &choice);
        assert!(matches!(refused, Err(Error::NoAdapter(_))), "{refused:?}");
    }
}

#[test]
fn later_batches_allocate_nothing_on_the_device() {
    let Some(adapter) = adapter() else { return };
    let opened = open(adapter, wgpu::Features::empty(), wgpu::Limits::default());
    let (config, device) = (config(), opened.device.clone());
    let weights = Weights::random(&config, 3);
    let images = images(&config, 4);
    let session = Session::on(Gpu::new(&opened.device).unwrap(), opened.queue, config, &weights).unwrap();
    let held_after = |batches: usize| {
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
