//! A sound as a network hears it.

use std::io::Cursor;
use std::path::Path;

use symphonia::core::io::MediaSource;

use super::super::broken;
use super::decode::{Decoded, decode};
use super::fbank::Windows;
use super::resample::resample;
use crate::error::{Error, Result};
use crate::regular;
use crate::vit::{Config, Sound};

/// A sound as a network hears it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Heard {
    /// `[bands, windows]`, or `[windows, bands]` for a network of [`Sound::time_first`], normalised: the network's image.
    pub values: Vec<f32>,
    /// Windows that the sound fills; the others are silence.
    pub windows: usize,
    /// What of the sound is not heard as it is, a phrase each: mixed, brought to another rate, cut off.
    pub changes: Vec<String>,
}

/// A sound file as a network hears it: WAV, FLAC or Ogg Vorbis, known by its content. Channels become their mean, another rate
/// than the network's is resampled, and the file is read no further than the network hears.
///
/// # Errors
/// [`Error::File`] for a file that cannot be read, is no sound or one of another kind, is cut short or otherwise broken, or
/// shorter than a window of 25 ms; [`Error::Input`] for a network that hears no sounds.
pub fn hear(path: &Path, config: &Config) -> Result<Heard> {
    let file = regular::open(path).map_err(|error| broken(path, error.to_string()))?;
    of_source(Box::new(file), path, config)
}

/// [`hear`] of bytes in memory; `name` is for messages.
///
/// # Errors
/// As [`hear`].
pub fn hear_bytes(bytes: &[u8], name: &Path, config: &Config) -> Result<Heard> {
    of_source(Box::new(Cursor::new(bytes)), name, config)
}

/// Samples of one channel in [-1, 1], `rate` a second, as a network hears them.
///
/// # Errors
/// [`Error::Input`] for fewer than a window of 25 ms, samples that are no numbers, a rate that cannot be resampled, and a
/// network that hears no sounds.
pub fn hear_samples(samples: &[f32], rate: u32, config: &Config) -> Result<Heard> {
    let most = most(config, rate)?;
    if let Some(at) = samples.iter().position(|sample| !sample.is_finite()) {
        return Err(Error::Input(format!("sample {at} is no number")));
    }
    let (more, samples) = (samples.len() > most, samples[..samples.len().min(most)].to_vec());
    of_decoded(Decoded { samples, rate, channels: 1, more }, config)
}

fn of_source(source: Box<dyn MediaSource + '_>, name: &Path, config: &Config) -> Result<Heard> {
    listens(config)?;
    let decoded = decode(source, name, |rate| most(config, rate).unwrap_or(0))?;
    of_decoded(decoded, config).map_err(|error| match error {
        Error::Input(why) => broken(name, why),
        error => error,
    })
}

fn listens(config: &Config) -> Result<&Sound> {
    config.sound.as_ref().ok_or_else(|| Error::Input("the network sees pictures; it hears no sounds".into()))
}

/// Samples that are heard, at a rate: those of all windows, and what the last may need of those behind to be resampled.
fn most(config: &Config, rate: u32) -> Result<usize> {
    let sound = listens(config)?;
    let own = sound.sampling_rate;
    let heard = Windows::new(own).samples(sound.bands_and_windows(config.image_size)[1] as usize) as u64;
    let behind = if rate == own { 0 } else { u64::from(rate) };
    Ok((heard * u64::from(rate)).div_ceil(u64::from(own)).saturating_add(behind) as usize)
}

fn of_decoded(Decoded { mut samples, rate, channels, more }: Decoded, config: &Config) -> Result<Heard> {
    let sound = listens(config)?;
    let [bands, all] = sound.bands_and_windows(config.image_size).map(|count| count as usize);
    let windows = Windows::new(sound.sampling_rate);
    let heard = windows.samples(all);
    let mut changes = Vec::new();
    if channels > 1 {
        changes.push(format!("its {channels} channels are mixed"));
    }
    if rate != sound.sampling_rate {
        changes.push(format!("its {rate} samples a second are resampled to {}", sound.sampling_rate));
    }
    samples.truncate(most(config, rate)?);
    let samples = resample(samples, rate, sound.sampling_rate)?;
    let filled = windows.within(samples.len()).min(all);
    if filled == 0 {
        return Err(Error::Input(format!(
            "is {} samples long, less than a window of {}",
            samples.len(),
            windows.length
        )));
    }
    if more || windows.within(samples.len()) > all {
        let seconds = heard as f64 / f64::from(sound.sampling_rate);
        changes.push(format!("its first {seconds:.2} s are heard"));
    }
    let silence = normal(0.0, sound);
    let mut values = vec![silence; bands * all];
    for (window, energies) in windows.energies(&samples, bands, filled).chunks_exact(bands).enumerate() {
        for (band, &energy) in energies.iter().enumerate() {
            let at = if sound.time_first { window * bands + band } else { band * all + window };
            values[at] = normal(energy, sound);
        }
    }
    Ok(Heard { values, windows: filled, changes })
}

fn normal(value: f32, sound: &Sound) -> f32 {
    (value - sound.mean) / (2.0 * sound.std)
}
