//! open_clip's `open_clip_config.json`: the image tower of a CLIP.

use super::Checkpoint;
use super::fields::{Fields, Sides, quoted, unsupported, wrong};
use crate::error::Result;
use crate::kernels::matmul::Activation;
use crate::vit::{Config, PositionResample, Resample, Resize, Scores, Tensor, Tensors};

/// Where the names of the image tower's tensors begin.
pub(super) const TOWER: &str = "visual.";

/// Reads the config of a plain Vision Transformer; other towers are refused by the field that says so.
pub(super) fn parse(mut top: Fields, file: &str) -> Result<Config> {
    let mut model = Fields(top.take("model_cfg")?.ok_or_else(|| wrong("model_cfg", "is missing"))?);
    let mut tower = Fields(model.take("vision_cfg")?.ok_or_else(|| wrong("vision_cfg", "is missing"))?);
    for field in
        ["timm_model_name", "attentional_pool", "attn_pooler_queries", "no_ln_pre", "final_ln_after_pool"]
    {
        let value: Option<serde_json::Value> = tower.take(field)?;
        if let Some(value) = value.filter(|value| *value != serde_json::Value::Bool(false)) {
            let why = "a plain Vision Transformer of open_clip's own is; others are in timm's and transformers' layouts";
            return Err(unsupported(field, value.to_string(), why));
        }
    }
    for (field, plain) in [("pool_type", "tok"), ("pos_embed_type", "learnable")] {
        if let Some(other) = tower.take::<String>(field)?.filter(|value| value != plain) {
            return Err(unsupported(field, quoted(&other), &format!("only `{plain}` is")));
        }
    }
    let layers: serde_json::Value = tower.take("layers")?.unwrap_or(12.into());
    let mut config = Config::preset("vit_base_patch16_clip_224")?;
    config.name = "open_clip".into();
    config.depth = layers.as_u64().and_then(|layers| u32::try_from(layers).ok()).ok_or_else(|| {
        unsupported("layers", layers.to_string(), "residual networks are no Vision Transformers")
    })?;
    config.embed_dim = tower.take("width")?.unwrap_or(768);
    config.num_heads = config.embed_dim / tower.take::<u32>("head_width")?.unwrap_or(64).max(1);
    // Truncated as Python's int() does it.
    config.mlp_hidden = (f64::from(config.embed_dim) * tower.take("mlp_ratio")?.unwrap_or(4.0)) as u32;
    config.image_size = tower.take("image_size")?.map_or([224; 2], Sides::pair);
    config.patch_size = tower.take("patch_size")?.map_or([16; 2], Sides::pair);
    config.layer_scale = tower.take::<f64>("ls_init_value")?.is_some();
    // The space that images share with texts.
    config.scores = Scores::None;
    config.num_classes = model.take("embed_dim")?.ok_or_else(|| wrong("embed_dim", "is missing"))?;
    let quick = model.take("quick_gelu")?.unwrap_or(false);
    config.activation = if quick { Activation::QuickGelu } else { Activation::Gelu };
    config.position_resample = PositionResample { antialias: true, offset: 0.0 };

    let mut pictures = Fields(top.take("preprocess_cfg")?.unwrap_or_default());
    let preprocess = &mut config.preprocess;
    preprocess.source = file.into();
    preprocess.crop = 1.0;
    if let Some(mean) = pictures.take("mean")? {
        preprocess.mean = mean;
    }
    if let Some(std) = pictures.take("std")? {
        preprocess.std = std;
    }
    let filter: Option<String> = pictures.take("interpolation")?;
    preprocess.resample = Resample::named("interpolation", filter.as_deref().unwrap_or("bicubic"))?;
    preprocess.resize = match pictures.take::<String>("resize_mode")?.as_deref() {
        None | Some("shortest") => Resize::Shortest,
        Some("squash") => Resize::Squash,
        Some(other) => {
            return Err(unsupported("resize_mode", quoted(other), "known are `shortest` and `squash`"));
        }
    };
    config.check()?;
    Ok(config)
}

/// The projection lies the other way round than a linear layer's weight.
pub(super) fn turn_projection(checkpoint: &mut Checkpoint) -> Result<()> {
    let Some(&[rows, columns]) = checkpoint.shape("head.weight") else { return Ok(()) };
    let values = checkpoint.tensor("head.weight")?.data.to_f32().into_owned();
    let turned = (0..rows * columns).map(|i| values[i % rows * columns + i / rows]).collect::<Vec<f32>>();
    checkpoint.insert("head.weight", Tensor::new([columns, rows], turned));
    Ok(())
}
