//! JPEG by a port of libjpeg-turbo, which Pillow decodes with: the same pixels to the bit.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use libjpeg_turbo_rs::{Decoder, PixelFormat, ScalingFactor};

use super::decode::{Picture, check_size};
use super::extent::Extent;

/// The scale at which a picture may be decoded that `shrinks` so many times then, told by its size, height first, and its
/// orientation: 8, 4 or 1. What is left has to shrink at least [`LEFT`] times. Half the size takes this decoder longer than
/// the whole, for which it has vector instructions.
pub(in super::super) fn scale(bytes: &[u8], shrinks: impl Fn([u32; 2], Orientation) -> f64) -> u32 {
    let Ok(decoder) = Decoder::new(bytes) else { return 1 };
    let header = decoder.header();
    if header.width == 0 || header.height == 0 {
        return 1;
    }
    let orientation = decoder.exif_orientation().and_then(Orientation::from_exif);
    let shrunk = shrinks(
        [header.height, header.width].map(u32::from),
        orientation.unwrap_or(Orientation::NoTransforms),
    );
    let fits = |scale: &&u32| shrunk >= LEFT * f64::from(**scale);
    [8, 4].iter().find(fits).copied().unwrap_or(1)
}

/// How many times a picture at reduced size still shrinks at least. By 2 no value of 8 bits was more than 18 from the whole
/// decoded, and the mean 1.3, measured by Pillow's draft mode; by 1 they were 60 and 3.7 away (Lanczos, the worst of the
/// smooth filters).
const LEFT: f64 = 2.0;

/// Every pixel at scale 1; else one for `scale` by `scale` of them.
pub(super) fn decode(bytes: &[u8], scale: u32) -> Result<(Picture, Extent), String> {
    let broken = |error: libjpeg_turbo_rs::JpegError| format!("is a broken JPEG picture: {error}");
    let mut decoder = Decoder::new(bytes).map_err(broken)?;
    let size = [decoder.header().height, decoder.header().width].map(u32::from);
    let grey = decoder.header().components.len() == 1;
    check_size(size[1].into(), size[0].into())?;
    decoder.set_output_format(if grey { PixelFormat::Grayscale } else { PixelFormat::Rgb });
    decoder.set_scale(ScalingFactor::try_new(1, scale).map_err(broken)?);
    // Kinds of JPEG that are not scaled say so by their size.
    let [height, width] = [decoder.output_height(), decoder.output_width()].map(|side| side as u32);
    let scale = if [height, width] == size { 1 } else { scale };
    let image = decoder.decode_image().map_err(broken)?;
    let orientation = image.exif_orientation().and_then(Orientation::from_exif);
    let pixels = match grey {
        true => GrayImage::from_raw(width, height, image.data).map(DynamicImage::from),
        false => RgbImage::from_raw(width, height, image.data).map(DynamicImage::from),
    };
    let picture = Picture {
        pixels: pixels.ok_or("is a JPEG picture with too few pixels")?,
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
    };
    Ok((picture, Extent::new(size, scale)))
}
