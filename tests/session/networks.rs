//! Small networks, their images, and sessions that run them.

use tome_wgpu::vit::{Config, Options, Weights};
use tome_wgpu::{DeviceChoice, Gpu, Schedule, Session};

use crate::common::{Random, adapter, open};

/// 17 tokens, 2 blocks.
pub fn config() -> Config {
    let mut config = Config::preset("vit_tiny_patch16_224").unwrap();
    config.image_size = [16, 16];
    config.patch_size = [4, 4];
    config.embed_dim = 32;
    config.mlp_hidden = 64;
    config.num_heads = 2;
    config.depth = 2;
    config.num_classes = 7;
    config
}

pub fn images(config: &Config, count: usize) -> Vec<f32> {
    Random(7).floats((config.image_values() * count) as u32)
}

pub fn pixels(config: &Config, count: usize) -> Vec<u8> {
    let mut random = Random(11);
    (0..config.image_values() * count).map(|_| random.below(256) as u8).collect()
}

pub fn options(r: u32) -> Options {
    Options::with_schedule(Schedule::constant(r))
}

/// The CPU path, and a GPU where there is one.
pub fn sessions(config: &Config) -> Vec<Session> {
    let weights = Weights::random(config, 3);
    let cpu = Session::new(config.clone(), &weights, &DeviceChoice::Cpu).unwrap();
    let gpu = adapter().map(|adapter| {
        let opened = open(adapter, wgpu::Features::empty(), wgpu::Limits::default());
        let gpu = Gpu::new(&opened.device).unwrap();
        Session::on(gpu, opened.queue, config.clone(), &weights).unwrap()
    });
    std::iter::once(cpu).chain(gpu).collect()
}
