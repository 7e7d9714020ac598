//! VideoMAE 2 as it is on the hub: a config of its own code, in whose `model_config` the arguments of a network stand.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::class;
use crate::error::Result;
use crate::files::fields::{Fields, Sides, quoted, set, unsupported, wrong};
use crate::files::names::{self, Layout};
use crate::files::{processor, timm_config};
use crate::vit::Config;

/// What it is called, of whatever size.
pub(super) const MODEL_TYPE: &str = "VideoMAEv2_Base";

/// Arguments that change nothing about a trained network.
const WITHOUT_EFFECT: [&str; 7] = [
    "drop_rate",
    "attn_drop_rate",
    "drop_path_rate",
    "head_drop_rate",
    "fc_drop_rate",
    "init_scale",
    "with_cp",
];

/// Reads the config. What all published ones say has to be there; of the rest what is left out is as it is in them.
pub(super) fn parse(mut top: Fields) -> Result<(Config, &'static Layout)> {
    let args = top.take("model_config")?.ok_or_else(|| wrong("model_config", "is missing"))?;
    let mut args = Fields(args);
    let mut config = Config::preset("videomae_vit_base_patch16_224")?;
    config.name = MODEL_TYPE.into();
    set(&mut config.image_size, args.take("img_size")?.map(Sides::pair));
    set(&mut config.patch_size, args.take("patch_size")?.map(Sides::pair));
    set(&mut config.in_chans, args.take("in_chans")?);
    set(&mut config.frames, args.take("num_frames")?);
    set(&mut config.frames, args.take("all_frames")?);
    set(&mut config.patch_frames, args.take("tubelet_size")?);
    for (field, value) in [
        ("num_classes", &mut config.num_classes),
        ("embed_dim", &mut config.embed_dim),
        ("depth", &mut config.depth),
        ("num_heads", &mut config.num_heads),
    ] {
        *value = there(&mut args, field)?;
    }
    config.qkv_bias = there(&mut args, "qkv_bias")?;
    config.norm_eps = there(&mut args, "layer_norm_eps")?;
    let ratio: f64 = there(&mut args, "mlp_ratio")?;
    // As Python's int(); what is out of range is refused when the config is checked.
    config.mlp_hidden = (f64::from(config.embed_dim) * ratio) as u32;
    config.layer_scale = args.take::<f64>("init_values")?.is_some_and(|value| value > 0.0);
    if let Some(other) = args.take::<String>("norm_layer")?.filter(|name| name != "nn.LayerNorm") {
        return Err(unsupported("norm_layer", quoted(&other), "known is `nn.LayerNorm`"));
    }
    if args.take("cos_attn")? == Some(true) {
        let why = "attention by cosines of a learned temperature is not run";
        return Err(unsupported("cos_attn", "true".into(), why));
    }
    if args.take("use_mean_pooling")? == Some(false) {
        let why = "the first patch alone is not run; the mean of all is";
        return Err(unsupported("use_mean_pooling", "false".into(), why));
    }
    let learned = args.take("use_learnable_pos_emb")?.unwrap_or(false);
    timm_config::refuse_others(&args, &WITHOUT_EFFECT, |_| None::<Value>)?;

    config.scores = timm_config::scores(&config);
    if config.num_classes > 0 && top.has("id2label") {
        config.labels = class::labels(&mut top)?;
        if config.labels.len() != config.num_classes as usize {
            let why = format!("{} names for {} classes", config.labels.len(), config.num_classes);
            return Err(wrong("id2label", why));
        }
    }
    config.check_numbers()?;
    config.preprocess = processor::VIDEO_MAE.assumed(MODEL_TYPE, config.in_chans);
    config.check()?;
    let layout = if learned { &names::VIDEO_MAE_2_LEARNED } else { &names::VIDEO_MAE_2 };
    Ok((config, layout))
}

fn there<T: DeserializeOwned>(args: &mut Fields, field: &str) -> Result<T> {
    args.take(field)?.ok_or_else(|| wrong(field, "is missing"))
}
