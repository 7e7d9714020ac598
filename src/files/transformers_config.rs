//! The `config.json` of Hugging Face transformers to a [`Config`], and which names its tensors have.

use std::collections::BTreeMap;

use serde_json::Map;

use super::fields::{Fields, Sides, quoted, unsupported, wrong};
use super::names::{self, Layout};
use super::processor;
use crate::error::Result;
use crate::kernels::matmul::Activation;
use crate::vit::{Config, Mlp, Pool, PositionResample, Scores};

/// The fields of a `model_type` where its config leaves a field out.
struct Family {
    patch_size: u32,
    hidden_act: &'static str,
    norm_eps: f32,
    layout: &'static Layout,
}

const VIT: Family = Family { patch_size: 16, hidden_act: "gelu", norm_eps: 1e-12, layout: &names::VIT };
const DINOV2: Family = Family { patch_size: 14, norm_eps: 1e-6, ..VIT };
const DINOV2_WITH_REGISTERS: Family = Family { patch_size: 16, ..DINOV2 };
const CLIP: Family =
    Family { patch_size: 32, hidden_act: "quick_gelu", norm_eps: 1e-5, layout: &names::TOWER };
const SIGLIP: Family = Family { patch_size: 16, hidden_act: "gelu_pytorch_tanh", norm_eps: 1e-6, ..CLIP };

/// The part after the encoder: the class in `architectures`.
#[derive(Clone, Copy, PartialEq)]
enum Head {
    None,
    Classes,
    /// DeiT's two.
    Teacher,
    /// Into the space that images share with texts.
    Projection,
}

/// Reads a config of transformers: `model_type` and `architectures` say what the network is, and what is left out
/// has the library's defaults. Options that this crate does not run are errors which name the field; those that
/// change nothing about a trained network are ignored.
pub(super) fn parse(mut top: Fields) -> Result<(Config, &'static Layout)> {
    let model_type: String = top.take("model_type")?.ok_or_else(|| wrong("model_type", "is missing"))?;
    let head = head(&mut top)?;
    let labels = labels(&mut top)?;
    let problem: Option<String> = top.take("problem_type")?;
    // The projection's width is the whole model's, not that of the tower within.
    let projection: Option<u32> = top.take("projection_dim")?;
    let whole = ["clip", "siglip"].contains(&model_type.as_str());
    let mut tower =
        match (top.take::<Map<_, _>>("vision_config")?, top.take::<Map<_, _>>("vision_config_dict")?) {
            // The older field counts where both are.
            (Some(map), older) if whole => Fields(map.into_iter().chain(older.unwrap_or_default()).collect()),
            (None, Some(older)) if whole => Fields(older),
            _ => top,
        };
    let family = match model_type.as_str() {
        "vit" | "deit" | "vit_mae" => VIT,
        "dinov2" => DINOV2,
        "dinov2_with_registers" => DINOV2_WITH_REGISTERS,
        "clip" | "clip_vision_model" => CLIP,
        "siglip" | "siglip_vision_model" => SIGLIP,
        other => {
            let known = "known are `vit`, `deit`, `vit_mae`, `dinov2`, `dinov2_with_registers`, `clip`, \
                         `clip_vision_model`, `siglip` and `siglip_vision_model`";
            return Err(unsupported("model_type", quoted(other), known));
        }
    };
    let is = |prefix: &str| model_type.starts_with(prefix);

    let mut config = plain(&mut tower, &family)?;
    config.name = model_type.clone();
    config.prop_attn = model_type != "vit_mae";
    config.num_classes = match head {
        Head::None => 0,
        Head::Classes | Head::Teacher => labels.len() as u32,
        Head::Projection => projection.unwrap_or(512),
    };
    let mut layout = family.layout;
    if is("deit") {
        config.dist_token = true;
        config.pool = if head == Head::Teacher { Pool::Distilled } else { Pool::Token };
    }
    if is("dinov2") {
        dinov2(&mut config, &mut tower)?;
        if head == Head::Classes {
            config.pool = Pool::TokenAndAverage;
        }
    }
    if is("dinov2_with") {
        config.reg_tokens = tower.take("num_register_tokens")?.unwrap_or(4);
        // The class token's position is added to the token when the weights are read.
        config.no_embed_class = true;
        config.position_resample.antialias = true;
    }
    if is("clip") {
        config.pre_norm = true;
        if head == Head::Classes {
            (config.pool, config.final_norm) = (Pool::Average, false);
            layout = &names::TOWER_WITHOUT_NORM;
        }
    }
    if is("siglip") {
        config.class_token = false;
        let own_head = tower.take("vision_use_head")?.unwrap_or(true);
        (config.pool, layout) = match head == Head::None && own_head {
            true => (Pool::Attention, layout),
            false => (Pool::Average, &names::TOWER_WITHOUT_HEAD),
        };
    }
    // As transformers' pipeline decides it.
    config.scores = match (head, problem.as_deref()) {
        (Head::None | Head::Projection, _) => Scores::None,
        (_, Some("multi_label_classification")) => Scores::Sigmoid,
        _ if config.num_classes == 1 => Scores::Sigmoid,
        _ => Scores::Softmax,
    };
    config.labels = if config.num_classes > 0 && head != Head::Projection { labels } else { Vec::new() };
    config.check_numbers()?;
    config.preprocess = processor::assumed(&model_type, config.in_chans);
    config.check()?;
    Ok((config, layout))
}

