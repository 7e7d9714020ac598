//! The image towers of CLIP and SigLIP, alone and within the whole model.

use super::class::Head;
use super::family::Family;
use super::vit::VIT;
use crate::error::Result;
use crate::files::fields::{Fields, wrong};
use crate::files::names::{self, Layout};
use crate::files::processor;
use crate::vit::{Config, Packed, Pool};

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

const SIGLIP2: Family =
    Family { name: "siglip2_vision_model", pictures: processor::SIGLIP2, own: siglip2, ..SIGLIP };

pub(super) const FAMILIES: [Family; 6] = [
    Family { name: "siglip2", whole: true, ..SIGLIP2 },
    SIGLIP2,
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

/// SigLIP 2 of pictures of any shape; that of a fixed one is a SigLIP.
fn siglip2(config: &mut Config, tower: &mut Fields, head: Head) -> Result<&'static Layout> {
    let positions: u32 = tower.take("num_patches")?.unwrap_or(256);
    let side = positions.isqrt();
    if side * side != positions || !(1..=1 << 20).contains(&positions) {
        return Err(wrong("num_patches", format!("{positions} positions are no square")));
    }
    config.packed = Some(Packed::new(positions, [side; 2]));
    config.image_size = config.patch_size.map(|patch| patch.saturating_mul(side));
    siglip(config, tower, head)
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
