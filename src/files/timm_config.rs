//! timm's hub `config.json` to a [`Config`].

use serde_json::{Map, Value};

use super::fields::{Fields, Sides, quoted, set, unsupported, wrong};
use super::names::{self, Layout};
use super::{timm_eva, timm_relative};
use crate::error::Result;
use crate::kernels::NormKind;
use crate::kernels::matmul::Activation;
use crate::vit::autoencoder::Autoencoder;
use crate::vit::preset::Preset;
use crate::vit::presets;
use crate::vit::{BiasSource, Config, Mlp, Pool, Preprocess, Resample, Resize, Scores, Sound, Wiring};

/// Arguments of timm's `VisionTransformer` that change nothing about a trained network at its own image size.
const WITHOUT_EFFECT: [&str; 9] = [
    "drop_rate",
    "pos_drop_rate",
    "patch_drop_rate",
    "proj_drop_rate",
    "attn_drop_rate",
    "drop_path_rate",
    "weight_init",
    "fix_init",
    "dynamic_img_size",
];

/// The part of a tag by which a network of one channel is known to hear: AudioMAE's in timm's layout says it by nothing else.
const AUDIO_MAE: &str = "audiomae";

/// Reads timm's hub `config.json`: `architecture` gives the defaults, `model_args` overrides them, `num_classes`,
/// `global_pool` and `pretrained_cfg` say the rest, with timm's defaults for what they leave out. Class names come
/// from `label_names` and `label_descriptions`.
pub(super) fn parse(mut top: Fields) -> Result<(Config, &'static Layout)> {
    let wrapped = is_wrapped(&top);
    let mut args = Fields(top.take("model_args")?.unwrap_or_default());
    // Before timm 0.9 the file was what is now `pretrained_cfg`.
    let mut pretrained = match top.take("pretrained_cfg")? {
        Some(map) => Fields(map),
        None => Fields(top.0.clone()),
    };

    let architecture: String =
        top.take("architecture")?.ok_or_else(|| wrong("architecture", "is missing"))?;
    let preset = presets::named(&stem(&architecture))?;
    let mut config = preset.config();

    let input_size: Option<[u32; 3]> = pretrained.take("input_size")?;
    if let Some([channels, height, width]) = input_size {
        config.in_chans = channels;
        config.image_size = [height, width];
    }
    set(&mut config.num_classes, pretrained.take("num_classes")?);
    set(&mut config.num_classes, top.take("num_classes")?);
    let pool: Option<String> = pretrained.take("global_pool")?;
    let pool = top.take("global_pool")?.or(pool);

    model_args(&mut config, preset, &mut args, pool)?;
    // timm's tags begin with the training, and these weights have not been trained further.
    let tag: Option<String> = pretrained.take("tag")?;
    let tag = tag.as_deref().or(architecture.split_once('.').map(|(_, tag)| tag)).unwrap_or_default();
    let hears = config.in_chans == 1 && tag.contains(AUDIO_MAE);
    config.prop_attn &= !tag.starts_with("mae") && !hears;
    if hears && config.sound.is_none() {
        config.sound = Some(Sound::audio_mae(format!("assumed for `{AUDIO_MAE}`")));
    }
    config.check_numbers()?;
    let read = preprocess(&mut pretrained, config.in_chans)?;
    // Whoever has a name of its own here has its own ways as well.
    if preset.family.autoencoder.is_none() || read.source != ASSUMED {
        config.preprocess = read;
    }
    if config.sound.is_some() {
        // Whoever hears has no use for those of colours.
        config.preprocess.mean.truncate(1);
        config.preprocess.std.truncate(1);
    }
    // By way of transformers pictures are opened as transformers opens them.
    config.preprocess.exif = wrapped;
    config.scores = scores(&config);
    config.labels = labels(&mut top, &mut pretrained, config.num_classes)?;
    config.check()?;
    let layout = layout(preset, &config);
    Ok((config, layout))
}

/// Whether it is transformers' config around timm's.
pub(super) fn is_wrapped(top: &Fields) -> bool {
    top.0.get("model_type").and_then(Value::as_str) == Some("timm_wrapper")
}

/// An architecture with timm's defaults, by a name with or without its training, and how its tensors are named.
pub(super) fn named(architecture: &str) -> Result<(Config, &'static Layout)> {
    let preset = presets::named(&stem(architecture))?;
    let config = preset.config();
    let layout = layout(preset, &config);
    Ok((config, layout))
}

