//! What the configs of all families share.

use serde_json::Map;

use super::class::{self, Head};
use super::family::{self, Family};
use super::video_mae_2;
use crate::error::Result;
use crate::files::fields::{Fields, Sides, quoted, unsupported, wrong};
use crate::files::names::Layout;
use crate::kernels::matmul::Activation;
use crate::vit::{Config, PositionResample, Scores};

/// Reads a config of transformers: `model_type` and `architectures` say what the network is, and what is left out
/// has the library's defaults. Options that this crate does not run are errors which name the field; those that
/// change nothing about a trained network are ignored.
pub(in crate::files) fn parse(mut top: Fields) -> Result<(Config, &'static Layout)> {
    let model_type: String = top.take("model_type")?.ok_or_else(|| wrong("model_type", "is missing"))?;
    if model_type == video_mae_2::MODEL_TYPE {
        return video_mae_2::parse(top);
    }
    let family = family::named(&model_type)?;
    let head = class::head(&mut top)?;
    let labels = class::labels(&mut top)?;
    let problem: Option<String> = top.take("problem_type")?;
    // The projection's width is the whole model's, not that of the tower within.
    let projection: Option<u32> = top.take("projection_dim")?;
    let mut tower =
        match (top.take::<Map<_, _>>("vision_config")?, top.take::<Map<_, _>>("vision_config_dict")?) {
            // The older field counts where both are.
            (Some(map), older) if family.whole => {
                Fields(map.into_iter().chain(older.unwrap_or_default()).collect())
            }
            (None, Some(older)) if family.whole => Fields(older),
            _ => top,
        };

    let mut config = plain(&mut tower, family)?;
    config.name = model_type;
    config.num_classes = match head {
        Head::None => 0,
        Head::Classes | Head::Teacher => labels.len() as u32,
        Head::Projection => projection.unwrap_or(512),
    };
    let layout = (family.own)(&mut config, &mut tower, head)?;
    // As transformers' pipeline decides it.
    config.scores = match (head, problem.as_deref()) {
        (Head::None | Head::Projection, _) => Scores::None,
        (_, Some("multi_label_classification")) => Scores::Sigmoid,
        // That of pictures alone.
        _ if config.num_classes == 1 && config.frames == 1 && config.sound.is_none() => Scores::Sigmoid,
        _ => Scores::Softmax,
    };
    config.labels = if config.num_classes > 0 && head != Head::Projection { labels } else { Vec::new() };
    config.check_numbers()?;
    config.preprocess = family.pictures.assumed(&config.name, config.in_chans);
    config.check()?;
    Ok((config, layout))
}

/// The fields that all families share.
fn plain(tower: &mut Fields, family: &Family) -> Result<Config> {
    let mut config = Config::preset("vit_base_patch16_224")?;
    let [width, depth, heads, hidden] = family.sizes;
    config.embed_dim = tower.take("hidden_size")?.unwrap_or(width);
    config.depth = tower.take("num_hidden_layers")?.unwrap_or(depth);
    config.num_heads = tower.take("num_attention_heads")?.unwrap_or(heads);
    config.mlp_hidden = tower.take("intermediate_size")?.unwrap_or(hidden);
    config.in_chans = tower.take("num_channels")?.unwrap_or(3);
    config.qkv_bias = tower.take("qkv_bias")?.unwrap_or(family.qkv_bias);
    config.norm_eps = tower.take("layer_norm_eps")?.unwrap_or(family.norm_eps);
    config.image_size = tower.take("image_size")?.map_or([224; 2], Sides::pair);
    config.patch_size = tower.take("patch_size")?.map_or([family.patch_size; 2], Sides::pair);
    config.position_resample = PositionResample::BICUBIC;
    let act: Option<String> = tower.take("hidden_act")?;
    config.activation = match act.as_deref().unwrap_or(family.hidden_act) {
        "gelu" | "gelu_python" => Activation::Gelu,
        "gelu_pytorch_tanh" | "gelu_new" | "gelu_fast" | "gelu_python_tanh" => Activation::GeluTanh,
        "quick_gelu" => Activation::QuickGelu,
        "silu" | "swish" => Activation::Silu,
        "relu" => Activation::Relu,
        "sigmoid" => Activation::Sigmoid,
        other => {
            let known = "known are `gelu`, `gelu_pytorch_tanh`, `quick_gelu`, `silu`, `relu` and `sigmoid`";
            return Err(unsupported("hidden_act", quoted(other), known));
        }
    };
    Ok(config)
}
