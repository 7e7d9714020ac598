//! DINOv2, with registers and without: LayerScale, and an MLP whose width follows from a ratio.

use super::class::Head;
use super::family::Family;
use super::vit::VIT;
use crate::error::Result;
use crate::files::fields::Fields;
use crate::files::names::{self, Layout};
use crate::files::processor;
use crate::kernels::matmul::Activation;
use crate::vit::{Config, Mlp, Pool};

pub(super) const FAMILIES: [Family; 2] = [
    Family {
        name: "dinov2",
        patch_size: 14,
        norm_eps: 1e-6,
        pictures: processor::DINOV2,
        own: dinov2,
        ..VIT
    },
    Family {
        name: "dinov2_with_registers",
        norm_eps: 1e-6,
        pictures: processor::DINOV2,
        own: |config, tower, head| {
            config.reg_tokens = tower.take("num_register_tokens")?.unwrap_or(4);
            // The class token's position is added to the token when the weights are read.
            config.no_embed_class = true;
            config.position_resample.antialias = true;
            dinov2(config, tower, head)
        },
        ..VIT
    },
];

fn dinov2(config: &mut Config, tower: &mut Fields, head: Head) -> Result<&'static Layout> {
    config.layer_scale = true;
    let ratio: f64 = tower.take("mlp_ratio")?.unwrap_or(4.0);
    // Truncated as Python's int() does it; what is out of range is refused when the config is checked.
    let hidden = (f64::from(config.embed_dim) * ratio) as u32;
    config.mlp_hidden = hidden;
    if tower.take("use_swiglu_ffn")?.unwrap_or(false) {
        config.mlp = Mlp::GateFirst;
        config.activation = Activation::Silu;
        config.mlp_hidden = ((f64::from(hidden) * 2.0 / 3.0) as u32).next_multiple_of(8);
    }
    if head == Head::Classes {
        config.pool = Pool::TokenAndAverage;
    }
    Ok(&names::VIT)
}
