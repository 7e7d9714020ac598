//! The families of transformers' networks.

use super::class::Head;
use super::{ast, dinov2, towers, video, vit};
use crate::error::Result;
use crate::files::fields::{Fields, quoted, unsupported};
use crate::files::names::Layout;
use crate::files::processor::Class;
use crate::vit::Config;

/// What the library's code of a `model_type` says, where its config leaves a field out and beside its fields.
pub(super) struct Family {
    /// The `model_type`.
    pub name: &'static str,
    /// Whether the config is of a whole model of images and texts, with the images' tower in `vision_config`.
    pub whole: bool,
    pub patch_size: u32,
    pub hidden_act: &'static str,
    pub norm_eps: f32,
    /// How pictures are most likely prepared where no file says it.
    pub pictures: Class,
    /// Fills in what is the family's own, and says how it names its tensors.
    pub own: fn(&mut Config, &mut Fields, Head) -> Result<&'static Layout>,
}

/// Every family.
const ALL: [&[Family]; 5] =
    [&vit::FAMILIES, &dinov2::FAMILIES, &towers::FAMILIES, &ast::FAMILIES, &video::FAMILIES];

/// The family of a `model_type`.
///
/// # Errors
/// [`Error::Unsupported`](crate::Error::Unsupported) where there is none.
pub(super) fn named(model_type: &str) -> Result<&'static Family> {
    let all = || ALL.into_iter().flatten();
    all().find(|family| family.name == model_type).ok_or_else(|| {
        let names: Vec<String> = all().map(|family| quoted(family.name)).collect();
        unsupported("model_type", quoted(model_type), &format!("known are {}", names.join(", ")))
    })
}
