//! AST, which hears.

use super::class::Head;
use super::family::Family;
use super::vit::VIT;
use crate::error::Result;
use crate::files::fields::Fields;
use crate::files::names::{self, Layout};
use crate::vit::{Config, Pool, Sound};

pub(super) const FAMILIES: [Family; 1] = [Family { name: "audio-spectrogram-transformer", own: ast, ..VIT }];

/// A spectrogram whose patches overlap; the mean of class and distillation token, and in its head a norm more.
fn ast(config: &mut Config, fields: &mut Fields, head: Head) -> Result<&'static Layout> {
    config.in_chans = 1;
    config.image_size =
        [fields.take("num_mel_bins")?.unwrap_or(128), fields.take("max_length")?.unwrap_or(1024)];
    let stride = [fields.take("frequency_stride")?.unwrap_or(10), fields.take("time_stride")?.unwrap_or(10)];
    config.patch_stride = Some(stride).filter(|&stride| stride != config.patch_size);
    config.dist_token = true;
    config.pool = Pool::Prefix;
    config.head_norm = head == Head::Classes;
    config.sound = Some(Sound::audio_set(format!("assumed for `{}`", config.name)));
    Ok(&names::AST)
}