/// How timm names an architecture's tensors.
fn layout(preset: &Preset, config: &Config) -> &'static Layout {
    if let Some(relative) = preset.family.relative {
        // What BEiT's tensors are called that others do not have, EVA's are.
        return match relative.source {
            BiasSource::Table(_) => &names::EVA,
            BiasSource::Mlp { .. } => &names::RELATIVE,
        };
    }
    match (config.wiring, preset.family.eva, preset.family.autoencoder) {
        _ if preset.name.starts_with("naflexvit_") => &names::NAFLEX,
        (Wiring::Parallel, ..) => &names::PARALLEL,
        (_, Some(_), _) => &names::EVA,
        (_, _, Some(Autoencoder::Video)) => &names::VIDEO_MAE_OWN,
        (_, _, Some(Autoencoder::SpaceTime)) => &names::MAE_ST,
        (_, _, Some(Autoencoder::Audio)) => &names::AUDIO_MAE,
        (_, None, None) => &names::TIMM,
    }
}

/// What a network's logits are.
pub(super) fn scores(config: &Config) -> Scores {
    match config.num_classes {
        0 => Scores::None,
        1 => Scores::Sigmoid,
        // A sound is of several of AudioSet's.
        527 if config.sound.is_some() => Scores::Sigmoid,
        _ => Scores::Softmax,
    }
}

/// The name of an architecture without its training, which follows the dot and in timm's older names came at the end.
fn stem(architecture: &str) -> String {
    let name = architecture.split('.').next().unwrap_or_default();
    if let Some((front, clip)) = name.split_once("_224_clip_") {
        return if clip == "laion2b" { format!("{front}_clip_224") } else { name.into() };
    }
    let older = ["_in21ft1k", "_in21k", "_dino", "_sam"];
    let short = older.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    if presets::named(name).is_ok() { name.into() } else { short.into() }
}

/// Overrides the architecture's defaults; refuses what is left over.
fn model_args(
    config: &mut Config,
    preset: &Preset,
    args: &mut Fields,
    pool_name: Option<String>,
) -> Result<()> {
    set(&mut config.image_size, args.take("img_size")?.map(Sides::pair));
    set(&mut config.patch_size, args.take("patch_size")?.map(Sides::pair));
    set(&mut config.in_chans, args.take("in_chans")?);
    set(&mut config.num_classes, args.take("num_classes")?);
    set(&mut config.embed_dim, args.take("embed_dim")?);
    set(&mut config.depth, args.take("depth")?);
    set(&mut config.num_heads, args.take("num_heads")?);
    set(&mut config.qk_norm, args.take("qk_norm")?);
    set(&mut config.qkv_bias, args.take("qkv_bias")?);
    set(&mut config.class_token, args.take("class_token")?);
    set(&mut config.no_embed_class, args.take("no_embed_class")?);
    if config.frames > 1 {
        set(&mut config.frames, args.take("num_frames")?);
        set(&mut config.patch_frames, args.take("tubelet_size")?);
    }
    norms(config, args)?;
    config.wiring = match args.take::<String>("block_fn")?.as_deref() {
        None => config.wiring,
        Some("Block" | "RelPosBlock") => Wiring::Serial,
        Some("ResPostBlock" | "ResPostRelPosBlock") => Wiring::PostNorm,
        Some("ParallelScalingBlock") => Wiring::Parallel,
        Some(other) => {
            let known = "known are `Block`, `ResPostBlock`, `ParallelScalingBlock` and those with `RelPos`";
            return Err(unsupported("block_fn", quoted(other), known));
        }
    };
    if let Some(eva) = &preset.family.eva {
        return timm_eva::model_args(config, preset, eva, args, pool_name);
    }
    if let Some(relative) = preset.family.relative {
        return timm_relative::model_args(config, preset, relative, args, pool_name);
    }
    set(&mut config.reg_tokens, args.take("reg_tokens")?);
    set(&mut config.pre_norm, args.take("pre_norm")?);
    set(&mut config.final_norm, args.take("final_norm")?);
    set(&mut config.proj_bias, args.take("proj_bias")?);
    config.mlp_bias = config.proj_bias;
    set(&mut config.attn_norm, args.take("scale_attn_norm")?);
    set(&mut config.mlp_norm, args.take("scale_mlp_norm")?);
    set(&mut config.pool_prefix, args.take("pool_include_prefix")?);
    // Null is a value here and in `fc_norm`: it takes back what the architecture says.
    if args.has("init_values") {
        let init_values: Option<f64> = args.take("init_values")?;
        // Behind a branch it is what a norm begins with.
        config.layer_scale =
            config.wiring != Wiring::PostNorm && init_values.is_some_and(|value| value != 0.0);
    }

    if let Some(name) = args.take("global_pool")?.or(pool_name) {
        config.pool = match pool(&name)? {
            Pool::Token if config.dist_token => Pool::Distilled,
            pool => pool,
        };
    }
    let fc_norm = if args.has("fc_norm") { args.take("fc_norm")? } else { preset.family.fc_norm };
    config.fc_norm = fc_norm.unwrap_or(config.pool == Pool::Average);

    let act_layer: Option<String> = args.take("act_layer")?;
    let no_act = act_layer.is_none();
    config.activation = match act_layer.as_deref() {
        None => config.activation,
        Some("gelu") => Activation::Gelu,
        Some("gelu_tanh") => Activation::GeluTanh,
        Some("quick_gelu") => Activation::QuickGelu,
        Some("silu" | "swish") => Activation::Silu,
        Some("relu") => Activation::Relu,
        Some("sigmoid") => Activation::Sigmoid,
        Some(other) => {
            let known = "known are `gelu`, `gelu_tanh`, `quick_gelu`, `silu`, `relu` and `sigmoid`";
            return Err(unsupported("act_layer", quoted(other), known));
        }
    };
    mlp(config, preset, args, no_act)?;

    refuse_others(args, &WITHOUT_EFFECT, |key| match key {
        "dynamic_img_pad" => Some(false.into()),
        "pos_embed" if preset.name.contains("_parfac_") => Some("factorized".into()),
        "pos_embed" if preset.name.starts_with("naflexvit_") => Some("learned".into()),
        "pos_embed" => Some("learn".into()),
        _ => None,
    })
}

