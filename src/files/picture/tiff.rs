//! What `image` does not tell of a TIFF.

use std::io::Cursor;

use image::DynamicImage;
use tiff::decoder::Decoder;
use tiff::tags::{PhotometricInterpretation, SampleFormat, Tag};

fn number(bytes: &[u8], tag: Tag) -> Option<u32> {
    let values = Decoder::new(Cursor::new(bytes)).ok()?.find_tag(tag).ok()??.into_u32_vec().ok()?;
    values.first().copied()
}

/// Whether colours have been multiplied by alpha.
pub(super) fn is_premultiplied(bytes: &[u8]) -> bool {
    number(bytes, Tag::ExtraSamples) == Some(1)
}

/// The kind of a TIFF in words.
pub(super) fn kind(bytes: &[u8]) -> String {
    let is = |tag, value| number(bytes, tag) == Some(value);
    let bits = number(bytes, Tag::BitsPerSample).unwrap_or(1);
    let photometric =
        |kind: PhotometricInterpretation| is(Tag::PhotometricInterpretation, kind.to_u16().into());
    let what = if photometric(PhotometricInterpretation::RGBPalette) {
        "with a palette"
    } else if photometric(PhotometricInterpretation::YCbCr) {
        "in YCbCr"
    } else if photometric(PhotometricInterpretation::CIELab) {
        "in Lab"
    } else if is(Tag::SampleFormat, SampleFormat::IEEEFP.to_u16().into()) {
        "of floats"
    } else if is(Tag::SampleFormat, SampleFormat::Int.to_u16().into()) {
        "of signed numbers"
    } else {
        "of another kind"
    };
    format!("a TIFF {what}, {bits} bits a sample")
}

/// Colours as they were before they were multiplied by alpha, as Pillow rounds them.
pub(super) fn divide_by_alpha(pixels: &mut DynamicImage) {
    if let DynamicImage::ImageRgba8(pixels) = pixels {
        for pixel in pixels.pixels_mut() {
            let alpha = u32::from(pixel.0[3]);
            let whole = |value: u8| match alpha {
                0 => 0,
                _ => (255 * u32::from(value) / alpha).min(255) as u8,
            };
            let [r, g, b, _] = pixel.0;
            (pixel.0[0], pixel.0[1], pixel.0[2]) = (whole(r), whole(g), whole(b));
        }
    }
}
