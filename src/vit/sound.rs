//! How a sound becomes a network's input.

use std::fmt;

use crate::error::{Error, Result};

/// The way a sound becomes a network's input, as transformers' `ASTFeatureExtractor` does it: Kaldi's `fbank`, the logarithm
/// of the energy in windows of 25 ms every 10 ms, in mel bands from 20 Hz to half the rate. The image has a row for each band and a
/// column for each window, or the other way round. What is missing of its windows is silence of value 0, what is too much is
/// not heard.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sound {
    /// Samples a second that a sound is brought to.
    pub sampling_rate: u32,
    /// Subtracted from each value, those of the silence that fills up too.
    pub mean: f32,
    /// Each value is divided by twice this afterwards.
    pub std: f32,
    /// Whether the image has a row for each window and a column for each band, from the lowest on, as AudioMAE's; otherwise a row
    /// for each band.
    pub time_first: bool,
    /// What says all this, for people: a file, or the rule by which it was assumed.
    pub source: String,
}

impl Sound {
    /// What `ASTFeatureExtractor` does where its file says nothing else: 16 kHz, and mean and deviation of AudioSet.
    pub fn audio_set(source: impl Into<String>) -> Self {
        Sound {
            sampling_rate: 16_000,
            mean: -4.267_739_3,
            std: 4.568_997_4,
            time_first: false,
            source: source.into(),
        }
    }

    /// What AudioMAE hears: the same, with a row for each window.
    pub fn audio_mae(source: impl Into<String>) -> Self {
        Sound { time_first: true, ..Self::audio_set(source) }
    }

    /// How many bands and windows an image of a height and width has.
    pub fn bands_and_windows(&self, image_size: [u32; 2]) -> [u32; 2] {
        let [height, width] = image_size;
        if self.time_first { [width, height] } else { [height, width] }
    }

    /// Checks that the numbers make sense.
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |field: &str, why: String| Err(Error::Config { field: field.into(), why });
        // A window has two samples at least, and half a rate is more than 20 Hz.
        if !(1_000..=1_000_000).contains(&self.sampling_rate) {
            return wrong(
                "sampling_rate",
                format!("{} is not between 1000 and 1000000 a second", self.sampling_rate),
            );
        }
        if !(self.mean.is_finite() && self.std.is_finite() && self.std > 0.0) {
            return wrong(
                "mean, std",
                format!("{}, {} are not finite, or std is not positive", self.mean, self.std),
            );
        }
        Ok(())
    }
}

/// In words: `16000 Hz, mel bands in windows of 25 ms, mean -4.27, twice std 4.57 (SOURCE)`.
impl fmt::Display for Sound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sound { sampling_rate, mean, std, source, .. } = self;
        write!(
            f,
            "{sampling_rate} Hz, mel bands in windows of 25 ms, mean {mean}, twice std {std} ({source})"
        )
    }
}
