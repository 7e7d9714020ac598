//! A picture file by its content.

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::super::broken;
use super::extent::Extent;
use super::{gif, jpeg, kind, tiff};
use crate::error::Result;
use crate::regular;

/// The pixels at which Pillow stops, whatever their type: twice a quarter of a GiB over three.
const MOST_PIXELS: u64 = 178_956_970;
/// More are decoded one picture at a time.
const LARGE_PIXELS: u64 = 1 << 24;
/// The most bytes of a file, and of a picture as it is decoded.
const MOST_BYTES: u64 = 1 << 30;

/// A decoded picture, and how it has to be turned to stand upright.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Picture {
    /// The pixels as they are stored.
    pub pixels: DynamicImage,
    /// What the camera says in EXIF data; [`fit`](crate::files::fit) turns the picture where the network's
    /// [`Preprocess::exif`](crate::vit::Preprocess::exif) asks for it.
    pub orientation: Orientation,
}

impl From<DynamicImage> for Picture {
    fn from(pixels: DynamicImage) -> Self {
        Picture { pixels, orientation: Orientation::NoTransforms }
    }
}

/// Decodes a picture file: PNG, JPEG, WebP, BMP, GIF, TIFF or PNM, known by its content, whatever its name. The pixels are
/// those that Pillow's `Image.open(path).convert("RGB")` gives: the first frame of an animation, a GIF's on its whole
/// canvas, a TIFF turned as its orientation says, 16 bits of grey clipped. A picture of more than 178,956,970 pixels, at
/// which Pillow stops too, is refused before it is decoded.
///
/// # Errors
/// [`Error::File`](crate::Error::File) for a file that cannot be read, is no picture or one of another kind, is cut short or
/// otherwise broken, or too large.
pub fn open_image(path: &Path) -> Result<Picture> {
    decode_image(&read(path)?, path)
}

/// A picture file's bytes.
pub(in super::super) fn read(path: &Path) -> Result<Vec<u8>> {
    regular::read(path, MOST_BYTES).map_err(|error| broken(path, error.to_string()))
}

/// Whether a picture, decoded at a scale, takes as much memory as more pixels than [`LARGE_PIXELS`], or cannot be asked;
/// what is said of it is small to read.
pub(in super::super) fn is_large(bytes: &[u8], scale: u32) -> bool {
    let size = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map(ImageReader::into_dimensions);
    let header = libjpeg_turbo_rs::Decoder::new(bytes).map(|jpeg| {
        let header = jpeg.header();
        // A progressive one is in memory as a whole before it is scaled.
        let scale = if header.is_progressive { 1 } else { scale };
        [header.width, header.height].map(|side| u32::from(side).div_ceil(scale))
    });
    let (width, height) = match (size, header) {
        (_, Ok([width, height])) => (width, height),
        (Ok(Ok(size)), _) => size,
        _ => return bytes.len() as u64 > LARGE_PIXELS,
    };
    is_many(u64::from(width) * u64::from(height))
}

/// Whether so many pixels are those of a large picture.
pub(in super::super) fn is_many(pixels: u64) -> bool {
    pixels > LARGE_PIXELS
}

/// [`open_image`] of bytes in memory; `name` is for messages.
///
/// # Errors
/// As [`open_image`].
pub fn decode_image(bytes: &[u8], name: &Path) -> Result<Picture> {
    decode_at(bytes, name, 1).map(|stored| stored.picture)
}

/// A picture in as many pixels as it has, or in fewer.
pub(in super::super) struct Stored {
    pub picture: Picture,
    pub extent: Extent,
}

impl From<Picture> for Stored {
    fn from(picture: Picture) -> Self {
        let extent = Extent::new([picture.pixels.height(), picture.pixels.width()], 1);
        Stored { picture, extent }
    }
}

/// [`decode_image`], a JPEG at a scale.
pub(in super::super) fn decode_at(bytes: &[u8], name: &Path, scale: u32) -> Result<Stored> {
    let failed = |why: String| broken(name, why.replace(['\n', '\r'], " "));
    match kind::format(bytes) {
        _ if kind::is_other(bytes) => Err(failed(kind::of_bytes(bytes))),
        Some(ImageFormat::Jpeg) => {
            let (picture, extent) = jpeg::decode(bytes, scale).map_err(failed)?;
            Ok(Stored { picture, extent })
        }
        Some(ImageFormat::Gif) => {
            gif::decode(bytes).map(|pixels| Picture::from(pixels).into()).map_err(failed)
        }
        Some(format) if kind::is_picture(bytes) => by_image(bytes, format).map(Stored::from).map_err(failed),
        _ => Err(failed(kind::of_bytes(bytes))),
    }
}

/// Whether there are pixels, and not too many.
pub(super) fn check_size(width: u64, height: u64) -> Result<(), String> {
    match width.checked_mul(height) {
        Some(0) => Err(format!("is a broken picture: {width} x {height} pixels")),
        Some(pixels) if pixels <= MOST_PIXELS => Ok(()),
        _ => {
            Err(format!("{width} x {height} pixels are too many; {MOST_PIXELS} are allowed. Make it smaller"))
        }
    }
}

fn by_image(bytes: &[u8], format: ImageFormat) -> Result<Picture, String> {
    let said = |error: image::ImageError| match (&error, format) {
        (image::ImageError::Unsupported(_), ImageFormat::Tiff) => {
            format!("is {}, which is not supported; save it as 8-bit RGB", tiff::kind(bytes))
        }
        (image::ImageError::Unsupported(_), _) => format!("{error}; save it as PNG or JPEG"),
        _ => format!("is a broken {} picture: {error}", format!("{format:?}").to_ascii_uppercase()),
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(said)?;
    let (width, height) = decoder.dimensions();
    check_size(width.into(), height.into())?;
    if decoder.total_bytes() > MOST_BYTES {
        return Err(format!(
            "takes {} bytes decoded, which are too many; make it smaller",
            decoder.total_bytes()
        ));
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut pixels = DynamicImage::from_decoder(decoder).map_err(said)?;
    if format != ImageFormat::Tiff {
        return Ok(Picture { pixels, orientation });
    }
    // Pillow hands out a TIFF turned and without what its alpha has been multiplied into.
    pixels.apply_orientation(orientation);
    if tiff::is_premultiplied(bytes) {
        tiff::divide_by_alpha(&mut pixels);
    }
    Ok(pixels.into())
}
