//! Many small batches one after the other: that memory stays what it is after the first of them, and what a batch
//! costs the host. `TOME_BATCHES` says how many (10,000), `TOME_ADAPTER` on which adapter; Linux only, as it reads
//! /proc.
//!
//! The network has B/16's 12 blocks and as many dispatches, but is so small that the device is soon done.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Instant;

use common::{Opened, Random, adapter, open};
use tome_wgpu::vit::{Config, Options, VisionTransformer, Want, Weights};
use tome_wgpu::{DeviceChoice, Gpu, Schedule, Session, wanted_features, wanted_limits};

/// Batches before anything is compared: the first prepares, the next fill the pools of driver and allocator.
const WARM: usize = 200;
/// Bytes that resident memory may grow over all batches, for what the kernel's and the allocator's pages do on their
/// own. One leaked f32 an image and batch would be 40 kB; one leaked batch of inputs each time 500 MB.
const MAY_GROW: i64 = 4 << 20;

fn main() {
    // What `cargo bench -- --test` asks is whether it runs at all.
    let usual = if std::env::args().any(|arg| arg == "--test") { 1_000 } else { 10_000 };
    let count = std::env::var("TOME_BATCHES").map_or(usual, |n| n.parse().expect("TOME_BATCHES is a number"));
    if on_cpu_seconds().is_none() {
        eprintln!("SKIP: there is no /proc");
        return;
    }
    let mut config = Config::preset("vit_base_patch16_224").expect("a preset");
    (config.image_size, config.embed_dim, config.num_heads, config.mlp_hidden) = ([64, 64], 64, 2, 128);
    let weights = Weights::random(&config, 1);
    let cpu = Session::new(config.clone(), &weights, &DeviceChoice::Cpu).expect("the CPU path");
    soak("CPU", cpu, None, count);
    if let Some(adapter) = adapter() {
        let opened = open(adapter, wanted_features(adapter), wanted_limits(adapter));
        let Opened { device, queue } = opened.clone();
        host_time(&opened, config.clone(), &weights);
        let session =
            Session::on(Gpu::new(&device).expect("a device"), queue, config, &weights).expect("a session");
        soak(&adapter.get_info().name, session, Some(&opened.device), count);
    }
}

/// What a batch costs before the device has it, each part's median. Software drivers may compute within `submit`.
fn host_time(Opened { device, queue }: &Opened, config: Config, weights: &Weights) {
    let gpu = Gpu::new(device).expect("a device");
    let vit = VisionTransformer::new(&gpu, config, weights).expect("a network");
    let plan = vit.plan(1, &options()).expect("a plan");
    let images = Random(1).floats(vit.config().image_values() as u32);
    let mut parts = [const { Vec::new() }; 3];
    for _ in 0..WARM {
        let start = Instant::now();
        queue.write_buffer(plan.input(), 0, bytemuck::cast_slice(&images));
        let written = Instant::now();
        let mut encoder = device.create_command_encoder(&Default::default());
        plan.encode(&mut encoder);
        let commands = encoder.finish();
        let encoded = Instant::now();
        queue.submit([commands]);
        let submitted = Instant::now();
        device.poll(wgpu::PollType::wait_indefinitely()).expect("the device");
        for (part, span) in parts.iter_mut().zip([written - start, encoded - written, submitted - encoded]) {
            part.push(span.as_secs_f64() * 1e3);
        }
    }
    let [write, encode, submit] = parts.map(|mut part| {
        part.sort_by(f64::total_cmp);
        part[part.len() / 2]
    });
    let dispatches = plan.steps().len();
    println!(
        "{dispatches} dispatches: {write:.3} ms to write images, {encode:.3} ms to encode, {submit:.3} ms to submit"
    );
}

/// As many kernels as any r has.
fn options() -> Options {
    Options::with_schedule(Schedule::constant(1))
}

fn soak(name: &str, session: Session, device: Option<&wgpu::Device>, count: usize) {
    let images = Random(1).floats(session.config().image_values() as u32);
    let options = options();
    let first = session.run(&images, &options, Want::LOGITS).expect("a batch").logits;
    let mut stream = session.stream(&options, Want::LOGITS);
    let mut run = || {
        let done = if stream.is_full() { stream.pop().expect("a batch") } else { None };
        stream.push(&images).expect("a batch");
        done.map_or_else(|| first.clone(), |outputs| outputs.logits)
    };
    (0..WARM).for_each(|_| drop(run()));
    let (resident, allocated) = (resident_bytes(), device.and_then(allocations));
    let (start, on_cpu) = (Instant::now(), on_cpu_seconds().expect("/proc"));
    for _ in 0..count {
        assert_eq!(run(), first, "{name}: the same batch gave other logits");
    }
    let batches = count as f64;
    let host = (on_cpu_seconds().expect("/proc") - on_cpu) / batches * 1e3;
    let wall = start.elapsed().as_secs_f64() / batches * 1e3;
    let grown = resident_bytes() - resident;
    println!(
        "{name}: {count} batches, {wall:.3} ms each, {host:.3} ms of them on the calling thread; \
         resident memory {:.1} MB, grown by {:.2} MB",
        resident as f64 / 1e6,
        grown as f64 / 1e6
    );
    assert!(grown <= MAY_GROW, "{name}: resident memory grew by {grown} bytes over {count} batches");
    if let (Some(before), Some(after)) = (allocated, device.and_then(allocations)) {
        println!("{name}: {} allocations of {} bytes on the device before and after", before.0, before.1);
        assert_eq!(after, before, "{name}: allocations on the device and their bytes");
    }
}

/// How many pieces of device memory are held, and their bytes.
fn allocations(device: &wgpu::Device) -> Option<(usize, u64)> {
    let report = device.generate_allocator_report()?;
    Some((report.allocations.len(), report.total_allocated_bytes))
}

/// Seconds that this thread has been running, not waiting.
fn on_cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(stat.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
}

fn resident_bytes() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse::<i64>().expect("a number") * 1024
}
