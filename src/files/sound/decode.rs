//! A sound file by its content.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as Failure;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::MetadataOptions;
use symphonia::default::{get_codecs, get_probe};

use super::super::broken;
use crate::error::Result;

/// The most channels of a file.
const MOST_CHANNELS: usize = 64;

/// What has been read of a sound.
pub(super) struct Decoded {
    /// The mean of the channels in [-1, 1].
    pub samples: Vec<f32>,
    /// Samples a second.
    pub rate: u32,
    /// Channels of the file.
    pub channels: usize,
    /// Whether the file goes on.
    pub more: bool,
}

/// Whether a file that begins with these bytes (16 are enough) is a sound of a kind that is read.
pub fn is_sound(begin: &[u8]) -> bool {
    let wave = begin.get(8..12) == Some(b"WAVE");
    begin.starts_with(b"fLaC") || begin.starts_with(b"OggS") || begin.starts_with(b"RIFF") && wave
}

/// The first `most` samples of a sound (given its rate) and no more than a packet besides.
///
/// # Errors
/// [`Error::File`](crate::Error::File) for what is no sound, one of another kind, without samples, cut short before that, or
/// otherwise broken.
pub(super) fn decode(
    source: Box<dyn MediaSource + '_>,
    name: &Path,
    most: impl Fn(u32) -> usize,
) -> Result<Decoded> {
    let failed = |why: String| broken(name, why.replace(['\n', '\r'], " "));
    // Where sums that overflow are looked for, the library's own can panic on broken files.
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        let (hint, stream) = (Hint::new(), MediaSourceStream::new(source, Default::default()));
        let opened = get_probe().probe(&hint, stream, FormatOptions::default(), MetadataOptions::default());
        let mut format = opened.map_err(|error| unknown(&error))?;
        decode_track(&mut *format, most)
    }));
    decoded.unwrap_or_else(|_| Err("is a broken sound: its decoder failed".into())).map_err(failed)
}

fn unknown(error: &Failure) -> String {
    let read =
        "WAV, FLAC and Ogg Vorbis are read; ffmpeg -i IN -ac 1 -ar 16000 OUT.wav makes one of what is not";
    match error {
        Failure::IoError(error) if error.kind() != ErrorKind::UnexpectedEof => {
            format!("cannot be read: {error}")
        }
        Failure::IoError(_) | Failure::Unsupported(_) => format!("is no sound that is known ({read})"),
        error => format!("is a broken sound: {error} ({read})"),
    }
}

fn decode_track(format: &mut dyn FormatReader, most: impl Fn(u32) -> usize) -> Result<Decoded, String> {
    let track = format.default_track(TrackType::Audio).ok_or("has no sound in it")?;
    let id = track.id;
    let about = track.codec_params.as_ref().and_then(|codec| codec.audio());
    let about = about.ok_or("does not say how its sound is coded")?;
    let decoder = get_codecs().make_audio_decoder(about, &AudioDecoderOptions::default());
    let mut decoder = decoder.map_err(|_| {
        "is coded in a way that is not supported; ffmpeg -i IN -ac 1 -ar 16000 OUT.wav makes one that is"
            .to_owned()
    })?;
    let mut sound = Decoded { samples: Vec::new(), rate: 0, channels: 0, more: false };
    let mut interleaved: Vec<f32> = Vec::new();
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) if packet.track_id == id => packet,
            Ok(Some(_)) => continue,
            // A stream after the first in one file is another sound.
            Ok(None) | Err(Failure::ResetRequired) => break,
            Err(error) => return Err(spoilt(&error, &sound)),
        };
        let decoded = decoder.decode(&packet).map_err(|error| spoilt(&error, &sound))?;
        let (rate, channels) = (decoded.spec().rate(), decoded.spec().channels().count());
        if sound.samples.is_empty() {
            if rate == 0 || channels == 0 || channels > MOST_CHANNELS {
                return Err(format!(
                    "has {channels} channels of {rate} samples a second; 1 to {MOST_CHANNELS} are read"
                ));
            }
            (sound.rate, sound.channels) = (rate, channels);
        } else if (rate, channels) != (sound.rate, sound.channels) {
            return Err("changes its rate or its channels on the way".into());
        }
        decoded.copy_to_vec_interleaved(&mut interleaved);
        let mean = |frame: &[f32]| frame.iter().sum::<f32>() / channels as f32;
        sound.samples.extend(interleaved.chunks_exact(channels).map(mean));
        if sound.samples.len() >= most(rate) {
            sound.more =
                format.next_packet().is_ok_and(|packet| packet.is_some()) || sound.samples.len() > most(rate);
            break;
        }
    }
    if sound.samples.is_empty() {
        return Err("has no samples".into());
    }
    if let Some(at) = sound.samples.iter().position(|sample| !sample.is_finite()) {
        return Err(format!("has a sample that is no number, {at} from the beginning"));
    }
    Ok(sound)
}

fn spoilt(error: &Failure, sound: &Decoded) -> String {
    let at = match sound.rate {
        0 => "at its beginning".to_owned(),
        rate => format!("after {:.2} s", sound.samples.len() as f64 / f64::from(rate)),
    };
    match error {
        Failure::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => format!("is cut short {at}"),
        error => format!("is broken {at}: {error}"),
    }
}
