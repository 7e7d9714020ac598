//! A sound at another rate.

use std::ops::RangeInclusive;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

use crate::error::{Error, Result};

/// Rates that are resampled: the transform is as long as what two of them have not in common.
const RATES: RangeInclusive<u32> = 1_000..=1_000_000;
/// Samples in a stretch that is resampled at once.
const STRETCH: usize = 1024;

/// Samples at `from` a second as such at `to`: what is higher than either can hold is taken out.
///
/// # Errors
/// [`Error::Input`] for rates that cannot be.
pub(super) fn resample(samples: Vec<f32>, from: u32, to: u32) -> Result<Vec<f32>> {
    if from == to {
        return Ok(samples);
    }
    let failed = |why: String| {
        Error::Input(format!("a sound of {from} samples a second cannot be brought to {to}: {why}"))
    };
    if !RATES.contains(&from) {
        return Err(failed(format!("{} to {} are", RATES.start(), RATES.end())));
    }
    let [from_rate, to_rate] = [from, to].map(|rate| rate as usize);
    let window = WindowFunction::BlackmanHarris2;
    let made = Fft::<f32>::new_custom(from_rate, to_rate, STRETCH, 1, 1, window, FixedSync::Input);
    let mut resampler = made.map_err(|error| failed(error.to_string()))?;
    let input =
        InterleavedSlice::new(&samples, 1, samples.len()).map_err(|error| failed(error.to_string()))?;
    let done =
        resampler.process_all(&input, samples.len(), None).map_err(|error| failed(error.to_string()))?;
    Ok(done.take_data())
}
