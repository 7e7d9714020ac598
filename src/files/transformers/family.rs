//! The families of transformers' networks.

use super::class::Head;
use super::{aimv2, ast, beit, dinov2, dinov3, towers, video, video_mae_2, vit};
use crate::error::Result;
use crate::files::fields::{Fields, quoted, unsupported};
use crate::files::names::Layout;
use crate::files::processor::Class;
use crate::vit::Config;
use crate::vit::presets::refused::WINDOWS;

/// What the library's code of a `model_type` says, where its config leaves a field out and beside its fields.
pub(super) struct Family {
    /// The `model_type`.
    pub name: &'static str,
    /// Whether the config is of a whole model of images and texts, with the images' tower in `vision_config`.
    pub whole: bool,
    /// `hidden_size`, `num_hidden_layers`, `num_attention_heads` and `intermediate_size`.
    pub sizes: [u32; 4],
    pub qkv_bias: bool,
    pub patch_size: u32,
    pub hidden_act: &'static str,
    pub norm_eps: f32,
    /// How pictures are most likely prepared where no file says it.
    pub pictures: Class,
    /// Fills in what is the family's own, and says how it names its tensors.
    pub own: fn(&mut Config, &mut Fields, Head) -> Result<&'static Layout>,
}

/// Every family.
const ALL: [&[Family]; 8] = [
    &vit::FAMILIES,
    &beit::FAMILIES,
    &dinov2::FAMILIES,
    &dinov3::FAMILIES,
    &towers::FAMILIES,
    &aimv2::FAMILIES,
    &ast::FAMILIES,
    &video::FAMILIES,
];

/// Those that are known and not run, and why.
const REFUSED: [(&str, &str); 2] = [("swin", WINDOWS), ("swinv2", WINDOWS)];

/// The family of a `model_type`.
///
/// # Errors
/// [`Error::Unsupported`](crate::Error::Unsupported) where there is none.
pub(super) fn named(model_type: &str) -> Result<&'static Family> {
    if let Some((_, why)) = REFUSED.iter().find(|(name, _)| *name == model_type) {
        return Err(unsupported("model_type", quoted(model_type), why));
    }
    let all = || ALL.into_iter().flatten();
    all().find(|family| family.name == model_type).ok_or_else(|| {
        let others = [video_mae_2::MODEL_TYPE];
        let names: Vec<String> = all().map(|family| family.name).chain(others).map(quoted).collect();
        unsupported("model_type", quoted(model_type), &format!("known are {}", names.join(", ")))
    })
}
