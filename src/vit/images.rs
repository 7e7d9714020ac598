//! Images as a network is given them.

use std::borrow::Cow;

use super::config::Config;
use super::preprocess::Preprocess;
#[cfg(feature = "run")]
use super::textures;
use crate::error::{Error, Result};

/// A kind of images: what a plan's first kernels make of its input buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Input {
    /// [`Images::Normalised`]
    #[default]
    Floats,
    /// [`Images::Pixels`]
    Pixels,
    /// [`Images::Textures`]
    Textures,
}

/// Any number of images, one after the other.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Images<'a> {
    /// `[batch, in_chans, height, width]`, normalised; with several frames `[batch, frames, in_chans, height, width]`.
    Normalised(&'a [f32]),
    /// `[batch, height, width, in_chans]`, or `[batch, frames, height, width, in_chans]`: bytes, as pictures are decoded, a quarter of the values' size. The first
    /// kernel normalises them by the mean and deviation in [`Preprocess`].
    Pixels(&'a [u8]),
    /// `[batch]`, or `[batch, frames]`: pictures of any size on the network's own device, which stay there. Each is
    /// cropped and resized as [`Preprocess`] says (`exif` is up to who has the picture), from the bytes that are stored:
    /// as `rgba8unorm` or `bgra8unorm`, with or without sRGB, which are read alike. Alpha is dropped; a network of one
    /// channel is shown luma after ITU-R 601.
    Textures(&'a [wgpu::Texture]),
}

impl<'a> Images<'a> {
    /// Their kind.
    pub fn input(&self) -> Input {
        match self {
            Images::Normalised(_) => Input::Floats,
            Images::Pixels(_) => Input::Pixels,
            Images::Textures(_) => Input::Textures,
        }
    }

    /// How many images of a network they are: a whole number, and not none. Textures are such as can be read.
    #[cfg(feature = "run")]
    pub(crate) fn count(&self, config: &Config) -> Result<usize> {
        self.check_sense(config)?;
        let (given, per_image) = (self.len(), self.per_image(config));
        if given == 0 || !given.is_multiple_of(per_image) {
            let kind = if self.input() == Input::Textures { "textures" } else { "values" };
            return Err(Error::Input(format!("{given} {kind} are no whole number of images of {per_image}")));
        }
        if let Images::Textures(all) = self {
            textures::check_channels(config)?;
            all.iter().try_for_each(|texture| textures::check(texture).map(drop))?;
        }
        Ok(given / per_image)
    }

    /// Whether the network has a sense for them.
    fn check_sense(&self, config: &Config) -> Result<()> {
        if self.input() == Input::Floats {
            return Ok(());
        }
        if config.sound.is_some() {
            return Err(Error::Input(
                "the network hears sounds; give a spectrogram's values, no pixels".into(),
            ));
        }
        if config.packed.is_some() {
            return Err(Error::Input("pictures of any shape are packed into floats: `Config::pack`".into()));
        }
        Ok(())
    }

    /// Values of an image of a network, or its textures.
    #[cfg(feature = "run")]
    pub(crate) fn per_image(&self, config: &Config) -> usize {
        if self.input() == Input::Textures { config.frames as usize } else { config.image_values() }
    }

    /// Values of all images; or how many textures they are.
    pub fn len(&self) -> usize {
        match self {
            Images::Normalised(values) => values.len(),
            Images::Pixels(pixels) => pixels.len(),
            Images::Textures(textures) => textures.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes that they are uploaded as: none of textures.
    pub fn bytes(&self) -> &'a [u8] {
        match self {
            Images::Normalised(values) => bytemuck::cast_slice(values),
            Images::Pixels(pixels) => pixels,
            Images::Textures(_) => &[],
        }
    }

    /// The first values, or textures, and the others.
    ///
    /// # Panics
    /// Where there are fewer.
    pub fn split_at(self, values: usize) -> (Self, Self) {
        match self {
            Images::Normalised(all) => {
                let (first, others) = all.split_at(values);
                (Images::Normalised(first), Images::Normalised(others))
            }
            Images::Pixels(all) => {
                let (first, others) = all.split_at(values);
                (Images::Pixels(first), Images::Pixels(others))
            }
            Images::Textures(all) => {
                let (first, others) = all.split_at(values);
                (Images::Textures(first), Images::Textures(others))
            }
        }
    }

    /// The same, normalised for a network whose images they are.
    ///
    /// # Errors
    /// [`Error::Input`] for textures, which are read on their device, and for pixels where the network hears or takes pictures of
    /// any shape.
    pub fn normalised(self, config: &Config) -> Result<Cow<'a, [f32]>> {
        self.check_sense(config)?;
        match self {
            Images::Normalised(values) => Ok(values.into()),
            Images::Pixels(pixels) => {
                let frames = pixels.chunks_exact(config.image_values() / config.frames as usize);
                let normalised = frames.flat_map(|frame| normalise(frame, &config.preprocess));
                Ok(normalised.collect::<Vec<_>>().into())
            }
            Images::Textures(_) => Err(Error::Input(
                "textures, which can be read on their GPU only, for what runs on the CPU; give pixels".into(),
            )),
        }
    }
}

/// The pixels of one frame, `[height, width, channels]`, as `[channels, height, width]`: divided by 255, the mean
/// subtracted, divided by the deviation.
pub(crate) fn normalise<'a>(pixels: &'a [u8], preprocess: &'a Preprocess) -> impl Iterator<Item = f32> + 'a {
    let channels = preprocess.mean.len();
    preprocess.mean.iter().zip(&preprocess.std).enumerate().flat_map(move |(channel, (mean, std))| {
        let values = pixels.iter().skip(channel).step_by(channels);
        values.map(move |&value| (f32::from(value) / 255.0 - mean) / std)
    })
}

impl<'a> From<&'a [f32]> for Images<'a> {
    fn from(values: &'a [f32]) -> Self {
        Images::Normalised(values)
    }
}

impl<'a> From<&'a Vec<f32>> for Images<'a> {
    fn from(values: &'a Vec<f32>) -> Self {
        Images::Normalised(values)
    }
}

impl<'a> From<&'a [u8]> for Images<'a> {
    fn from(pixels: &'a [u8]) -> Self {
        Images::Pixels(pixels)
    }
}

impl<'a> From<&'a Vec<u8>> for Images<'a> {
    fn from(pixels: &'a Vec<u8>) -> Self {
        Images::Pixels(pixels)
    }
}

impl<'a> From<&'a [wgpu::Texture]> for Images<'a> {
    fn from(textures: &'a [wgpu::Texture]) -> Self {
        Images::Textures(textures)
    }
}

impl<'a> From<&'a Vec<wgpu::Texture>> for Images<'a> {
    fn from(textures: &'a Vec<wgpu::Texture>) -> Self {
        Images::Textures(textures)
    }
}

impl<'a> From<&'a wgpu::Texture> for Images<'a> {
    fn from(texture: &'a wgpu::Texture) -> Self {
        Images::Textures(std::slice::from_ref(texture))
    }
}
