//! The names of masked autoencoders of videos and sounds in their own code.

use super::layout::Layout;
use super::layout::Part::{Nth, Whole};
use super::timm::TIMM;
use crate::vit::autoencoder::Autoencoder;

/// VideoMAE's, and VideoMAE 2's: timm's but for biases, LayerScale and what the decoder has.
pub(in crate::files) const VIDEO_MAE_OWN: Layout = Layout {
    prefixes: &["encoder."],
    inside: &[
        ("attn.q_bias", "attn.qkv.bias", Nth(0)),
        ("attn.v_bias", "attn.qkv.bias", Nth(2)),
        ("gamma_1", "ls1.gamma", Whole),
        ("gamma_2", "ls2.gamma", Whole),
    ],
    outside: &[],
    dropped: &["decoder.", "encoder_to_decoder.", "mask_token"],
    waves: true,
    autoencoder: Some(Autoencoder::Video),
    ..TIMM
};

/// VideoMAE 2's on the hub, whose config says what it is.
pub(in crate::files) const VIDEO_MAE_2: Layout = Layout { autoencoder: None, ..VIDEO_MAE_OWN };
/// The same where positions are learned.
pub(in crate::files) const VIDEO_MAE_2_LEARNED: Layout = Layout { waves: false, ..VIDEO_MAE_2 };

/// Of "Masked Autoencoders As Spatiotemporal Learners", in its own code and in PySlowFast: the autoencoder's encoder.
pub(in crate::files) const MAE_ST: Layout = Layout {
    prefixes: &[],
    inside: &[
        ("attn.q.", "attn.qkv.", Nth(0)),
        ("attn.k.", "attn.qkv.", Nth(1)),
        ("attn.v.", "attn.qkv.", Nth(2)),
    ],
    outside: &[],
    dropped: &["decoder_", "mask_token"],
    autoencoder: Some(Autoencoder::SpaceTime),
    ..TIMM
};
/// The same with a classifier, where the one norm comes behind the mean.
pub(in crate::files) const MAE_ST_CLASSIFIER: Layout =
    Layout { outside: &[("head.projection.", "head.", Whole), ("norm.", "fc_norm.", Whole)], ..MAE_ST };

/// AudioMAE's: timm's, and those of a decoder.
pub(in crate::files) const AUDIO_MAE: Layout = Layout {
    prefixes: &[],
    dropped: &["decoder_", "mask_token"],
    autoencoder: Some(Autoencoder::Audio),
    ..TIMM
};
