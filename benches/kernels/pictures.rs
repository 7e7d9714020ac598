//! What makes images of pictures.

use criterion::{Criterion, Throughput};
use tome_wgpu::kernels::resize_image::{Io, Order, SPEC};
use tome_wgpu::vit::{Config, Resample, Taps};
use tome_wgpu::{cpu, kernels};

use super::common::textures::{bytes_of, texture};
use super::{Want, time};

/// A camera's frame and a photograph for 224 pixels.
pub fn resize_image(criterion: &mut Criterion) {
    for (height, width) in [(720, 1280), (3024, 4032)] {
        for resample in [Resample::Bilinear, Resample::Bicubic] {
            let mut config = Config::preset("vit_tiny_patch16_224").unwrap();
            config.preprocess.resample = resample;
            let taps = Taps::for_network([height, width], &config).unwrap();
            let params = Taps::params(&taps, 3, Order::Rgb);
            let [down, across] = [&taps[0], &taps[1]].map(Taps::words);
            let (bytes, normal) = (bytes_of(height, width), [0.5f32; 6]);
            let mut want = vec![0.0; config.image_values()];
            cpu::resize_image(&params, &bytes, down, across, &normal, &mut want);
            let call = format!("{width}x{height}/{resample}");
            let work = Throughput::BytesDecimal(bytes.len() as u64);
            time(criterion, &SPEC, call, work, Want::Floats(&want), |rig| {
                let [down, across] = [down, across].map(|words| rig.data(words));
                let (normal, y) = (rig.data(&normal), rig.unwritten(want.len() as u32));
                let on = (rig.gpu.device(), &rig.queue);
                let texture = texture(on, wgpu::TextureFormat::Rgba8Unorm, [height, width], &bytes);
                let view = texture.create_view(&Default::default());
                let io = Io::new(&view, &down, &across, &normal, &y);
                (kernels::resize_image(&rig.gpu, params, io).unwrap(), y)
            });
        }
    }
}
