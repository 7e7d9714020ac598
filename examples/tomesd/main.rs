//! Token merging for somebody else's transformer, the way tomesd does it for Stable Diffusion: tokens merge before
//! attention, and every token gets its group's result after it. Runs one attention block at the sizes of the U-Net's
//! largest, with and without, on the first adapter:
//!
//!     cargo run --release --example tomesd [SIDE OF THE GRID]

mod block;

use std::error::Error;
use std::time::Instant;

use block::{Block, Branch};
use tome_wgpu::{Element, Gpu, wanted_device};

fn main() -> Result<(), Box<dyn Error>> {
    let side: u32 = std::env::args().nth(1).map_or(Ok(32), |side| side.parse())?;
    let mut wanted = wgpu::InstanceDescriptor::new_without_display_handle();
    wanted.backends = wgpu::Backends::PRIMARY;
    let instance = wgpu::Instance::new(wanted);
    let Ok(adapter) = pollster::block_on(instance.request_adapter(&Default::default())) else {
        eprintln!("no Vulkan, Metal or DX12 adapter: this example needs one, software drivers included");
        std::process::exit(1);
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&wanted_device(&adapter, Element::F32)))?;
    let gpu = Gpu::new(&device)?;
    // As in Stable Diffusion 1: 320 channels, 8 heads; 64 x 64 tokens for a picture of 512 x 512.
    let block = Block::new(&gpu, [side, side], 8, 40)?;

    let plain = block.branch(None)?;
    let (want, plain_time) = run(&device, &queue, &plain)?;
    let added = difference(&want, &read(&device, &queue, &block.x)?);
    println!("{}: {} tokens, {plain_time:.1} ms", adapter.get_info().name, plain.tokens);
    for ratio in [0.25, 0.5, 0.75] {
        let merging = block.branch(Some(ratio))?;
        let (got, time) = run(&device, &queue, &merging)?;
        let apart = difference(&got, &want) / added;
        println!(
            "ratio {ratio}: {} tokens in attention, {time:.1} ms ({:.2} times as fast), result {:.1} % away",
            merging.tokens,
            plain_time / time,
            apart * 100.0
        );
        // Neighbours are alike here, so that merging them is nearly free; what attention adds stays recognisable.
        if apart.is_nan() || apart > 0.5 {
            return Err(format!("merging at ratio {ratio} changes the result by {apart}").into());
        }
    }
    Ok(())
}

/// What a branch gives and the shortest of five times in milliseconds.
fn run(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    branch: &Branch,
) -> Result<(Vec<f32>, f64), Box<dyn Error>> {
    let mut best = f64::INFINITY;
    // The first run warms up.
    for round in 0..6 {
        let start = Instant::now();
        let mut encoder = device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        branch.dispatches.iter().for_each(|dispatch| dispatch.encode(&mut pass));
        drop(pass);
        queue.submit([encoder.finish()]);
        device.poll(wgpu::PollType::wait_indefinitely())?;
        if round > 0 {
            best = best.min(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok((read(device, queue, &branch.y)?, best))
}

fn read(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    buffer: &wgpu::Buffer,
) -> Result<Vec<f32>, Box<dyn Error>> {
    let staging = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("read"),
        size: buffer.size(),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
    queue.submit([encoder.finish()]);
    staging.map_async(wgpu::MapMode::Read, .., |_| ());
    device.poll(wgpu::PollType::wait_indefinitely())?;
    Ok(bytemuck::pod_collect_to_vec(&staging.get_mapped_range(..)?))
}

/// The length of what lies between two results.
fn difference(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>().sqrt()
}
