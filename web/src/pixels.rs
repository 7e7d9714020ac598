//! Pictures in memory made into a network's input, as a GPU makes it of textures.

#[cfg(feature = "cpu")]
use tome_wgpu::cpu::resize_image;
use tome_wgpu::kernels::resize_image::Order;
#[cfg(feature = "gpu")]
use tome_wgpu::reference::resize_image;
use tome_wgpu::vit::{Config, Taps};
use tome_wgpu::{Error, Result};
use web_sys::ImageData;

/// A picture resized and cropped, as RGBA pixels to be looked at.
pub fn fit(picture: &ImageData, config: &Config) -> Result<Vec<u8>> {
    let channels = channels(config)?;
    // Bytes as they are.
    let normal = [vec![0.0; channels], vec![1.0 / 255.0; channels]].concat();
    let values = resize(picture, config, Order::Rgb, &normal)?;
    let plane = values.len() / channels;
    let pixel = |i: usize| {
        let colour = |channel: usize| values[channel.min(channels - 1) * plane + i].round() as u8;
        [colour(0), colour(1), colour(2), 255]
    };
    Ok((0..plane).flat_map(pixel).collect())
}

/// A picture as a network's normalised image.
#[cfg(feature = "cpu")]
pub fn image(picture: &ImageData, config: &Config) -> Result<Vec<f32>> {
    channels(config)?;
    let preprocess = &config.preprocess;
    let order = if preprocess.bgr { Order::Bgr } else { Order::Rgb };
    resize(picture, config, order, &[&preprocess.mean[..], &preprocess.std[..]].concat())
}

/// `[channels, height, width]`
fn resize(picture: &ImageData, config: &Config, order: Order, normal: &[f32]) -> Result<Vec<f32>> {
    let taps = Taps::for_network([picture.height(), picture.width()], config)?;
    let params = Taps::params(&taps, config.in_chans, order);
    let mut values = vec![0.0; config.image_values()];
    resize_image(&params, &picture.data(), taps[0].words(), taps[1].words(), normal, &mut values);
    Ok(values)
}

/// Those of a network that can be shown pictures.
fn channels(config: &Config) -> Result<usize> {
    match config.in_chans {
        channels @ (1 | 3) => Ok(channels as usize),
        other => {
            let (field, value) = ("in_chans".into(), other.to_string());
            Err(Error::Unsupported { field, value, why: "pictures have 1 or 3 channels".into() })
        }
    }
}
