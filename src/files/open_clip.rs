//! open_clip's `open_clip_config.json`: the image tower of a CLIP.

use serde_json::{Map, Value};

use super::fields::{Fields, Sides, quoted, set, unsupported, wrong};
use super::names::{self, Layout};
use super::processor::OPENAI;
use super::shards::Shards;
use super::{Checkpoint, timm_config};
use crate::error::Result;
use crate::kernels::matmul::Activation;
use crate::vit::{Config, Pool, PositionResample, Resample, Resize, Scores, Tensor, Tensors};

/// Where the names of the image tower's tensors begin.
pub(super) const TOWER: &str = "visual.";

/// Fields of a tower of open_clip's own that ask for something else than a plain Vision Transformer.
const OTHERS: [&str; 11] = [
    "attentional_pool",
    "attn_pooler_queries",
    "block_type",
    "qk_norm",
    "scaled_cosine_attn",
    "scale_heads",
    "scale_attn_inner",
    "scale_attn",
    "scale_fc",
    "act_kwargs",
    "norm_kwargs",
];

/// Reads the config of a Vision Transformer, open_clip's own or timm's; other towers are refused by the field that says so.
pub(super) fn parse(mut top: Fields, file: &str) -> Result<(Config, &'static Layout)> {
    let mut model = Fields(top.take("model_cfg")?.ok_or_else(|| wrong("model_cfg", "is missing"))?);
    let mut tower = Fields(model.take("vision_cfg")?.ok_or_else(|| wrong("vision_cfg", "is missing"))?);
    let width: u32 = model.take("embed_dim")?.ok_or_else(|| wrong("embed_dim", "is missing"))?;
    let (mut config, layout) = match tower.take::<String>("timm_model_name")?.filter(|name| !name.is_empty())
    {
        Some(name) => (of_timm(&name, &mut tower, width)?, &names::OPEN_CLIP_TIMM),
        None => (plain(&mut model, &mut tower, width)?, &names::OPEN_CLIP),
    };
    prepared(&mut config, Fields(top.take("preprocess_cfg")?.unwrap_or_default()), file)?;
    // The space that images share with texts.
    config.scores = Scores::None;
    config.labels = Vec::new();
    config.check()?;
    Ok((config, layout))
}

/// A tower of timm's, as open_clip's `TimmModel` makes it.
fn of_timm(name: &str, tower: &mut Fields, width: u32) -> Result<Config> {
    let pool = tower.take::<String>("timm_pool")?.unwrap_or("avg".into());
    let projection = tower.take::<String>("timm_proj")?.unwrap_or_default();
    let classes = match projection.as_str() {
        "none" => 0,
        // timm's head, or a layer behind timm's network.
        "" | "linear" => width,
        other => return Err(unsupported("timm_proj", quoted(other), "known are `linear` and `none`")),
    };
    let mut timm = Map::from_iter([
        ("architecture".to_owned(), Value::from(name)),
        ("num_classes".to_owned(), Value::from(classes)),
    ]);
    if !pool.is_empty() {
        if projection == "linear" && timm_config::named(name)?.0.pool != timm_config::pool(&pool)? {
            return Err(unsupported(
                "timm_pool",
                quoted(&pool),
                "with a projection only the network's own is",
            ));
        }
        timm.insert("global_pool".into(), pool.into());
    }
    let (mut config, _) = timm_config::parse(Fields(timm))?;
    set(&mut config.image_size, tower.take("image_size")?.map(Sides::pair));
    Ok(config)
}

/// A tower of open_clip's own.
fn plain(model: &mut Fields, tower: &mut Fields, width: u32) -> Result<Config> {
    for field in OTHERS {
        let value: Option<Value> = tower.take(field)?;
        if let Some(value) = value.filter(|value| *value != Value::Bool(false)) {
            return Err(unsupported(field, value.to_string(), "only a plain Vision Transformer is"));
        }
    }
    let kind: Option<String> = tower.take("pos_embed_type")?;
    if let Some(other) = kind.filter(|kind| !["learnable", "sin_cos_2d"].contains(&kind.as_str())) {
        return Err(unsupported("pos_embed_type", quoted(&other), "known are `learnable` and `sin_cos_2d`"));
    }
    let layers: Value = tower.take("layers")?.unwrap_or(12.into());
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
    config.num_classes = width;
    config.pre_norm = !tower.take("no_ln_pre")?.unwrap_or(false);
    config.pool = match tower.take::<String>("pool_type")?.as_deref() {
        None | Some("tok") => Pool::Token,
        Some("avg") => Pool::Average,
        Some(other) => return Err(unsupported("pool_type", quoted(other), "known are `tok` and `avg`")),
    };
    // A norm of one token is the same before pooling and behind it.
    config.fc_norm = config.pool == Pool::Average && tower.take("final_ln_after_pool")?.unwrap_or(false);
    let quick = model.take("quick_gelu")?.unwrap_or(false);
    config.activation = if quick { Activation::QuickGelu } else { Activation::Gelu };
    config.position_resample = PositionResample::ANTIALIASED;

    Ok(config)
}