/// The fields that all families share.
fn plain(tower: &mut Fields, family: &Family) -> Result<Config> {
    let mut config = Config::preset("vit_base_patch16_224")?;
    config.embed_dim = tower.take("hidden_size")?.unwrap_or(768);
    config.depth = tower.take("num_hidden_layers")?.unwrap_or(12);
    config.num_heads = tower.take("num_attention_heads")?.unwrap_or(12);
    config.mlp_hidden = tower.take("intermediate_size")?.unwrap_or(3072);
    config.in_chans = tower.take("num_channels")?.unwrap_or(3);
    config.qkv_bias = tower.take("qkv_bias")?.unwrap_or(true);
    config.norm_eps = tower.take("layer_norm_eps")?.unwrap_or(family.norm_eps);
    config.image_size = tower.take("image_size")?.map_or([224; 2], Sides::pair);
    config.patch_size = tower.take("patch_size")?.map_or([family.patch_size; 2], Sides::pair);
    config.position_resample = PositionResample { antialias: false, offset: 0.0 };
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

/// LayerScale, and an MLP whose width follows from a ratio.
fn dinov2(config: &mut Config, tower: &mut Fields) -> Result<()> {
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
    Ok(())
}

/// The class says what follows the encoder; without one it is the encoder alone.
fn head(top: &mut Fields) -> Result<Head> {
    let classes: Vec<String> = top.take("architectures")?.unwrap_or_default();
    let Some(class) = classes.first() else { return Ok(Head::None) };
    match class.as_str() {
        class if class.ends_with("ForImageClassificationWithTeacher") => Ok(Head::Teacher),
        class if class.ends_with("ForImageClassification") => Ok(Head::Classes),
        "CLIPModel" | "CLIPVisionModelWithProjection" => Ok(Head::Projection),
        "ViTMAEForPreTraining" | "ViTForMaskedImageModeling" | "DeiTForMaskedImageModeling" => Ok(Head::None),
        class if class.ends_with("Model") || class.ends_with("Backbone") => Ok(Head::None),
        other => {
            let known = "known are the models themselves, `...ForImageClassification` and the like";
            Err(unsupported("architectures", quoted(other), known))
        }
    }
}

/// The most names that are made of a number alone.
const MOST_LABELS: u32 = 1 << 16;

/// The classes' names in order: `id2label`, or transformers' own for so many as `num_labels` says, which are two.
fn labels(top: &mut Fields) -> Result<Vec<String>> {
    let count: Option<u32> = top.take("num_labels")?;
    let Some(names) = top.take::<BTreeMap<String, String>>("id2label")? else {
        let count = count.unwrap_or(2);
        if count > MOST_LABELS {
            return Err(wrong("num_labels", format!("{count} classes without names are too many")));
        }
        return Ok((0..count).map(|class| format!("LABEL_{class}")).collect());
    };
    let name = |class: usize| {
        let why = || wrong("id2label", format!("{} names, and none for class {class}", names.len()));
        names.get(&class.to_string()).cloned().ok_or_else(why)
    };
    (0..names.len()).map(name).collect()
}
