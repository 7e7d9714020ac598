//! Life in somebody else's application: their device, encoder and buffers, our kernels between two passes of theirs.
//! Only what `default-features = false` gives is used.

mod common;

use common::{adapter, open, read, set};
use tome_wgpu::kernels::layer_norm;
use tome_wgpu::{Gpu, MergeIo, MergeShape, TokenMerger, View};

/// The application's own work before and after: y = 2 x + 1.
const THEIRS: &str = "
    @group(0) @binding(0) var<storage, read> x: array<f32>;
    @group(0) @binding(1) var<storage, read_write> y: array<f32>;
    @compute @workgroup_size(64)
    fn theirs(@builtin(global_invocation_id) id: vec3<u32>) {
        if id.x < arrayLength(&x) {
            y[id.x] = 2.0 * x[id.x] + 1.0;
        }
    }
";

const TOKENS: u32 = 9;
const CHANNELS: u32 = 64;
const X: u64 = (TOKENS * CHANNELS * 4) as u64;
/// Where things lie in the application's one input buffer; multiples of 256.
const X_AT: u64 = 512;
const WEIGHT_AT: u64 = 3072;
const BIAS_AT: u64 = 3584;
const KEYS_AT: u64 = 4096;
const UNTOUCHED: f32 = -77.0;

fn buffer(device: &wgpu::Device, queue: &wgpu::Queue, data: &[f32]) -> wgpu::Buffer {
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
    let size = data.len() as u64 * 4;
    let buffer =
        device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false });
    queue.write_buffer(&buffer, 0, bytemuck::cast_slice(data));
    buffer
}

/// The application's pipeline, bound to a stretch of one buffer and another buffer.
fn theirs(
    device: &wgpu::Device,
    x: wgpu::BufferBinding<'_>,
    y: &wgpu::Buffer,
) -> (wgpu::ComputePipeline, wgpu::BindGroup) {
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl(THEIRS.into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: None,
        compilation_options: Default::default(),
        cache: None,
    });
    let entries = [
        wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(x) },
        wgpu::BindGroupEntry { binding: 1, resource: y.as_entire_binding() },
    ];
    let layout = pipeline.get_bind_group_layout(0);
    let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &layout,
        entries: &entries,
    });
    (pipeline, bind_group)
}

/// Tokens 0 to 8; 2 and 5 have the same key and are alone in that, 0 is protected.
fn keys() -> Vec<f32> {
    (0..TOKENS)
        .flat_map(|t| (0..8).map(move |i| f32::from(i == if t == 5 { 2 } else { t % 8 }) + 0.01))
        .collect()
}

