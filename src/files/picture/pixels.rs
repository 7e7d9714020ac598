//! Pixels of 8 bits, grey or RGB, as Pillow converts to them.

use fast_image_resize::PixelType;
use image::DynamicImage;

/// Rows of pixels of one or three channels.
pub(in super::super) struct Pixels {
    pub width: u32,
    pub height: u32,
    pub channels: usize,
    pub bytes: Vec<u8>,
}

impl Pixels {
    /// Without alpha. Grey stays grey, a third of the memory; 16 bits of grey are clipped, as Pillow does with those that
    /// have no alpha, and of all others the upper half counts.
    pub fn new(picture: DynamicImage) -> Self {
        let (width, height) = (picture.width(), picture.height());
        let upper = |values: Vec<u16>| values.into_iter().map(|value| (value >> 8) as u8).collect();
        let (channels, bytes) = match picture {
            DynamicImage::ImageLuma8(pixels) => (1, pixels.into_raw()),
            DynamicImage::ImageLumaA8(pixels) => (1, without_alpha(pixels.into_raw(), 2)),
            DynamicImage::ImageLuma16(pixels) => {
                (1, pixels.into_raw().into_iter().map(|value| value.min(255) as u8).collect())
            }
            DynamicImage::ImageLumaA16(pixels) => (1, without_alpha(upper(pixels.into_raw()), 2)),
            DynamicImage::ImageRgba8(pixels) => (3, without_alpha(pixels.into_raw(), 4)),
            DynamicImage::ImageRgb16(pixels) => (3, upper(pixels.into_raw())),
            DynamicImage::ImageRgba16(pixels) => (3, without_alpha(upper(pixels.into_raw()), 4)),
            other => (3, other.into_rgb8().into_raw()),
        };
        Pixels { width, height, channels, bytes }
    }

    /// Pillow's `convert("L")`, to the bit.
    pub fn into_grey(mut self) -> Self {
        if self.channels == 3 {
            self.bytes = self
                .bytes
                .chunks_exact(3)
                .map(|pixel| {
                    let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
                    ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8
                })
                .collect();
            self.channels = 1;
        }
        self
    }

    /// Grey in all three channels.
    pub fn into_rgb(mut self) -> Self {
        if self.channels == 1 {
            self.bytes = self.bytes.iter().flat_map(|&value| [value; 3]).collect();
            self.channels = 3;
        }
        self
    }

    /// As the resizer calls it.
    pub fn kind(&self) -> PixelType {
        if self.channels == 1 { PixelType::U8 } else { PixelType::U8x3 }
    }
}

/// Drops the last of so many channels, in place.
fn without_alpha(mut bytes: Vec<u8>, channels: usize) -> Vec<u8> {
    let pixels = bytes.len() / channels;
    for pixel in 1..pixels {
        bytes.copy_within(pixel * channels..(pixel + 1) * channels - 1, pixel * (channels - 1));
    }
    bytes.truncate(pixels * (channels - 1));
    bytes
}