/// How pictures are prepared: open_clip's `preprocess_cfg`, and its defaults for what that leaves out.
fn prepared(config: &mut Config, mut pictures: Fields, file: &str) -> Result<()> {
    let preprocess = &mut config.preprocess;
    (preprocess.mean, preprocess.std) = (OPENAI[0].to_vec(), OPENAI[1].to_vec());
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
    Ok(())
}

/// The config of a checkpoint of OpenAI's or open_clip's names, by its shapes; none where it has others. No shape tells
/// the activation, which is said then.
pub(super) fn recognise(checkpoint: &Shards, file: &str) -> Result<Option<(Config, Vec<String>)>> {
    let shape = |name: &str| checkpoint.shape(&format!("{TOWER}{name}"));
    let (Some(&[channels, in_chans, height, width]), Some(&[positions, _]), Some(&[_, outputs])) =
        (shape("conv1.weight"), shape("positional_embedding"), shape("proj"))
    else {
        return Ok(None);
    };
    let number =
        |value: usize| u32::try_from(value).map_err(|_| wrong("shape", format!("{value} is too much")));
    let side = positions.saturating_sub(1).isqrt();
    let rows = |name: &str| shape(name).and_then(|shape| shape.first().copied()).unwrap_or(0);
    let block = |depth: &usize| shape(&format!("transformer.resblocks.{depth}.ln_1.weight")).is_some();
    let mut config = Config::preset("vit_base_patch16_clip_quickgelu_224")?;
    config.name = "clip".into();
    config.image_size = [number(side.saturating_mul(height))?, number(side.saturating_mul(width))?];
    config.patch_size = [number(height)?, number(width)?];
    config.in_chans = number(in_chans)?;
    config.embed_dim = number(channels)?;
    config.depth = number((0..).take_while(block).count())?;
    config.num_heads = config.embed_dim / 64;
    config.mlp_hidden = number(rows("transformer.resblocks.0.mlp.c_fc.weight"))?;
    config.layer_scale = shape("transformer.resblocks.0.ls_1.gamma").is_some();
    config.num_classes = number(outputs)?;
    config.scores = Scores::None;
    config.preprocess.source = "OpenAI's CLIP".into();
    config.preprocess.crop = 1.0;
    config.check()?;
    // OpenAI's own files say for what input they are.
    let of_openai = checkpoint.shape("input_resolution").is_some();
    let warning = format!(
        "{file} is a CLIP without a config: taken for one as OpenAI's, heads of 64 values and QuickGELU; where that is wrong \
         say what it is by --arch, such as vit_base_patch32_clip_224 for GELU"
    );
    Ok(Some((config, if of_openai { Vec::new() } else { vec![warning] })))
}

/// Makes of a tower's tensors what timm has: the projection lies the other way round than a linear layer's weight, the
/// patches' never has a bias, and the last norm has one name wherever it is.
pub(super) fn complete(config: &Config, checkpoint: &mut Checkpoint) -> Result<()> {
    if !config.pre_norm {
        let channels = config.embed_dim as usize;
        checkpoint.insert("patch_embed.proj.bias", Tensor::new([channels], vec![0.0; channels]));
    }
    if config.fc_norm {
        ["weight", "bias"]
            .iter()
            .for_each(|part| checkpoint.rename(&format!("norm.{part}"), &format!("fc_norm.{part}")));
    }
    let Some(&[rows, columns]) = checkpoint.shape("head.weight") else { return Ok(()) };
    let values = checkpoint.tensor("head.weight")?.data.to_f32().into_owned();
    let turned = (0..rows * columns).map(|i| values[i % rows * columns + i / rows]).collect::<Vec<f32>>();
    checkpoint.insert("head.weight", Tensor::new([columns, rows], turned));
    Ok(())
}
