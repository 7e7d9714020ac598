//! Token merging for a model that is not ours: its attention is its own WGSL, and between its first layer and its second
//! a `TokenMerger` halves the tokens; at the end `unmerge` gives every token back.
//!
//!     cargo run --release --example merge_in_your_model

mod model;

use std::error::Error;

use model::{C, Model};
use tome_wgpu::{Gpu, MergeIo, MergeShape, TokenMerger};

const TOKENS: u32 = 128;
const R: u32 = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let mut wanted = wgpu::InstanceDescriptor::new_without_display_handle();
    wanted.backends = wgpu::Backends::PRIMARY;
    let instance = wgpu::Instance::new(wanted);
    let Ok(adapter) = pollster::block_on(instance.request_adapter(&Default::default())) else {
        eprintln!("no Vulkan, Metal or DX12 adapter: this example needs one, software drivers included");
        std::process::exit(1);
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&Default::default()))?;
    let model = Model::new(device, queue);

    // Neighbouring tokens are alike, as in a picture.
    let token = |t: u32| (0..C).map(move |i| ((t / 2 * (i + 3)) as f32 * 0.1).sin() + 0.001 * (t % 2) as f32);
    let x: Vec<f32> = (0..TOKENS).flat_map(token).collect();
    let weights: Vec<f32> = (0..3 * C * C).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0) * 0.2).collect();
    let zeros = |tokens: u32, width: u32| model.buffer(&vec![0.0; (tokens * width) as usize]);
    let (x, w, ones) = (model.buffer(&x), model.buffer(&weights), model.buffer(&[1.0; TOKENS as usize]));
    let (qkv, after_one) = (zeros(TOKENS, 3 * C), zeros(TOKENS, C));

    // The merger, made once: it matches by the keys in the model's qkv and merges what the first layer gave.
    let gpu = Gpu::new(&model.device)?;
    let shape = MergeShape::fused(1, TOKENS, 1, C, R);
    let left = shape.tokens_out();
    let merged = zeros(left, C);
    let merger = TokenMerger::new(&gpu, shape, MergeIo::new(&qkv, &after_one, &merged))?;
    let (qkv_two, after_two, y) = (zeros(left, 3 * C), zeros(left, C), zeros(TOKENS, C));
    let unmerge = merger.unmerge(C, (&after_two).into(), None, (&y).into())?;
    let size = merger.size().buffer().ok_or("the merger's sizes lie in a buffer")?;
    let source = merger.source().buffer().ok_or("the merger's source map lies in a buffer")?;
    // The same without merging, to compare.
    let plain = zeros(TOKENS, C);

    let mut encoder = model.device.create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&Default::default());
    model.layer(&mut pass, TOKENS, [&x, &w, &qkv, &after_one, &ones]);
    merger.encode(&mut pass);
    model.layer(&mut pass, left, [&merged, &w, &qkv_two, &after_two, size]);
    unmerge.encode(&mut pass);
    model.layer(&mut pass, TOKENS, [&after_one, &w, &qkv, &plain, &ones]);
    drop(pass);
    model.queue.submit([encoder.finish()]);

    let sizes: Vec<f32> = model.read(size, left)?;
    let source: Vec<u32> = model.read(source, TOKENS)?;
    assert_eq!(sizes.iter().sum::<f32>(), TOKENS as f32, "every token is part of one that is left");
    for (token, &size) in sizes.iter().enumerate() {
        let held = source.iter().filter(|&&holder| holder == token as u32).count();
        assert_eq!(held as f32, size, "token {token} of those that are left");
    }
    let (got, want): (Vec<f32>, Vec<f32>) = (model.read(&y, TOKENS * C)?, model.read(&plain, TOKENS * C)?);
    let length = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
    let apart = length(&mut got.iter().zip(&want).map(|(a, b)| a - b)) / length(&mut want.iter().copied());
    println!("{}: {TOKENS} tokens in the first layer, {left} in the second", adapter.get_info().name);
    println!("result {:.2} % away from that without merging", apart * 100.0);
    assert!(apart < 0.05, "{apart}");
    Ok(())
}
