//! Masked autoencoders of videos and sounds under their own names, as they are once they class something: the mean of the
//! patches, then a norm. Sides of 224 pixels and 16 frames, or the spectrogram of 1024 windows and 128 bands.

use super::families::*;
use crate::vit::autoencoder::Autoencoder;
use crate::vit::preset::{Family, Picture, Preset, picture, row};

const VIDEO: Family = Family { autoencoder: Some(Autoencoder::Video), ..FC_GAP };
const SPACE_TIME: Family = Family { autoencoder: Some(Autoencoder::SpaceTime), ..FC_GAP.with_class_token() };
const AUDIO: Family = Family { autoencoder: Some(Autoencoder::Audio), ..FC_GAP.with_class_token() };
/// What the networks of PySlowFast see.
const SLOW_FAST: Picture = picture([0.45; 3], [0.225; 3]);

#[rustfmt::skip]
pub(super) static ROWS: [Preset; 11] = [
    row("videomae_vit_small_patch16_224", SMALL, 16, 224, VIDEO, IMAGENET, 1.0, 400),
    row("videomae_vit_base_patch16_224", BASE, 16, 224, VIDEO, IMAGENET, 1.0, 400),
    row("videomae_vit_large_patch16_224", LARGE, 16, 224, VIDEO, IMAGENET, 1.0, 400),
    row("videomae_vit_huge_patch16_224", HUGE, 16, 224, VIDEO, IMAGENET, 1.0, 400),
    row("videomae_vit_giant_patch14_224", GIANT, 14, 224, VIDEO, IMAGENET, 1.0, 400),
    row("mae_st_vit_base_patch16_224", BASE, 16, 224, SPACE_TIME, SLOW_FAST, 1.0, 400),
    row("mae_st_vit_large_patch16_224", LARGE, 16, 224, SPACE_TIME, SLOW_FAST, 1.0, 400),
    row("mae_st_vit_huge_patch16_224", HUGE, 16, 224, SPACE_TIME, SLOW_FAST, 1.0, 400),
    row("audiomae_vit_small_patch16", SMALL, 16, 224, AUDIO, HALF, 1.0, 527),
    row("audiomae_vit_base_patch16", BASE, 16, 224, AUDIO, HALF, 1.0, 527),
    row("audiomae_vit_large_patch16", LARGE, 16, 224, AUDIO, HALF, 1.0, 527),
];