#[test]
fn our_kernels_run_between_two_passes_of_theirs_and_submit_nothing() {
    let Some(adapter) = adapter() else { return };
    let app = open(adapter, wgpu::Features::empty(), wgpu::Limits::default());
    let (device, queue) = (&app.device, &app.queue);

    // Their inputs lie in one buffer, their outputs in one each.
    let image: Vec<f32> = (0..TOKENS * CHANNELS).map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0).collect();
    let mut inputs = vec![UNTOUCHED; 8192 / 4];
    for (at, data) in [(WEIGHT_AT, &vec![0.5; 64]), (BIAS_AT, &vec![0.25; 64]), (KEYS_AT, &keys())] {
        inputs[at as usize / 4..][..data.len()].copy_from_slice(data);
    }
    let inputs = buffer(device, queue, &inputs);
    let image = (buffer(device, queue, &image), image);
    let doubled = buffer(device, queue, &vec![UNTOUCHED; image.1.len()]);
    let merged = buffer(device, queue, &vec![UNTOUCHED; 8192 / 4]);
    let normed = buffer(device, queue, &vec![UNTOUCHED; 8192 / 4]);
    let last = buffer(device, queue, &vec![UNTOUCHED; 8 * CHANNELS as usize]);
    let size = buffer(device, queue, &[1.0; TOKENS as usize]);
    let size_out = buffer(device, queue, &[UNTOUCHED; 8]);
    let source = buffer(device, queue, bytemuck::cast_slice(&[0u32, 1, 2, 3, 4, 5, 6, 7, 8]));
    let source_out = buffer(device, queue, &[UNTOUCHED; TOKENS as usize]);

    // Ours: one merge and one LayerNorm, at offsets of their buffers.
    let gpu = Gpu::new(device).unwrap();
    let shape = set!(
        MergeShape::default();
        batch: 1, tokens: TOKENS, channels: CHANNELS, heads: 1, head_width: 8, key_stride: 8, key_start: 0, r: 1, protect: 1, sources: TOKENS
    );
    let io = MergeIo::new(View::at(&inputs, KEYS_AT), View::at(&inputs, X_AT), View::at(&merged, 256))
        .size(&size)
        .source(&source)
        .size_out(&size_out)
        .source_out(&source_out);
    let merger = TokenMerger::new(&gpu, shape, io).unwrap();
    let norm = layer_norm(
        &gpu,
        layer_norm::Params::new(8, CHANNELS, 1e-6),
        layer_norm::Io::new(View::at(&merged, 256), View::at(&normed, 768))
            .weight(View::at(&inputs, WEIGHT_AT))
            .bias(View::at(&inputs, BIAS_AT)),
    )
    .unwrap();

    let before = theirs(device, image.0.as_entire_buffer_binding(), &doubled);
    let stretch =
        wgpu::BufferBinding { buffer: &normed, offset: 768, size: wgpu::BufferSize::new(8 * 64 * 4) };
    let after = theirs(device, stretch, &last);
    let encode_theirs = |pass: &mut wgpu::ComputePass<'_>, (pipeline, bind_group): &(_, _)| {
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, bind_group, &[]);
        pass.dispatch_workgroups(TOKENS, 1, 1);
    };
    let mut encoder = device.create_command_encoder(&Default::default());
    encode_theirs(&mut encoder.begin_compute_pass(&Default::default()), &before);
    encoder.copy_buffer_to_buffer(&doubled, 0, &inputs, X_AT, X);
    // One pass that both use: what is set in it by one must not hold the other.
    let mut pass = encoder.begin_compute_pass(&Default::default());
    merger.encode(&mut pass);
    norm.encode(&mut pass);
    encode_theirs(&mut pass, &after);
    drop(pass);
    let commands = encoder.finish();

    // Up to here nothing has run.
    for written in [&merged, &normed, &last, &size_out, &source_out] {
        assert!(
            read::<f32>(device, queue, written, 8).iter().all(|&v| v == UNTOUCHED),
            "something was submitted"
        );
    }
    queue.submit([commands]);

    // Tokens 2 and 5 have become one, in the place of the odd one: [0, 4, 6, 8, 1, 3, 5 + 2, 7].
    let groups: [&[usize]; 8] = [&[0], &[4], &[6], &[8], &[1], &[3], &[5, 2], &[7]];
    assert_eq!(read::<f32>(device, queue, &size_out, 8), groups.map(|g| g.len() as f32));
    assert_eq!(read::<u32>(device, queue, &source_out, TOKENS), [0, 4, 6, 5, 1, 6, 2, 7, 3]);
    let got = read::<f32>(device, queue, &last, 8 * CHANNELS);
    for (place, group) in groups.iter().enumerate() {
        let token: Vec<f64> = (0..64)
            .map(|i| {
                group.iter().map(|&t| 2.0 * f64::from(image.1[t * 64 + i]) + 1.0).sum::<f64>()
                    / group.len() as f64
            })
            .collect();
        let mean = token.iter().sum::<f64>() / 64.0;
        let variance = token.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / 64.0;
        for (i, value) in token.iter().enumerate() {
            let want = 2.0 * ((value - mean) / (variance + 1e-6).sqrt() * 0.5 + 0.25) + 1.0;
            let got = f64::from(got[place * 64 + i]);
            // A dozen roundings of numbers of up to 4.
            assert!((got - want).abs() < 3e-6, "output token {place}, channel {i}: {got} instead of {want}");
        }
    }
    // What lies around our stretch of their buffers is as it was.
    let normed = read::<f32>(device, queue, &normed, 8192 / 4);
    let ours = 768 / 4..768 / 4 + 8 * 64;
    assert!(normed.iter().enumerate().all(|(i, &v)| ours.contains(&i) || v == UNTOUCHED));
}

#[test]
fn a_dispatch_outlives_what_it_was_made_with() {
    let Some(adapter) = adapter() else { return };
    let app = open(adapter, wgpu::Features::empty(), wgpu::Limits::default());
    let y = buffer(&app.device, &app.queue, &[UNTOUCHED; 8]);
    let dispatch = {
        let gpu = Gpu::new(&app.device).unwrap();
        let [x, weight, bias] = [[1.0; 8], [1.0; 8], [0.75; 8]].map(|v| buffer(&app.device, &app.queue, &v));
        let (weight, bias) = (Some((&weight).into()), Some((&bias).into()));
        let io = set!(layer_norm::Io::new(&x, &y); weight, bias);
        let params = layer_norm::Params::new(1, 8, 1.0);
        layer_norm(&gpu, params, io).unwrap()
    };
    // Recorded twice, in two encoders.
    for _ in 0..2 {
        let mut encoder = app.device.create_command_encoder(&Default::default());
        dispatch.encode(&mut encoder.begin_compute_pass(&Default::default()));
        app.queue.submit([encoder.finish()]);
    }
    assert_eq!(read::<f32>(&app.device, &app.queue, &y, 8), [0.75; 8]);
}
