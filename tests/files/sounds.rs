use std::f32::consts::TAU;
use std::path::Path;

use safetensors::SafeTensors;
use tome_wgpu::files::{Heard, hear, hear_bytes, hear_samples, is_sound, load_model};
use tome_wgpu::vit::{Config, Sound};
use tome_wgpu::{Error, Result};

use crate::golden;
use crate::place::place;

const BANDS: usize = 64;
const TIMES: usize = 60;
const RATE: u32 = 16_000;

/// A network that hears 0.6 s.
fn ears() -> Config {
    let config = Config::preset("vit_tiny_patch16_224").unwrap();
    config.with(|config| {
        (config.in_chans, config.image_size) = (1, [BANDS as u32, TIMES as u32]);
        config.sound = Some(Sound::audio_set("a test"));
    })
}

fn fixture(name: &str) -> Vec<u8> {
    let path = place!("CARGO_MANIFEST_DIR").join("tests/files/sounds.safetensors");
    let bytes = std::fs::read(path).unwrap();
    SafeTensors::deserialize(&bytes).unwrap().tensor(name).unwrap().data().to_vec()
}

fn heard(bytes: &[u8]) -> Result<Heard> {
    hear_bytes(bytes, Path::new("a.wav"), &ears())
}

/// Why a file is refused; its name is in the message.
fn refused(bytes: &[u8]) -> String {
    match heard(bytes) {
        Err(Error::File { path, why }) if path == "a.wav" => why,
        other => panic!("{other:?}"),
    }
}