/// Refuses what is left over, but for what has no effect or is as it would be without.
pub(super) fn refuse_others(
    args: &Fields,
    without_effect: &[&str],
    plain: impl Fn(&str) -> Option<Value>,
) -> Result<()> {
    for (key, value) in &args.0 {
        if value.is_null() || without_effect.contains(&key.as_str()) {
            continue;
        }
        match plain(key) {
            None => return Err(unsupported(key, value.to_string(), "this argument is not known")),
            Some(plain) if *value != plain => {
                return Err(unsupported(key, value.to_string(), &format!("only {plain} is")));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// A way of pooling by timm's name.
pub(super) fn pool(name: &str) -> Result<Pool> {
    match name {
        "token" => Ok(Pool::Token),
        "avg" => Ok(Pool::Average),
        "map" => Ok(Pool::Attention),
        other => Err(unsupported("global_pool", quoted(other), "known are `token`, `avg` and `map`")),
    }
}

/// What the norms are. One that is named has timm's epsilon unless it is said.
fn norms(config: &mut Config, args: &mut Fields) -> Result<()> {
    if let Some(kind) = norm_kind(args, "norm_layer")? {
        (config.norm, config.norm_eps) = (kind, 1e-6);
    }
    set(&mut config.norm_eps, args.take("norm_eps")?);
    if let Some(kind) = norm_kind(args, "embed_norm_layer")? {
        config.embed_norm = true;
        if kind != config.norm {
            return Err(unsupported(
                "embed_norm_layer",
                format!("{kind:?}"),
                "it is of the kind of `norm_layer`",
            ));
        }
    }
    Ok(())
}

fn norm_kind(args: &mut Fields, field: &str) -> Result<Option<NormKind>> {
    match args.take::<String>(field)?.as_deref() {
        None => Ok(None),
        Some("layernorm") => Ok(Some(NormKind::Layer)),
        Some("rmsnorm") => Ok(Some(NormKind::Rms)),
        Some(other) => Err(unsupported(field, quoted(other), "known are `layernorm` and `rmsnorm`")),
    }
}

/// The MLP's kind and width.
fn mlp(config: &mut Config, preset: &Preset, args: &mut Fields, no_act: bool) -> Result<()> {
    let layer: Option<String> = args.take("mlp_layer")?;
    config.mlp = match layer.as_deref() {
        None => config.mlp,
        Some("Mlp") => Mlp::Plain,
        Some("SwiGLU") => Mlp::GateApart,
        // The name of the class is all that is left of timm's `SwiGLUPacked`, a `GluMlp` with SiLU and the gate first.
        Some("SwiGLUPacked") => Mlp::GateFirst,
        Some("GluMlp") if config.activation == Activation::Silu => Mlp::GateFirst,
        Some("GluMlp") => Mlp::GateLast,
        Some(other) => {
            let known = "known are `Mlp`, `GluMlp`, `SwiGLU` and `SwiGLUPacked`";
            return Err(unsupported("mlp_layer", quoted(other), known));
        }
    };
    // timm hands its MLPs a GELU unless told otherwise; only the names say SiLU.
    if no_act && matches!(layer.as_deref(), Some("SwiGLU" | "SwiGLUPacked")) {
        config.activation = Activation::Silu;
    }
    // `as` truncates as Python's int() does; what is out of range is refused when the config is checked.
    let ratio: f64 = args.take("mlp_ratio")?.unwrap_or(preset.size.mlp_ratio);
    let hidden = (f64::from(config.embed_dim) * ratio) as u32;
    config.mlp_hidden = match config.mlp {
        Mlp::Plain | Mlp::GateApart => hidden,
        Mlp::GateFirst | Mlp::GateLast if hidden.is_multiple_of(2) => hidden / 2,
        Mlp::GateFirst | Mlp::GateLast => return Err(wrong("mlp_ratio", format!("{hidden} has no halves"))),
    };
    Ok(())
}

fn from_json(values: Value) -> Result<Vec<f32>> {
    serde_json::from_value(values).map_err(|error| wrong("mean, std", error.to_string()))
}

/// The source of what a config without `pretrained_cfg` leaves to timm's defaults.
pub(super) const ASSUMED: &str = "assumed: timm's defaults";

/// timm's `resolve_data_config`.
fn preprocess(pretrained: &mut Fields, channels: u32) -> Result<Preprocess> {
    let per_channel = |values: Option<Value>, imagenet: [f32; 3]| match values {
        Some(one) if one.is_number() => from_json(vec![one; channels as usize].into()),
        Some(Value::Array(one)) if one.len() == 1 => {
            from_json(vec![one[0].clone(); channels as usize].into())
        }
        Some(values) => from_json(values),
        None => Ok(imagenet.to_vec()),
    };
    let says = ["mean", "std", "interpolation", "crop_pct"].iter().any(|field| pretrained.has(field));
    let interpolation: Option<String> = pretrained.take("interpolation")?;
    let crop_mode: Option<String> = pretrained.take("crop_mode")?;
    let resize = match crop_mode.as_deref() {
        None | Some("center") => Resize::Shortest,
        Some("squash") => Resize::Squash,
        Some(other) => {
            return Err(unsupported("crop_mode", quoted(other), "known are `center` and `squash`"));
        }
    };
    Ok(Preprocess {
        mean: per_channel(pretrained.take("mean")?, [0.485, 0.456, 0.406])?,
        std: per_channel(pretrained.take("std")?, [0.229, 0.224, 0.225])?,
        resample: Resample::named("interpolation", interpolation.as_deref().unwrap_or("bicubic"))?,
        resize,
        crop: pretrained.take("crop_pct")?.unwrap_or(0.875),
        floor_crop: false,
        bgr: false,
        exif: false,
        reduced: false,
        source: if says { "pretrained_cfg".into() } else { ASSUMED.into() },
    })
}

/// The most classes that a map with gaps may name.
const MOST_LABELS: u32 = 1 << 16;

/// The classes' names, in order; their descriptions where there are some.
fn labels(top: &mut Fields, pretrained: &mut Fields, classes: u32) -> Result<Vec<String>> {
    let mut find = |key| Ok(top.take(key)?.or(pretrained.take(key)?));
    // `labels` is the older name.
    let Some(names) = find("label_names")?.or(find("labels")?) else { return Ok(Vec::new()) };
    let descriptions: Map<String, Value> = match find("label_descriptions")? {
        Some(map) => {
            serde_json::from_value(map).map_err(|error| wrong("label_descriptions", error.to_string()))?
        }
        None => Map::new(),
    };
    let names = match names {
        // A map from class to name may have gaps.
        Value::Object(_) if classes > MOST_LABELS => {
            return Err(wrong("num_classes", format!("{classes} classes are too many to be named by a map")));
        }
        Value::Object(map) => {
            (0..classes).map(|class| map.get(&class.to_string()).cloned().unwrap_or(class.into())).collect()
        }
        Value::Array(names) => names,
        other => return Err(wrong("label_names", format!("is neither a list nor a map: {other}"))),
    };
    // A network without a head may keep the names of the one that it had.
    if classes == 0 {
        return Ok(Vec::new());
    }
    if names.len() != classes as usize {
        return Err(wrong("label_names", format!("{} names for {classes} classes", names.len())));
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Ok(names.iter().map(|name| descriptions.get(&text(name)).map_or_else(|| text(name), text)).collect())
}
