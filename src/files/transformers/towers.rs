//! The image towers of CLIP and SigLIP, alone and within the whole model.

use super::class::Head;
use super::family::Family;
use super::vit::VIT;
use crate::error::Result;
use crate::files::fields::Fields;
use crate::files::names::{self, Layout};
use crate::files::processor;
use crate::vit::{Config, Pool};

const CLIP: Family = Family {
    name: "clip_vision_model",
    patch_size: 32,
    hidden_act: "quick_gelu",
    norm_eps: 1e-5,
    pictures: processor::CLIP,
    own: clip,
    ..VIT
};
const SIGLIP: Family = Family {
    name: "siglip_vision_model",
    hidden_act: "gelu_pytorch_tanh",
    norm_eps: 1e-6,
    pictures: processor::SIGLIP,
    own: siglip,
    ..VIT
};

pub(super) const FAMILIES: [Family; 4] = [
    Family { name: "clip", whole: true, ..CLIP },
    CLIP,
    Family { name: "siglip", whole: true, ..SIGLIP },
    SIGLIP,
];

fn clip(config: &mut Config, _: &mut Fields, head: Head) -> Result<&'static Layout> {
    config.pre_norm = true;
    if head == Head::Classes {
        (config.pool, config.final_norm) = (Pool::Average, false);
        return Ok(&names::TOWER_WITHOUT_NORM);
    }
    Ok(&names::TOWER)
}

fn siglip(config: &mut Config, tower: &mut Fields, head: Head) -> Result<&'static Layout> {
    config.class_token = false;
    if head == Head::None && tower.take("vision_use_head")?.unwrap_or(true) {
        config.pool = Pool::Attention;
        return Ok(&names::TOWER);
    }
    config.pool = Pool::Average;
    Ok(&names::TOWER_WITHOUT_HEAD)
}
