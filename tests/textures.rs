//! Textures as a network's images, against Pillow (`tests/files/make_resized.py`) and against the same pictures as pixels.

mod common;

use std::fs::read;

use image::{DynamicImage, RgbImage};
use safetensors::SafeTensors;
use tome_wgpu::kernels::resize_image::Order;
use tome_wgpu::run::Runner;
use tome_wgpu::vit::{
    Config, Images, Input, Options, Resample, Resize, Taps, VisionTransformer, Want, Weights,
};
use tome_wgpu::{DeviceChoice, Error, Gpu, Schedule, Session, cpu, files, reference};

use common::textures::{FORMATS, bytes_of, texture};
use common::{Opened, Tol, adapter, close, open, place, same};

/// 2 blocks, few channels.
fn config(size: [u32; 2], channels: u32) -> Config {
    let mut config = Config::preset("vit_tiny_patch16_224").unwrap();
    (config.image_size, config.patch_size, config.depth) = (size, [4, 4], 2);
    (config.embed_dim, config.mlp_hidden, config.num_heads, config.num_classes) = (32, 64, 2, 7);
    (config.in_chans, config.preprocess.crop) = (channels, 1.0);
    config.preprocess.mean = vec![0.5, 0.4, 0.3][..channels as usize].to_vec();
    config.preprocess.std = vec![0.25, 0.5, 0.75][..channels as usize].to_vec();
    config
}

/// A picture, a network that is shown it, and what Pillow shows it.
struct Golden {
    name: String,
    size: [u32; 2],
    /// With any alpha.
    rgba: Vec<u8>,
    config: Config,
    want: Vec<u8>,
}

