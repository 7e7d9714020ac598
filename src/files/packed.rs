//! Pictures of any shape as a network's input, as transformers' `Siglip2ImageProcessor` makes it.

use std::path::Path;

use image::DynamicImage;

use super::picture::{self, Picture};
use super::preprocess::{alone, fit};
use crate::error::{Error, Result};
use crate::vit::{self, Config, Resize};

/// A picture of any shape as a network sees it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PackedPicture {
    /// Resized to its patches, and as [`fit`](super::fit) gives it otherwise.
    pub picture: DynamicImage,
    /// Rows and columns of patches.
    pub grid: [u32; 2],
    /// The network's input, [packed](Config::pack).
    pub values: Vec<f32>,
}

/// A picture as the input of a network that takes pictures of any shape: resized to as many patches as fit, keeping its
/// proportions as nearly as whole patches allow, normalised, and [packed](Config::pack).
///
/// # Errors
/// [`Error::Input`] for a picture without pixels, and for a network that takes pictures of one shape.
pub fn pack(picture: impl Into<Picture>, config: &Config) -> Result<PackedPicture> {
    let Some(packed) = config.packed else {
        return Err(Error::Input("the network takes pictures of one shape".into()));
    };
    let mut picture: Picture = picture.into();
    if config.preprocess.exif {
        picture.pixels.apply_orientation(picture.orientation);
    }
    let (pixels, patch) = (picture.pixels, config.patch_size);
    let grid = packed.grid_of([pixels.height(), pixels.width()], patch);
    let fixed = config.clone().with(|config| {
        config.packed = None;
        config.image_size = [0, 1].map(|side| grid[side].saturating_mul(patch[side]));
        (config.preprocess.resize, config.preprocess.crop, config.preprocess.exif) =
            (Resize::Squash, 1.0, false);
    });
    let fitted = fit(pixels, &fixed)?;
    let [height, width] = fixed.image_size.map(|side| side as usize);
    let values: Vec<f32> = vit::normalise(fitted.as_bytes(), &config.preprocess).collect();
    // From [channels, height, width] to patches of [height, width, channels].
    let [rows, columns] = patch.map(|side| side as usize);
    let mut patches = Vec::with_capacity(values.len());
    for i in 0..values.len() / (rows * columns * config.in_chans as usize) {
        let (top, left) = (i / grid[1] as usize * rows, i % grid[1] as usize * columns);
        for (y, x) in (0..rows * columns).map(|place| (top + place / columns, left + place % columns)) {
            patches.extend(
                (0..config.in_chans as usize).map(|channel| values[(channel * height + y) * width + x]),
            );
        }
    }
    Ok(PackedPicture { values: config.pack(&patches, grid)?, picture: fitted, grid })
}

/// [`pack`] of a picture file's bytes; `name` is for messages.
///
/// # Errors
/// As [`pack`] and [`decode_image`](super::decode_image), which name the file.
pub fn pack_bytes(bytes: &[u8], name: &Path, config: &Config) -> Result<PackedPicture> {
    let _alone = alone(picture::is_large(bytes, 1));
    pack(picture::decode_image(bytes, name)?, config).map_err(|error| match error {
        Error::Input(why) => super::broken(name, why),
        error => error,
    })
}

/// [`pack`] of a picture file.
///
/// # Errors
/// As [`pack_bytes`], and [`Error::File`](crate::Error::File) where it cannot be read.
pub fn load_packed(path: &Path, config: &Config) -> Result<PackedPicture> {
    pack_bytes(&picture::read(path)?, path, config)
}
