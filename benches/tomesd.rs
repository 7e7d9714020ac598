//! One attention block at the sizes of Stable Diffusion 1's largest (64 x 64 tokens, 320 channels), as it is and with
//! tokens merged the way tomesd does it. `TOME_ADAPTER` picks the adapter; a software driver gets a grid of 24 x 24.

#[path = "../examples/tomesd/block.rs"]
mod block;
#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use block::Block;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tome_wgpu::Element;

use common::rigs;

fn tomesd(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tomesd");
    group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(2));
    // The block's buffers hold 32-bit floats.
    for rig in rigs().iter().filter(|rig| rig.gpu.variant().element == Element::F32) {
        let side = if rig.gpu.caps().software { 24 } else { 64 };
        let block = Block::new(&rig.gpu, [side, side], 8, 40).expect("a block");
        for (name, ratio) in [("off", None), ("0.25", Some(0.25)), ("0.5", Some(0.5)), ("0.75", Some(0.75))] {
            let branch = block.branch(ratio).expect("a branch");
            rig.run(&branch.dispatches);
            let y: Vec<f32> = rig.read(&branch.y, side * side * 320);
            assert!(y.iter().all(|v| v.is_finite()), "ratio {name}");
            group.bench_function(
                BenchmarkId::new(format!("{side} x {side} ratio {name}, {} tokens", branch.tokens), rig.id()),
                |bencher| {
                    bencher.iter_custom(|count| {
                        let start = Instant::now();
                        (0..count).for_each(|_| rig.run(&branch.dispatches));
                        rig.wait();
                        start.elapsed()
                    });
                },
            );
        }
    }
}

criterion_group!(benches, tomesd);
criterion_main!(benches);
