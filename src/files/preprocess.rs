//! A picture made into a network's input, as timm and transformers do it for evaluation.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};

use super::picture::{self, Extent, Picture, Pixels, Stored};
use crate::error::{Error, Result};
use crate::vit::crop::Crop;
use crate::vit::{self, Config, Resample};

/// Resizes a picture so that it covers the network's input divided by `crop_pct` and cuts out the centre. The result
/// is 8-bit grey (luma after ITU-R 601) for a network of one channel, RGB for one of three; alpha is dropped.
///
/// # Errors
/// [`Error::Unsupported`] for another number of channels, [`Error::Input`] for a picture without pixels and for a network that
/// hears.
pub fn fit(picture: impl Into<Picture>, config: &Config) -> Result<DynamicImage> {
    fit_stored(picture.into().into(), config)
}

fn fit_stored(stored: Stored, config: &Config) -> Result<DynamicImage> {
    if config.sound.is_some() {
        return Err(Error::Input("the network hears sounds; it sees no pictures".into()));
    }
    if config.packed.is_some() {
        return Err(Error::Input("the network takes pictures of any shape: `pack` prepares them".into()));
    }
    let Stored { picture: Picture { mut pixels, orientation }, mut extent } = stored;
    if config.preprocess.exif {
        pixels.apply_orientation(orientation);
        extent = extent.turned(orientation);
    }
    let pixels = Pixels::new(pixels);
    let pixels = match config.in_chans {
        1 => resample(pixels.into_grey(), &extent, config)?,
        // Channels of grey are spread when there are few pixels.
        3 => resample(pixels, &extent, config)?.into_rgb(),
        other => {
            let why = "pictures have 1 or 3 channels; give tensors instead".into();
            return Err(Error::Unsupported { field: "in_chans".into(), value: other.to_string(), why });
        }
    };
    let Pixels { width, height, channels, mut bytes } = pixels;
    if channels == 1 {
        return GrayImage::from_raw(width, height, bytes).map(DynamicImage::from).ok_or_else(too_few);
    }
    if config.preprocess.bgr {
        bytes.chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
    }
    RgbImage::from_raw(width, height, bytes).map(DynamicImage::from).ok_or_else(too_few)
}

fn too_few() -> Error {
    Error::Input("the resized picture has too few bytes".into())
}

/// A picture file as a network's pixels: [`open_image`](super::open_image), then [`fit`]. However many threads call it, one
/// large picture (more than 16 million pixels' worth of file or canvas) is in memory at a time.
///
/// Where [`Preprocess::reduced`](crate::vit::Preprocess::reduced) asks for it, and the filter is not the box, a JPEG is decoded
/// at 1/8 or 1/4 of its size where what is left still shrinks by 2 at least. On pictures like photographs the result is then
/// within 24 of 255 of the whole decoded, and within 1.5 on average.
///
/// # Errors
/// Theirs; all name the file.
pub fn load_image(path: &Path, config: &Config) -> Result<DynamicImage> {
    load_bytes(&picture::read(path)?, path, config)
}

/// [`load_image`] of bytes in memory; `name` is for messages.
///
/// # Errors
/// As [`load_image`].
pub fn load_bytes(bytes: &[u8], name: &Path, config: &Config) -> Result<DynamicImage> {
    // Between the pixels of a box there are edges, which fall elsewhere.
    let reduced = config.preprocess.reduced && config.preprocess.resample != Resample::Box;
    let scale = match reduced {
        true => picture::scale(bytes, |size, orientation| shrinks(size, orientation, config)),
        false => 1,
    };
    let _alone = alone(picture::is_large(bytes, scale));
    let fitted = fit_stored(picture::decode_at(bytes, name, scale)?, config);
    fitted.map_err(|error| match error {
        Error::Input(why) => super::broken(name, why),
        error => error,
    })
}

/// How many times a stored picture shrinks, by the side that shrinks less.
fn shrinks(size: [u32; 2], orientation: Orientation, config: &Config) -> f64 {
    let turned = Extent::new(size, 1).turned(orientation).size;
    let size = if config.preprocess.exif { turned } else { size };
    let whole = Crop::new(size, config.image_size, &config.preprocess).whole;
    let side = |side: usize| f64::from(size[side]) / whole[side] as f64;
    side(0).min(side(1))
}

