//! Kernels in an application that owns everything: its device, its encoder, and one buffer in which all inputs lie at
//! offsets of its own. A LayerNorm and a linear layer, checked against the reference:
//!
//!     cargo run --release --example foreign_device

use std::error::Error;

use tome_wgpu::kernels::{self, Activation, layer_norm, matmul};
use tome_wgpu::{Gpu, View, reference};
use wgpu::BufferUsages as Usages;

const ROWS: u32 = 197;
const CHANNELS: u32 = 64;
const COLUMNS: u32 = 128;
/// Where the inputs begin; devices want multiples of 256 (`min_storage_buffer_offset_alignment`).
const X_AT: u64 = 512;
const NORM_AT: u64 = X_AT + 4 * (ROWS * CHANNELS) as u64;
const W_AT: u64 = NORM_AT + 4 * CHANNELS as u64;
const Y_AT: u64 = 256;

fn main() -> Result<(), Box<dyn Error>> {
    // The application's: a device with nothing special about it, and its buffers.
    let mut wanted = wgpu::InstanceDescriptor::new_without_display_handle();
    wanted.backends = wgpu::Backends::PRIMARY;
    let instance = wgpu::Instance::new(wanted);
    let Ok(adapter) = pollster::block_on(instance.request_adapter(&Default::default())) else {
        eprintln!("no Vulkan, Metal or DX12 adapter: this example needs one, software drivers included");
        std::process::exit(1);
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&Default::default()))?;
    let numbers = |count: u32, scale: f32| -> Vec<f32> {
        (0..count).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0) * scale).collect()
    };
    let (x, norm, w) =
        (numbers(ROWS * CHANNELS, 1.0), numbers(CHANNELS, 0.5), numbers(COLUMNS * CHANNELS, 0.1));
    let buffer = |size: u64, usage| {
        device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
    };
    let inputs = buffer(W_AT + 4 * w.len() as u64, Usages::STORAGE | Usages::COPY_DST);
    for (at, data) in [(X_AT, &x), (NORM_AT, &norm), (W_AT, &w)] {
        queue.write_buffer(&inputs, at, bytemuck::cast_slice(data));
    }
    let between = buffer(4 * x.len() as u64, Usages::STORAGE);
    let y_bytes = u64::from(4 * ROWS * COLUMNS);
    let results = buffer(Y_AT + y_bytes, Usages::STORAGE | Usages::COPY_SRC);

    // Ours, once: sizes are checked, pipelines compiled, buffers bound. WebGPU wants what a kernel writes in another
    // buffer than what it reads.
    let gpu = Gpu::new(&device)?;
    let norm_params = layer_norm::Params::new(ROWS, CHANNELS, 1e-6);
    let norm_io = layer_norm::Io::new(View::at(&inputs, X_AT), &between).weight(View::at(&inputs, NORM_AT));
    let layer_norm = kernels::layer_norm(&gpu, norm_params, norm_io)?;
    let linear_params = matmul::Params::new(ROWS, CHANNELS, COLUMNS).activation(Activation::Gelu);
    let linear_io = matmul::Io::new(&between, View::at(&inputs, W_AT), View::at(&results, Y_AT));
    let linear = kernels::matmul(&gpu, linear_params, linear_io)?;
    println!("{}\n{layer_norm}\n{linear}", adapter.get_info().name);

    // Each frame: recorded between the application's own passes, submitted by the application.
    let staging = buffer(y_bytes, Usages::MAP_READ | Usages::COPY_DST);
    let mut encoder = device.create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&Default::default());
    layer_norm.encode(&mut pass);
    linear.encode(&mut pass);
    drop(pass);
    encoder.copy_buffer_to_buffer(&results, Y_AT, &staging, 0, y_bytes);
    queue.submit([encoder.finish()]);
    staging.map_async(wgpu::MapMode::Read, .., |_| ());
    device.poll(wgpu::PollType::wait_indefinitely())?;
    let got: Vec<f32> = bytemuck::pod_collect_to_vec(&staging.get_mapped_range(..)?);

    let (mut normed, mut want) = (vec![0.0; x.len()], vec![0.0; got.len()]);
    reference::layer_norm(&norm_params, &x, Some(&norm), None, None, &mut normed);
    reference::matmul(&linear_params, &normed, &w, None, None, None, None, &mut want);
    let apart = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("largest difference from the reference: {apart:.1e}");
    assert!(apart < 1e-4, "{apart}");
    Ok(())
}
