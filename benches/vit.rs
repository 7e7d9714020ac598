//! Images per second of whole networks over r. `TOME_DEVICE` picks the device (`auto`, `cpu`, a number or a part of an
//! adapter's name), `TOME_ARCH` the architectures, separated by commas.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tome_wgpu::tune::Bench;
use tome_wgpu::vit::{Config, Options, Want, Weights};
use tome_wgpu::{DeviceChoice, Schedule, Session, cpu};

/// Largest difference between the logits of two engines over their largest magnitude that still lets a timing count.
/// Random weights are drawn so that nothing is decided by rounding; 1e-3 is far above rounding (1e-5) and far below
/// what a wrong kernel gives.
const AGREE: f32 = 1e-3;

fn vit(criterion: &mut Criterion) {
    let device = std::env::var("TOME_DEVICE").unwrap_or_else(|_| "auto".into());
    let device: DeviceChoice = device.parse().expect("TOME_DEVICE names a device");
    let archs =
        std::env::var("TOME_ARCH").unwrap_or_else(|_| "vit_tiny_patch16_224,vit_small_patch16_224".into());
    for arch in archs.split(',') {
        let config = Config::preset(arch).expect("TOME_ARCH names an architecture");
        let weights = Weights::random(&config, 1);
        let session = Session::new(config.clone(), &weights, &device).expect("TOME_DEVICE names a device");
        eprintln!("{arch} on {}", session.device());
        let mut stopwatch = Bench::new(&session);
        let image: Vec<f32> = (0..config.image_values()).map(|i| (i as f32 * 0.37).sin()).collect();
        let reference = cpu::VisionTransformer::new(config.clone(), &weights).expect("the session took them");

        let mut group = criterion.benchmark_group(arch);
        group
            .sample_size(10)
            .warm_up_time(Duration::from_millis(100))
            .measurement_time(Duration::from_secs(5));
        for r in [0, 8, 13, 16] {
            let options = Options::with_schedule(Schedule::constant(r));
            let got = session.run(&image, &options, Want::LOGITS).expect("a forward pass").logits;
            let want = reference.forward(&image, &options).expect("a forward pass").logits;
            let largest = want.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let worst = got.iter().zip(&want).map(|(g, w)| (g - w).abs()).fold(0.0, f32::max) / largest;
            assert!(worst <= AGREE, "{arch}, r = {r}: logits differ from the reference by {worst}");

            group.throughput(Throughput::Elements(1));
            group.bench_function(BenchmarkId::new("r", r), |bencher| {
                bencher.iter_custom(|iterations| {
                    let one = || stopwatch.measure(black_box(1), &options).expect("a forward pass").seconds;
                    Duration::from_secs_f64(std::iter::repeat_with(one).take(iterations as usize).sum())
                });
            });
        }
    }
}

criterion_group!(benches, vit);
criterion_main!(benches);
