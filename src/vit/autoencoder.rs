//! Masked autoencoders that see videos or hear sounds, under their own names.

use super::config::Config;
use super::preprocess::Resample;
use super::sound::Sound;

/// Whose a network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Autoencoder {
    /// VideoMAE and VideoMAE 2.
    Video,
    /// "Masked Autoencoders As Spatiotemporal Learners", the networks for videos in the paper of token merging.
    SpaceTime,
    /// AudioMAE.
    Audio,
}

impl Autoencoder {
    /// What they have that pictures' networks have not. None was trained with merging.
    pub fn apply(self, config: &mut Config) {
        config.prop_attn = false;
        let source = format!("assumed for `{}`", config.name);
        match self {
            Autoencoder::Video | Autoencoder::SpaceTime => {
                (config.frames, config.patch_frames) = (16, 2);
                config.preprocess.resample = Resample::Bilinear;
            }
            Autoencoder::Audio => {
                (config.in_chans, config.image_size) = (1, [1024, 128]);
                for values in [&mut config.preprocess.mean, &mut config.preprocess.std] {
                    values.truncate(1);
                }
                config.sound = Some(Sound::audio_mae(&source));
            }
        }
        config.preprocess.source = source;
    }
}
