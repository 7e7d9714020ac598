//! Images as a network is given them.

use std::borrow::Cow;

use super::config::Config;
use super::preprocess::Preprocess;
#[cfg(feature = "run")]
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
}

impl<'a> Images<'a> {
    /// Their kind.
    pub fn input(&self) -> Input {
        match self {
            Images::Normalised(_) => Input::Floats,
            Images::Pixels(_) => Input::Pixels,
        }
    }

    /// How many images of a network they are: a whole number, and not none.
    #[cfg(feature = "run")]
    pub(crate) fn count(&self, config: &Config) -> Result<usize> {
        let (given, per_image) = (self.len(), config.image_values());
        if given == 0 || !given.is_multiple_of(per_image) {
            return Err(Error::Input(format!("{given} values are no whole number of images of {per_image}")));
        }
        Ok(given / per_image)
    }

    /// Values of all images.
    pub fn len(&self) -> usize {
        match self {
            Images::Normalised(values) => values.len(),
            Images::Pixels(pixels) => pixels.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes that they are uploaded as.
    pub fn bytes(&self) -> &'a [u8] {
        match self {
            Images::Normalised(values) => bytemuck::cast_slice(values),
            Images::Pixels(pixels) => pixels,
        }
    }

    /// The first values and the others.
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
        }
    }

    /// The same, normalised for a network whose images they are.
    pub fn normalised(self, config: &Config) -> Cow<'a, [f32]> {
        match self {
            Images::Normalised(values) => values.into(),
            Images::Pixels(pixels) => {
                let frames = pixels.chunks_exact(config.image_values() / config.frames as usize);
                frames.flat_map(|frame| normalise(frame, &config.preprocess)).collect::<Vec<_>>().into()
            }
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
