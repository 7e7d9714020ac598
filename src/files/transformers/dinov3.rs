//! DINOv3: rotary positions for patches only, registers, LayerScale, in some a gated MLP.

use super::family::Family;
use super::vit::VIT;
use crate::error::Result;
use crate::files::fields::{Fields, unsupported};
use crate::files::names::{self, Layout};
use crate::files::processor;
use crate::vit::{Angles, Config, Coordinates, Mlp, Rotary};

pub(super) const FAMILIES: [Family; 1] = [Family {
    name: "dinov3_vit",
    norm_eps: 1e-5,
    pictures: processor::DINOV3,
    own: |config, tower, _| dinov3(config, tower),
    ..VIT
}];

fn dinov3(config: &mut Config, tower: &mut Fields) -> Result<&'static Layout> {
    let [q, k, v] = [("query_bias", true), ("key_bias", false), ("value_bias", true)]
        .map(|(field, absent)| Ok(tower.take(field)?.unwrap_or(absent)));
    let biases: [bool; 3] = [q?, k?, v?];
    config.qkv_bias = match biases {
        [true, _, true] => true,
        [false, false, false] => false,
        other => {
            let why = "queries and values have a bias both or neither, and keys only with them";
            return Err(unsupported("query_bias, key_bias, value_bias", format!("{other:?}"), why));
        }
    };
    for field in ["proj_bias", "mlp_bias"] {
        if tower.take(field)? == Some(false) {
            return Err(unsupported(field, "false".into(), "these layers have a bias"));
        }
    }
    config.layer_scale = true;
    config.pos_embed = false;
    config.reg_tokens = tower.take("num_register_tokens")?.unwrap_or(0);
    if tower.take("use_gated_mlp")?.unwrap_or(false) {
        config.mlp = Mlp::GateFirst;
    }
    config.rotary = Some(Rotary {
        coordinates: Coordinates::Centres,
        angles: Angles::Powers { theta: tower.take("rope_theta")?.unwrap_or(100.0) },
        columns_first: false,
        halves: true,
    });
    Ok(&names::DINOV3)
}
