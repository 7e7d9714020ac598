//! Pictures made into a network's input.

use image::{DynamicImage, RgbaImage};
use tome_wgpu::vit::Config;
use tome_wgpu::{Error, Result, files};

/// Resizes and crops a picture's RGBA pixels: `[height, width, channels]`.
pub fn fit(rgba: Vec<u8>, width: u32, height: u32, config: &Config) -> Result<Vec<u8>> {
    let picture = RgbaImage::from_raw(width, height, rgba)
        .ok_or_else(|| Error::Input(format!("too few bytes for {width} x {height} pixels")))?;
    Ok(files::fit(DynamicImage::from(picture), config)?.into_bytes())
}
