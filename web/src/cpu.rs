//! A network on the CPU: its calls are over when they return.

use js_sys::Function;
use tome_wgpu::cpu::VisionTransformer;
use tome_wgpu::vit::{Config, Options, Outputs, Tensors, Want};
use tome_wgpu::{Error, Result};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::ImageData;

use crate::pixels;

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

    pub async fn run(&self, pictures: &[JsValue], options: &Options, _want: Want) -> Result<Outputs> {
        let mut images = Vec::with_capacity(pictures.len() * self.0.config().image_values());
        for picture in pictures {
            let picture = picture.dyn_ref::<ImageData>();
            let picture = picture.ok_or_else(|| Error::Input("a picture is no ImageData".into()))?;
            images.extend(pixels::image(picture, self.0.config())?);
        }
        self.0.forward(&images, options)
    }

    pub fn destroy(&self) {}
}
