//! transformers' `preprocessor_config.json` of networks that hear: `ASTFeatureExtractor`.

use super::fields::{Fields, quoted, set, unsupported, wrong};
use crate::error::Result;
use crate::vit::{Config, Sound};

/// The class whose rules are known.
const KNOWN: &str = "ASTFeatureExtractor";

/// Reads how sounds become the input; what the file leaves out the class decides. Says what was guessed.
pub(super) fn apply(config: &mut Config, mut fields: Fields, file: &str) -> Result<Option<String>> {
    let mut sound = Sound::audio_set(file);
    let kind: Option<String> = fields.take("feature_extractor_type")?;
    if let Some(other) = kind.as_deref().filter(|&kind| kind != KNOWN) {
        return Err(unsupported("feature_extractor_type", quoted(other), &format!("known is `{KNOWN}`")));
    }
    for (field, side) in [("num_mel_bins", 0), ("max_length", 1)] {
        let value = fields.take(field)?.unwrap_or(if side == 0 { 128 } else { 1024 });
        if value != config.image_size[side] {
            return Err(wrong(
                field,
                format!("{value} is not the {} of config.json", config.image_size[side]),
            ));
        }
    }
    if let Some(other) = fields.take::<u32>("feature_size")?.filter(|&size| size != 1) {
        return Err(unsupported("feature_size", other.to_string(), "sounds have one channel"));
    }
    set(&mut sound.sampling_rate, fields.take("sampling_rate")?);
    set(&mut sound.mean, fields.take("mean")?);
    set(&mut sound.std, fields.take("std")?);
    if fields.take("do_normalize")? == Some(false) {
        (sound.mean, sound.std) = (0.0, 0.5);
    }
    config.sound = Some(sound);
    config.check()?;
    let guess = format!("{file} does not say its feature_extractor_type; `{KNOWN}` is assumed");
    Ok(kind.is_none().then_some(guess))
}
