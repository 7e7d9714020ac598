//! A picture made into a network's input, as timm and transformers do it for evaluation.

use std::path::Path;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::{DynamicImage, GrayImage, ImageReader, RgbImage};

use super::broken;
use crate::error::{Error, Result};
use crate::vit::{self, Config, Preprocess, Resample, Resize};

/// Decodes a picture: the first frame of an animated one, and none that takes more than 512 MiB decoded (the
/// 178,956,970 RGB pixels at which Pillow stops too). The orientation in EXIF data is ignored, as timm ignores it.
///
/// # Errors
/// [`Error::File`] for a file that cannot be read, is no picture, is broken or too large.
pub fn open_image(path: &Path) -> Result<DynamicImage> {
    let failed = |error: std::io::Error| broken(path, error.to_string());
    // By content: names lie. The reader's default limits are the ones promised above.
    let reader = ImageReader::open(path).map_err(failed)?.with_guessed_format().map_err(failed)?;
    reader.decode().map_err(|error| broken(path, error.to_string()))
}

/// Resizes a picture so that it covers the network's input divided by `crop_pct` and cuts out the centre. The result
/// is 8-bit grey (luma after ITU-R 601) for a network of one channel, RGB for one of three; alpha is dropped.
///
/// # Errors
/// [`Error::Unsupported`] for another number of channels, [`Error::Input`] for a picture without pixels.
pub fn fit(picture: DynamicImage, config: &Config) -> Result<DynamicImage> {
    match config.in_chans {
        1 => {
            let pixels = luma(picture);
            let (size, fitted) = resample(pixels.dimensions(), &pixels, PixelType::U8, config)?;
            GrayImage::from_raw(size[1], size[0], fitted).map(DynamicImage::from)
        }
        3 => {
            let pixels = picture.into_rgb8();
            let (size, fitted) = resample(pixels.dimensions(), &pixels, PixelType::U8x3, config)?;
            RgbImage::from_raw(size[1], size[0], fitted).map(DynamicImage::from)
        }
        other => {
            let why = "pictures have 1 or 3 channels; give tensors instead".into();
            return Err(Error::Unsupported { field: "in_chans".into(), value: other.to_string(), why });
        }
    }
    .ok_or_else(|| Error::Input("the resized picture has too few bytes".into()))
}

/// A picture from [`fit`] as `[C, H, W]`: divided by 255, the mean subtracted, divided by the deviation.
///
/// # Errors
/// [`Error::Input`] for a picture that is not of the network's size and channels.
pub fn normalise(picture: &DynamicImage, config: &Config) -> Result<Vec<f32>> {
    let bytes = picture.as_bytes();
    let [height, width] = config.image_size;
    if (picture.width(), picture.height()) != (width, height) || bytes.len() != config.image_values() {
        return Err(Error::Input(format!(
            "a picture of {}x{} and {} bytes for a network of {width}x{height} and {} channels",
            picture.width(),
            picture.height(),
            bytes.len(),
            config.in_chans
        )));
    }
    Ok(vit::normalise(bytes, &config.preprocess).collect())
}

/// Pillow's `convert("L")`, to the bit.
fn luma(picture: DynamicImage) -> GrayImage {
    if !picture.color().has_color() {
        return picture.into_luma8();
    }
    let colour = picture.into_rgb8();
    GrayImage::from_fn(colour.width(), colour.height(), |x, y| {
        let [r, g, b] = colour.get_pixel(x, y).0.map(u32::from);
        image::Luma([((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8])
    })
}

/// Resizing and centre crop in one: only the pixels of the crop are computed, so that a picture of 20,000 by 1
/// never becomes one of millions by 248.
fn resample(
    (width, height): (u32, u32),
    pixels: &[u8],
    kind: PixelType,
    config: &Config,
) -> Result<([u32; 2], Vec<u8>)> {
    if width == 0 || height == 0 {
        return Err(Error::Input("the picture has no pixels".into()));
    }
    let size = config.image_size;
    let whole = covering([height, width], size, &config.preprocess);
    let [(top, rows), (left, columns)] = [0, 1].map(|side| {
        let length = f64::from([height, width][side]);
        let scale = length / whole[side];
        let margin = (whole[side] - f64::from(size[side])) / 2.0;
        let start =
            if config.preprocess.floor_crop { margin.floor() } else { margin.round_ties_even() } * scale;
        (start, (f64::from(size[side]) * scale).min(length - start))
    });
    let filter = match config.preprocess.resample {
        Resample::Bicubic => FilterType::CatmullRom,
        Resample::Bilinear => FilterType::Bilinear,
    };
    let resize = |pixels: &[u8], (width, height), target: (u32, u32), cut: [f64; 4]| {
        let failed = |error: String| Error::Input(format!("the picture cannot be resized: {error}"));
        let source = ImageRef::new(width, height, pixels, kind).map_err(|error| failed(error.to_string()))?;
        let mut resized = Image::new(target.0, target.1, kind);
        let [left, top, columns, rows] = cut;
        let options =
            ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).crop(left, top, columns, rows);
        Resizer::new().resize(&source, &mut resized, &options).map_err(|error| failed(error.to_string()))?;
        Ok(resized.into_vec())
    };
    // First across, then down, rounded and clamped to 8 bits in between, as Pillow does it.
    let across = resize(pixels, (width, height), (size[1], height), [left, 0.0, columns, f64::from(height)])?;
    let both = resize(&across, (size[1], height), (size[1], size[0]), [0.0, top, f64::from(size[1]), rows])?;
    Ok((size, both))
}

/// Height and width that a picture would be resized to before the crop, as torchvision and timm round them.
fn covering(picture: [u32; 2], input: [u32; 2], preprocess: &Preprocess) -> [f64; 2] {
    // In f32, where 224 / 0.8 is 280: the f64 nearest to the f32 0.8 is a little more than 0.8.
    let scaled = input.map(|side| f64::from((side as f32 / preprocess.crop).floor()));
    let picture = picture.map(f64::from);
    if preprocess.resize == Resize::Squash {
        scaled
    } else if scaled[0] == scaled[1] {
        let short = picture[0].min(picture[1]);
        picture.map(|side| (scaled[0] * side / short).trunc())
    } else {
        let ratio = (picture[0] / scaled[0]).min(picture[1] / scaled[1]);
        picture.map(|side| (side / ratio).round_ties_even())
    }
}
