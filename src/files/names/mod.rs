//! From the names of a checkpoint's layout to timm's: the way it is done, and a table for each layout.

mod autoencoders;
mod beit;
mod layout;
mod open_clip;
mod sound;
mod timm;
mod torchvision;
mod transformers;
mod video;

pub(super) use autoencoders::{
    AUDIO_MAE, MAE_ST, MAE_ST_CLASSIFIER, VIDEO_MAE_2, VIDEO_MAE_2_LEARNED, VIDEO_MAE_OWN,
};
pub(super) use beit::{BEIT, RELATIVE};
pub(super) use layout::{Layout, Part, Source};
pub(super) use open_clip::{OPEN_CLIP, OPEN_CLIP_TIMM};
pub(super) use sound::AST;
pub(super) use timm::{EVA, NAFLEX, PARALLEL, TIMM};
pub(super) use torchvision::TORCHVISION;
pub(super) use transformers::{AIMV2, DINOV3, TOWER, TOWER_WITHOUT_HEAD, TOWER_WITHOUT_NORM, VIT};
pub(super) use video::{VIDEO_MAE, VIVIT};