/// A WAV file: format 1 is integers, 3 floats.
fn wav(format: u16, channels: u16, bits: u16, rate: u32, data: &[u8]) -> Vec<u8> {
    let block = channels * bits / 8;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + data.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    [format, channels].iter().for_each(|v| file.extend(v.to_le_bytes()));
    [rate, rate * u32::from(block)].iter().for_each(|v| file.extend(v.to_le_bytes()));
    [block, bits].iter().for_each(|v| file.extend(v.to_le_bytes()));
    file.extend(b"data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file
}

/// A tone of half a second in 16 bits.
fn tone(rate: u32) -> Vec<f32> {
    let sample = |i: u32| (0.5 * (TAU * 1000.0 * i as f32 / rate as f32).sin() * 32768.0).round() / 32768.0;
    (0..rate / 2).map(sample).collect()
}

fn bytes_of(samples: &[f32], bits: u16) -> Vec<u8> {
    let scaled = |sample: f32| (f64::from(sample) * f64::from(1u32 << (bits - 1))) as i64;
    let bytes = |sample: &f32| match bits {
        // Eight bits count from the middle.
        8 => vec![(scaled(*sample) + 128) as u8],
        _ => scaled(*sample).to_le_bytes()[..usize::from(bits / 8)].to_vec(),
    };
    samples.iter().flat_map(bytes).collect()
}

fn furthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The library computes in f64 and rounds to f32, and so does the crate.
#[test]
fn a_sound_is_heard_as_transformers_hears_it() {
    let library: Vec<f32> =
        fixture("heard").as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let wav = heard(&fixture("wav")).unwrap();
    assert_eq!((wav.windows, &wav.changes[..]), (48, &[][..]));
    let turned: Vec<f32> = (0..BANDS)
        .flat_map(|band| (0..TIMES).map(move |time| time * BANDS + band))
        .map(|at| library[at])
        .collect();
    let apart = furthest(&wav.values, &turned);
    assert!(apart < 2e-6, "{apart}");
    // Silence fills up.
    assert_eq!(wav.values[TIMES - 1], 4.267_739_3 / (2.0 * 4.568_997_4));
    assert_eq!(heard(&fixture("flac")).unwrap(), wav, "nothing is lost");
    let ogg = heard(&fixture("ogg")).unwrap();
    assert_eq!(ogg.windows, 48);
    let near =
        ogg.values.iter().zip(&wav.values).map(|(a, b)| (a - b).abs()).sum::<f32>() / wav.values.len() as f32;
    assert!(near > 1e-4 && near < 0.1, "{near}");
    for kind in ["wav", "flac", "ogg"] {
        assert!(is_sound(&fixture(kind)[..16]), "{kind}");
    }
    assert!(!is_sound(b"RIFF....WEBPVP8 ") && !is_sound(b"GIF89a") && !is_sound(b""));
}

/// Rows are windows where the network has them first.
#[test]
fn windows_may_come_first() {
    let lying = heard(&fixture("wav")).unwrap();
    let upright = ears().with(|config| {
        config.image_size = [TIMES as u32, BANDS as u32];
        config.sound = Some(Sound::audio_mae("a test"));
    });
    let got = hear_bytes(&fixture("wav"), Path::new("a.wav"), &upright).unwrap();
    assert_eq!((got.windows, &got.changes), (lying.windows, &lying.changes));
    for (at, value) in got.values.iter().enumerate() {
        assert_eq!(*value, lying.values[at % BANDS * TIMES + at / BANDS], "{at}");
    }
}

#[test]
fn samples_of_every_kind_are_the_same_sound() {
    let samples = tone(RATE);
    let want = hear_samples(&samples, RATE, &ears()).unwrap();
    for bits in [16, 24, 32] {
        let got = heard(&wav(1, 1, bits, RATE, &bytes_of(&samples, bits))).unwrap();
        assert_eq!(got, want, "{bits} bits");
    }
    let floats: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    assert_eq!(heard(&wav(3, 1, 32, RATE, &floats)).unwrap(), want);
    let doubles: Vec<u8> = samples.iter().flat_map(|&sample| f64::from(sample).to_le_bytes()).collect();
    assert_eq!(heard(&wav(3, 1, 64, RATE, &doubles)).unwrap(), want);
    // In 8 bits there is noise in the quiet bands, and the tone's own stays what it was.
    let coarse = heard(&wav(1, 1, 8, RATE, &bytes_of(&samples, 8))).unwrap();
    let loudest = |heard: &Heard| {
        (0..BANDS).max_by(|&a, &b| heard.values[a * TIMES].total_cmp(&heard.values[b * TIMES]))
    };
    let band = loudest(&want).unwrap();
    assert_eq!(loudest(&coarse), Some(band));
    assert!((coarse.values[band * TIMES] - want.values[band * TIMES]).abs() < 1e-2);
    // Three channels are their mean, which is said.
    let three: Vec<f32> = samples.iter().flat_map(|&sample| [sample, 0.0, 0.0]).collect();
    let mixed = heard(&wav(1, 3, 16, RATE, &bytes_of(&three, 16))).unwrap();
    let third: Vec<f32> = samples.iter().map(|sample| sample / 3.0).collect();
    assert!(furthest(&mixed.values, &hear_samples(&third, RATE, &ears()).unwrap().values) < 1e-4);
    assert_eq!(mixed.changes, ["its 3 channels are mixed"]);
}

/// A tone is the same tone at every rate, in the bands that hold it; and what is higher than 8 kHz is not heard.
#[test]
fn other_rates_are_resampled() {
    let want = hear_samples(&tone(RATE), RATE, &ears()).unwrap();
    let loud = |heard: &Heard| {
        heard.values.iter().map(|&value| if value > 0.3 { value } else { 0.0 }).collect::<Vec<_>>()
    };
    for rate in [8_000, 11_025, 22_050, 44_100, 48_000, 96_000] {
        let got = heard(&wav(1, 1, 16, rate, &bytes_of(&tone(rate), 16))).unwrap();
        assert_eq!(got.changes, [format!("its {rate} samples a second are resampled to 16000")]);
        assert!(got.windows.abs_diff(want.windows) <= 1, "{rate}: {}", got.windows);
        // The first and last windows see the edges, where what comes before and behind counts as silence.
        let inner = |values: &[f32]| -> Vec<f32> {
            values.chunks_exact(TIMES).flat_map(|band| band[2..44].to_vec()).collect()
        };
        let apart = furthest(&inner(&loud(&got)), &inner(&loud(&want)));
        assert!(apart < 5e-3, "{rate}: {apart}");
    }
    let high: Vec<f32> = (0..24_000).map(|i| 0.5 * (TAU * 12_000.0 * i as f32 / 48_000.0).sin()).collect();
    let silent = hear_samples(&high, 48_000, &ears()).unwrap();
    let loudest =
        silent.values.chunks_exact(TIMES).flat_map(|band| &band[2..44]).copied().fold(f32::MIN, f32::max);
    // A tone in the band has 1.3; 1.5 less is a thousandth of its amplitude.
    assert!(loudest < -0.2, "{loudest}");
}

#[test]
fn what_is_too_long_is_heard_from_its_beginning() {
    let samples: Vec<f32> = tone(RATE).repeat(4);
    let whole = wav(1, 1, 16, RATE, &bytes_of(&samples, 16));
    let got = heard(&whole).unwrap();
    assert_eq!(got.windows, TIMES);
    assert_eq!(got.changes, ["its first 0.61 s are heard"]);
    // What comes later is not even read.
    let most = RATE as usize * 2;
    assert_eq!(heard(&whole[..most]).unwrap(), got);
    // Just as long as what is heard: nothing is cut off.
    let exact = &samples[..400 + 59 * 160];
    assert_eq!(hear_samples(exact, RATE, &ears()).unwrap().changes, [""; 0]);
    assert_eq!(hear_samples(exact, RATE, &ears()).unwrap().values, got.values);
}

#[test]
fn broken_sounds_are_refused() {
    let whole = wav(1, 1, 16, RATE, &bytes_of(&tone(RATE), 16));
    assert!(
        refused(&whole[..whole.len() - 4000]).contains("is cut short after 0."),
        "{}",
        refused(&whole[..4000])
    );
    for at in 0..44 {
        refused(&whole[..at]);
    }
    assert_eq!(refused(&wav(1, 1, 16, RATE, &[])), "has no samples");
    let short = refused(&wav(1, 1, 16, RATE, &bytes_of(&tone(RATE)[..399], 16)));
    assert_eq!(short, "is 399 samples long, less than a window of 400");
    let nan: Vec<u8> =
        [0.0, f32::NAN].iter().cycle().take(8000).flat_map(|sample| sample.to_le_bytes()).collect();
    assert!(refused(&wav(3, 1, 32, RATE, &nan)).contains("no number"));
    refused(&wav(1, 0, 16, RATE, &[0; 2000]));
    refused(&wav(1, 1, 16, 0, &[0; 2000]));
    // A transform of its length would take gigabytes.
    let why = refused(&wav(1, 1, 16, 4_294_923_810, &[0; 2000]));
    assert!(why.contains("cannot be brought to 16000: 1000 to 1000000 are"), "{why}");
    assert!(refused(b"").contains("WAV, FLAC and Ogg Vorbis are read"));
    assert!(refused(b"\x89PNG\r\n\x1a\n and so on").contains("ffmpeg -i IN -ac 1 -ar 16000 OUT.wav"));
    let mut flac = fixture("flac");
    let end = flac.len();
    refused(&flac[..end / 2]);
    flac[end / 2..].iter_mut().step_by(7).for_each(|byte| *byte ^= 0x55);
    refused(&flac);
    let ogg = fixture("ogg");
    // Cut between two pages an Ogg file is a shorter one, elsewhere it is broken; either way nothing panics.
    for at in (0..ogg.len()).step_by(97) {
        _ = heard(&ogg[..at]);
    }
}

#[test]
fn who_does_not_hear_says_so() {
    let eyes = Config::preset("vit_tiny_patch16_224").unwrap();
    let refused =
        |result: Result<Heard>| matches!(result, Err(Error::Input(why)) if why.contains("hears no sounds"));
    assert!(refused(hear_samples(&tone(RATE), RATE, &eyes)));
    assert!(refused(hear_bytes(&fixture("wav"), Path::new("a.wav"), &eyes)));
    assert!(matches!(hear_samples(&[f32::INFINITY; 800], RATE, &ears()), Err(Error::Input(_))));
    assert!(matches!(hear_samples(&tone(RATE), 0, &ears()), Err(Error::Input(_))));
    assert!(matches!(hear(Path::new("/nonexistent.wav"), &ears()), Err(Error::File { .. })));
    assert!(matches!(hear(Path::new("/"), &ears()), Err(Error::File { .. })));
}

/// A golden network with another `preprocessor_config.json`, or none.
fn with_extractor(json: Option<&str>) -> Result<(Config, Vec<String>)> {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(golden("hf_ast").join(file), folder.path().join(file)).unwrap();
    }
    if let Some(json) = json {
        std::fs::write(folder.path().join("preprocessor_config.json"), json).unwrap();
    }
    let (config, checkpoint) = load_model(folder.path(), None)?;
    Ok((config, checkpoint.warnings().to_vec()))
}

