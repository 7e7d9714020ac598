//! JPEG by a port of libjpeg-turbo, which Pillow decodes with: the same pixels to the bit.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use libjpeg_turbo_rs::{Decoder, PixelFormat};

use super::decode::{Picture, check_size};

pub(super) fn decode(bytes: &[u8]) -> Result<Picture, String> {
    let broken = |error: libjpeg_turbo_rs::JpegError| format!("is a broken JPEG picture: {error}");
    let mut decoder = Decoder::new(bytes).map_err(broken)?;
    let [width, height] = [decoder.header().width, decoder.header().height];
    let grey = decoder.header().components.len() == 1;
    check_size(width.into(), height.into())?;
    decoder.set_output_format(if grey { PixelFormat::Grayscale } else { PixelFormat::Rgb });
    let image = decoder.decode_image().map_err(broken)?;
    let orientation = image.exif_orientation().and_then(Orientation::from_exif);
    let (width, height) = (u32::from(width), u32::from(height));
    let pixels = match grey {
        true => GrayImage::from_raw(width, height, image.data).map(DynamicImage::from),
        false => RgbImage::from_raw(width, height, image.data).map(DynamicImage::from),
    };
    Ok(Picture {
        pixels: pixels.ok_or("is a JPEG picture with too few pixels")?,
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
    })
}
