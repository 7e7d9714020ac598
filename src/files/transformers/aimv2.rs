//! AIMv2: RMSNorm, also of the patches, a gated MLP, no class token, and a head that attends.

use super::class::Head;
use super::family::Family;
use super::vit::VIT;
use crate::error::Result;
use crate::files::fields::{Fields, unsupported};
use crate::files::names::{self, Layout};
use crate::files::processor;
use crate::kernels::NormKind;
use crate::vit::{Config, Mlp, Pool};

const TOWER: Family = Family {
    name: "aimv2_vision_model",
    sizes: [1024, 24, 8, 2816],
    qkv_bias: false,
    patch_size: 14,
    hidden_act: "silu",
    norm_eps: 1e-5,
    pictures: processor::CLIP,
    own: aimv2,
    ..VIT
};

pub(super) const FAMILIES: [Family; 2] = [TOWER, Family { name: "aimv2", whole: true, ..TOWER }];

fn aimv2(config: &mut Config, tower: &mut Fields, _: Head) -> Result<&'static Layout> {
    if tower.take("is_native")? == Some(true) {
        let why = "positions are computed for inputs of any shape; networks of one size are run";
        return Err(unsupported("is_native", "true".into(), why));
    }
    config.norm = NormKind::Rms;
    config.norm_eps = tower.take("rms_norm_eps")?.unwrap_or(config.norm_eps);
    config.embed_norm = true;
    config.proj_bias = config.qkv_bias;
    config.mlp_bias = tower.take("mlp_bias")?.unwrap_or(false);
    config.mlp = Mlp::GateApart;
    config.class_token = false;
    // Without a head of its own the library pools nothing: the mean, as timm has it.
    config.pool = if tower.take("use_head")?.unwrap_or(true) { Pool::Query } else { Pool::Average };
    Ok(&names::AIMV2)
}