/// Held while a large picture is decoded and resized.
static LARGE: Mutex<()> = Mutex::new(());

/// Waits until no other large picture is in memory, where this is one.
pub(super) fn alone(large: bool) -> Option<MutexGuard<'static, ()>> {
    large.then(|| LARGE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A picture from [`fit`], or a frame, as `[C, H, W]`: divided by 255, the mean subtracted, divided by the deviation.
///
/// # Errors
/// [`Error::Input`] for a picture that is not of the network's size and channels.
pub fn normalise(picture: &DynamicImage, config: &Config) -> Result<Vec<f32>> {
    let bytes = picture.as_bytes();
    let [height, width] = config.image_size;
    if (picture.width(), picture.height()) != (width, height)
        || bytes.len() * config.frames as usize != config.image_values()
    {
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

/// Resizing and centre crop in one: only the pixels of the crop are computed, so that a picture of 20,000 by 1
/// never becomes one of millions by 248.
fn resample(picture: Pixels, extent: &Extent, config: &Config) -> Result<Pixels> {
    let (width, height) = (picture.width, picture.height);
    if width == 0 || height == 0 {
        return Err(Error::Input("the picture has no pixels".into()));
    }
    let size = config.image_size;
    let Crop { whole, first } = Crop::new(extent.size, size, &config.preprocess);
    let [(top, rows), (left, columns)] = [0, 1].map(|side| {
        let length = f64::from(extent.size[side]);
        let scale = length / whole[side] as f64;
        let start = first[side] as f64 * scale;
        extent.stretch(side, start, f64::from(size[side]) * scale)
    });
    // Rows that the crop is made of, with those that the filter reaches.
    let reach = REACH * (rows / f64::from(size[0])).max(1.0) + 1.0;
    let first = (top - reach).floor().max(0.0) as u32;
    let last = ((top + rows + reach).ceil() as u32).min(height);
    let window = [left, f64::from(first), columns, f64::from(last - first)];
    let top = top - f64::from(first);

    // First across, then down, rounded and clamped to 8 bits in between, as Pillow does it; but a picture so tall that what
    // is in between would be large goes down first, which may differ by 1 of 255.
    let resample = config.preprocess.resample;
    if u64::from(last - first) * u64::from(size[1]) <= MOST_BETWEEN {
        let across = resize(picture, [last - first, size[1]], window, resample)?;
        resize(across, size, [0.0, top, f64::from(size[1]), rows], resample)
    } else {
        let window = [0.0, top + f64::from(first), f64::from(width), rows];
        let down = resize(picture, [size[0], width], window, resample)?;
        resize(down, size, [left, 0.0, columns, f64::from(size[0])], resample)
    }
}

/// How far the widest filter reaches, in pixels of the larger of both pictures: Lanczos'.
const REACH: f64 = 3.0;
/// Pixels that may lie between the two passes.
const MOST_BETWEEN: u64 = 1 << 26;

/// A picture's window `[left, top, columns, rows]` at another size, `[height, width]`.
fn resize(picture: Pixels, size: [u32; 2], window: [f64; 4], resample: Resample) -> Result<Pixels> {
    let failed = |error: String| Error::Input(format!("the picture cannot be resized: {error}"));
    let filter = match resample {
        Resample::Bicubic => FilterType::CatmullRom,
        Resample::Bilinear => FilterType::Bilinear,
        Resample::Lanczos => FilterType::Lanczos3,
        Resample::Box => FilterType::Box,
        Resample::Hamming => FilterType::Hamming,
    };
    let kind = picture.kind();
    let source = ImageRef::new(picture.width, picture.height, &picture.bytes, kind)
        .map_err(|error| failed(error.to_string()))?;
    let mut resized = Image::new(size[1], size[0], kind);
    let [left, top, columns, rows] = window;
    let options =
        ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).crop(left, top, columns, rows);
    Resizer::new().resize(&source, &mut resized, &options).map_err(|error| failed(error.to_string()))?;
    Ok(Pixels { width: size[1], height: size[0], bytes: resized.into_vec(), ..picture })
}