fn goldens() -> Vec<Golden> {
    let file = read(place!("CARGO_MANIFEST_DIR").join("tests/files/resized.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let golden = |(name, want): (&str, safetensors::tensor::TensorView<'_>)| {
        let [resample, mode, crop, picture, _] = name.split('/').collect::<Vec<_>>()[..] else { return None };
        let picture = tensors.tensor(&format!("picture/{picture}")).unwrap();
        let [height, width, channels] = [0, 1, 2].map(|side| want.shape()[side] as u32);
        let mut config = config([height, width], channels);
        config.preprocess.resample = Resample::named("interpolation", resample).unwrap();
        config.preprocess.crop = crop.parse().unwrap();
        config.preprocess.resize = if mode == "squash" { Resize::Squash } else { Resize::Shortest };
        let alpha = |p: &[u8]| [p[0], p[1], p[2], p[0] ^ 99];
        let rgba = picture.data().chunks_exact(3).flat_map(alpha).collect();
        let size = [0, 1].map(|side| picture.shape()[side] as u32);
        Some(Golden { name: name.into(), size, rgba, config, want: want.data().to_vec() })
    };
    let all: Vec<Golden> = tensors.iter().filter_map(golden).collect();
    assert!(all.len() > 50, "{}", all.len());
    all
}

impl Golden {
    /// `normalised` as bytes, `[height, width, channels]`, which they are.
    fn bytes(&self, normalised: &[f32]) -> Vec<u8> {
        let Config { preprocess, in_chans, .. } = &self.config;
        let (channels, pixels) = (*in_chans as usize, normalised.len() / *in_chans as usize);
        let byte = |i: usize| {
            let (pixel, channel) = (i / channels, i % channels);
            let value = normalised[channel * pixels + pixel];
            let value = (value * preprocess.std[channel] + preprocess.mean[channel]) * 255.0;
            // Far above rounding, far below a byte.
            assert!((value - value.round()).abs() < 1e-3, "{}: {value}", self.name);
            value.round() as u8
        };
        (0..normalised.len()).map(byte).collect()
    }

    /// The normalised image on the CPU.
    fn resized(&self, by: Resizing) -> Vec<f32> {
        let taps = Taps::for_network(self.size, &self.config).unwrap();
        let params = Taps::params(&taps, self.config.in_chans, Order::Rgb);
        let normal = [&self.config.preprocess.mean[..], &self.config.preprocess.std].concat();
        let mut y = vec![f32::NAN; self.config.image_values()];
        by(&params, &self.rgba, taps[0].words(), taps[1].words(), &normal, &mut y);
        y
    }
}

type Resizing = fn(&tome_wgpu::kernels::resize_image::Params, &[u8], &[i32], &[i32], &[f32], &mut [f32]);

#[test]
fn tables_are_pillows_to_the_last_bit() {
    for golden in goldens() {
        for by in [reference::resize_image, cpu::resize_image] {
            same(&golden.name, &golden.bytes(&golden.resized(by)), &golden.want);
        }
        // What pictures in files go through rounds its weights to fewer bits.
        let [height, width] = golden.size;
        let rgb: Vec<u8> = golden.rgba.chunks_exact(4).flat_map(|texel| &texel[..3]).copied().collect();
        let picture = DynamicImage::from(RgbImage::from_raw(width, height, rgb).unwrap());
        let fitted = files::fit(picture, &golden.config).unwrap();
        let apart = fitted.as_bytes().iter().zip(&golden.want).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(apart <= Some(2), "{}: {apart:?}", golden.name);
    }
}

/// A device, and what holds it.
fn opened() -> Option<(Opened, Gpu)> {
    let opened = open(adapter()?, wgpu::Features::empty(), wgpu::Limits::default());
    let gpu = Gpu::new(&opened.device).unwrap();
    Some((opened, gpu))
}

#[test]
fn textures_become_what_pillow_makes_of_pictures() {
    let Some((opened, gpu)) = opened() else { return };
    let on = (&opened.device, &opened.queue);
    for (golden, i) in goldens().into_iter().zip(0..) {
        let Golden { name, config, size, rgba, want, .. } = &golden;
        let vit = VisionTransformer::new(&gpu, config.clone(), &Weights::random(config, 3)).unwrap();
        // The second of two: behind another image.
        let plan = vit.plan_for(Input::Textures, 2, &Options::default()).unwrap();
        let texture = texture(on, FORMATS[i % FORMATS.len()], *size, rgba);
        let resized = plan.resize_image(1, &texture).unwrap();
        let mut encoder = opened.device.create_command_encoder(&Default::default());
        resized.encode(&mut encoder.begin_compute_pass(&Default::default()));
        opened.queue.submit([encoder.finish()]);
        let values = config.image_values();
        let input: Vec<f32> = common::read(&opened.device, &opened.queue, plan.input(), 2 * values as u32);
        same(name, &input[..values], &vec![0.0; values]);
        same(format!("{name} {:?}", texture.format()), &golden.bytes(&input[values..]), want);
    }
}

#[test]
fn a_texture_gives_the_logits_of_its_pixels() {
    let Some((opened, gpu)) = opened() else { return };
    let on = (&opened.device, &opened.queue);
    let options = Options::with_schedule(Schedule::constant(3));
    // The same bytes, divided and subtracted in another order, through two blocks whose values are about 10.
    let tol = Tol { abs: 1e-5, rel: 1e-5 };
    for (channels, bgr) in [(3, false), (3, true), (1, false)] {
        let mut config = config([16, 20], channels);
        config.preprocess.bgr = bgr;
        let weights = Weights::random(&config, 3);
        let session = Session::on(gpu.clone(), opened.queue.clone(), config.clone(), &weights).unwrap();
        // Of the network's own size, which is not resized.
        let rgba = bytes_of(16, 20);
        let rgb = rgba.chunks_exact(4).flat_map(|texel| &texel[..3]).copied().collect();
        let picture = DynamicImage::from(RgbImage::from_raw(20, 16, rgb).unwrap());
        let pixels = files::fit(picture, &config).unwrap();
        let want = session.run(pixels.as_bytes(), &options, Want::ALL).unwrap();
        for format in FORMATS {
            let got = session.run(&texture(on, format, [16, 20], &rgba), &options, Want::ALL).unwrap();
            close(format!("{format:?}"), &got.logits, &want.logits, tol);
            assert_eq!(got.source, want.source);
        }
    }
}

#[test]
fn a_batch_may_be_of_any_sizes_and_frames() {
    let Some((opened, gpu)) = opened() else { return };
    let on = (&opened.device, &opened.queue);
    let options = Options::with_schedule(Schedule::constant(3));
    let sizes = [[16, 16], [90, 41], [7, 300], [16, 16], [33, 35], [90, 41]];
    let textures: Vec<_> = sizes
        .iter()
        .zip(0..)
        .map(|(&[h, w], i)| texture(on, FORMATS[i % 4], [h, w], &bytes_of(h, w)))
        .collect();
    for frames in [1, 2] {
        let config = config([16, 16], 3).with(|c| c.frames = frames);
        let weights = Weights::random(&config, 3);
        let normal = [&config.preprocess.mean[..], &config.preprocess.std].concat();
        let resized = |&[height, width]: &[u32; 2]| {
            let taps = Taps::for_network([height, width], &config).unwrap();
            let params = Taps::params(&taps, 3, Order::Rgb);
            let mut y = vec![f32::NAN; 3 * 16 * 16];
            let bytes = bytes_of(height, width);
            cpu::resize_image(&params, &bytes, taps[0].words(), taps[1].words(), &normal, &mut y);
            y
        };
        let floats: Vec<f32> = sizes.iter().flat_map(resized).collect();
        let session = Session::on(gpu.clone(), opened.queue.clone(), config.clone(), &weights).unwrap();
        let want = session.run(&floats, &options, Want::ALL).unwrap();
        assert_eq!(want.batch, 6 / frames as usize);
        let tol = Tol { abs: 1e-5, rel: 1e-5 };
        // Whatever ran before, and not waiting.
        for _ in 0..2 {
            let got = session.run(&textures, &options, Want::ALL).unwrap();
            close("logits", &got.logits, &want.logits, tol);
            assert_eq!((got.batch, &got.source), (want.batch, &want.source));
            let later = pollster::block_on(session.run_async(&textures, &options, Want::LOGITS)).unwrap();
            same("logits", &later.logits, &got.logits);
            session.run(&floats, &options, Want::LOGITS).unwrap();
        }
        let mut stream = session.stream(&options, Want::LOGITS);
        let pair = frames as usize;
        for textures in textures.chunks(pair) {
            if stream.is_full() {
                stream.pop().unwrap();
            }
            stream.push(textures).unwrap();
        }
        let mut last = Vec::new();
        while let Some(outputs) = stream.pop().unwrap() {
            last = outputs.logits;
        }
        close("streamed", &last, &want.logits[want.logits.len() - 7..], tol);
    }
}

#[test]
fn where_sizes_repeat_no_buffer_is_made() {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    if adapter().is_none() {
        return;
    }
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
    let opened = open(&adapter, wgpu::Features::empty(), wgpu::Limits::default());
    let config = config([16, 16], 3);
    let gpu = Gpu::new(&opened.device).unwrap();
    let vit = VisionTransformer::new(&gpu, config.clone(), &Weights::random(&config, 3)).unwrap();
    let plan = vit.plan_for(Input::Textures, 2, &Options::default()).unwrap();
    let frame = |format, size: [u32; 2]| {
        let bytes = bytes_of(size[0], size[1]);
        texture((&opened.device, &opened.queue), format, size, &bytes)
    };
    let buffers = || instance.generate_report().unwrap().hub_report().buffers.num_allocated;
    let frames: Vec<_> = (0..8).map(|_| frame(FORMATS[0], [30, 40])).collect();
    let mut kept = vec![plan.resize_image(0, &frames[0]).unwrap(), plan.resize_image(1, &frames[0]).unwrap()];
    opened.queue.submit([]);
    let before = buffers();
    for frame in &frames {
        kept.extend([0, 1].map(|image| plan.resize_image(image, frame).unwrap()));
    }
    assert_eq!(buffers(), before);
    // Another format takes another uniform, another size tables as well.
    kept.push(plan.resize_image(0, &frame(FORMATS[2], [30, 40])).unwrap());
    assert!(buffers() > before);
}

#[test]
fn what_cannot_be_is_a_typed_error() {
    let Some((opened, gpu)) = opened() else { return };
    let (config, options) = (config([16, 16], 3), Options::default());
    let weights = Weights::random(&config, 3);
    let bytes = bytes_of(9, 9);
    let good = texture((&opened.device, &opened.queue), FORMATS[0], [9, 9], &bytes);
    let make = |change: fn(&mut wgpu::TextureDescriptor<'_>)| {
        let mut descriptor = wgpu::TextureDescriptor {
            label: None,
            size: wgpu::Extent3d { width: 8, height: 8, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::RENDER_ATTACHMENT,
            view_formats: &[],
        };
        change(&mut descriptor);
        opened.device.create_texture(&descriptor)
    };
    let bad = [
        make(|d| d.format = wgpu::TextureFormat::Rgba16Float),
        make(|d| d.usage = wgpu::TextureUsages::RENDER_ATTACHMENT),
        make(|d| d.sample_count = 4),
        make(|d| d.size.depth_or_array_layers = 2),
    ];
    let runner =
        pollster::block_on(Runner::open(gpu.clone(), opened.queue.clone(), config.clone(), &weights))
            .unwrap();
    let vit = VisionTransformer::new(&gpu, config.clone(), &weights).unwrap();
    let plan = vit.plan(1, &options).unwrap();
    for bad in bad {
        let error = plan.resize_image(0, &bad).unwrap_err();
        assert!(matches!(error, Error::Input(_)), "{error}");
        let pair = [good.clone(), bad];
        let run = runner.run(&pair[..], &options, Want::LOGITS);
        assert!(matches!(pollster::block_on(run), Err(Error::Input(_))));
    }
    let none: &[wgpu::Texture] = &[];
    let empty = pollster::block_on(runner.run(none, &options, Want::LOGITS));
    assert!(matches!(empty, Err(Error::Input(_))), "{empty:?}");
    assert!(plan.resize_image(0, &good).is_ok());
    assert!(matches!(plan.resize_image(1, &good), Err(Error::Input(_))));
    let of_pixels = vit.plan_for(Input::Pixels, 1, &options).unwrap();
    assert!(matches!(of_pixels.resize_image(0, &good), Err(Error::Input(_))));

    // A network of another number of channels, and one on the CPU.
    let mut four = config.clone();
    (four.in_chans, four.preprocess.mean, four.preprocess.std) = (4, vec![0.5; 4], vec![0.5; 4]);
    let vit = VisionTransformer::new(&gpu, four.clone(), &Weights::random(&four, 3)).unwrap();
    let error = vit.plan_for(Input::Textures, 1, &options).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    let on_cpu = Session::new(config, &weights, &DeviceChoice::Cpu).unwrap();
    let error = on_cpu.run(&good, &options, Want::LOGITS).unwrap_err();
    assert!(matches!(error, Error::Input(_)), "{error}");
    let error = pollster::block_on(on_cpu.run_async(&good, &options, Want::LOGITS)).unwrap_err();
    assert!(matches!(error, Error::Input(_)), "{error}");

    // Of another device.
    let other = open(adapter().unwrap(), wgpu::Features::empty(), wgpu::Limits::default());
    let theirs = texture((&other.device, &other.queue), FORMATS[0], [9, 9], &bytes);
    let error = plan.resize_image(0, &theirs).unwrap_err();
    assert!(matches!(error, Error::Device { .. }), "{error}");
    assert_eq!(Images::from(&theirs).input(), Input::Textures);
}
