//! A network on the CPU: its calls are over when they return.

use js_sys::Function;
use tome_wgpu::cpu::VisionTransformer;
use tome_wgpu::vit::{Config, Images, Options, Outputs, Tensors, Want};
use tome_wgpu::{Error, Result};

pub struct Engine(VisionTransformer);

impl Engine {
    pub async fn open(
        config: &Config,
        weights: &dyn Tensors,
        precision: &str,
        _lost: Function,
    ) -> Result<Self> {
        if precision != "f32" {
            let (what, message) = ("the CPU path".into(), format!("it computes in f32, not in {precision}"));
            return Err(Error::Device { what, message });
        }
        Ok(Engine(VisionTransformer::new(config.clone(), weights)?))
    }

    /// Nothing is kept between calls.
    pub async fn prepare(&self, _batch: u32, _options: &Options, _want: Want) -> Result<()> {
        Ok(())
    }

    pub async fn run(&self, pixels: &[u8], options: &Options, _want: Want) -> Result<Outputs> {
        self.0.forward(&Images::Pixels(pixels).normalised(self.0.config()), options)
    }

    pub fn destroy(&self) {}
}