#[test]
fn the_extractor_says_how_sounds_are_heard() {
    let own = r#""feature_extractor_type": "ASTFeatureExtractor", "num_mel_bins": 24, "max_length": 44"#;
    let (config, warnings) = with_extractor(Some(&format!("{{{own}}}"))).unwrap();
    let sound = config.sound.unwrap();
    assert_eq!((sound.sampling_rate, sound.mean, sound.std), (RATE, -4.267_739_3, 4.568_997_4));
    assert!(warnings.is_empty() && sound.source == "preprocessor_config.json", "{warnings:?}");
    let json = format!(r#"{{{own}, "sampling_rate": 8000, "mean": 1, "std": 2.5, "padding_value": 0.0}}"#);
    let sound = with_extractor(Some(&json)).unwrap().0.sound.unwrap();
    assert_eq!((sound.sampling_rate, sound.mean, sound.std), (8000, 1.0, 2.5));
    let plain = with_extractor(Some(&format!(r#"{{{own}, "do_normalize": false}}"#))).unwrap().0;
    let sound = plain.sound.as_ref().unwrap();
    assert_eq!((sound.mean, sound.std), (0.0, 0.5));
    // Silence is what it is, and a logarithm of no energy is that of the least.
    let heard = hear_samples(&[0.0; 800], RATE, &plain).unwrap();
    assert_eq!((heard.windows, heard.values[0], heard.values[43]), (3, f32::EPSILON.ln(), 0.0));

    let (_, warnings) = with_extractor(None).unwrap();
    assert!(
        warnings[0].contains("how sounds are heard is assumed for `audio-spectrogram-transformer`"),
        "{warnings:?}"
    );
    let (_, warnings) = with_extractor(Some(r#"{"num_mel_bins": 24, "max_length": 44}"#)).unwrap();
    assert!(warnings[0].contains("does not say its feature_extractor_type"), "{warnings:?}");
    for (json, field) in [
        // The class's own lengths are not the network's.
        (r#"{"feature_extractor_type": "ASTFeatureExtractor"}"#.to_owned(), "num_mel_bins"),
        (format!(r#"{{{own}, "std": 0}}"#), "mean, std"),
        (format!(r#"{{{own}, "sampling_rate": 0}}"#), "sampling_rate"),
        (format!(r#"{{{own}, "feature_size": 2}}"#), "feature_size"),
        (r#"{"feature_extractor_type": "WhisperFeatureExtractor"}"#.to_owned(), "feature_extractor_type"),
    ] {
        match with_extractor(Some(&json)) {
            Err(Error::Config { field: found, .. } | Error::Unsupported { field: found, .. }) => {
                assert_eq!(found, format!("preprocessor_config.json: {field}"));
            }
            other => panic!("{json}: {:?}", other.map(|(_, warnings)| warnings)),
        }
    }
}
