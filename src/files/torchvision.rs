//! torchvision's Vision Transformers and SWAG's: checkpoints without a config, whose shapes say everything.

use super::fields::wrong;
use super::shards::Shards;
use super::timm_config;
use crate::error::Result;
use crate::vit::{Config, Preprocess, Resample};

/// Tutorials put another head in the place of torchvision's, as a linear layer or the last of several: it gets the name of
/// the one that was there.
pub(super) fn canonical(shards: &mut Shards) {
    let weights: Vec<&str> =
        shards.names().filter(|name| name.starts_with("heads.") && name.ends_with("weight")).collect();
    let [weight] = weights[..] else { return };
    let stem = weight.trim_end_matches("weight").to_owned();
    shards.rename(|name| match name.strip_prefix(&stem) {
        Some(rest) => format!("heads.head.{rest}"),
        None => name.into(),
    });
}

/// How torchvision's weights of a shape are prepared: width, patch, side, then the side that a picture is resized to and
/// the filter, of each set of weights by its name.
type Published = (u32, u32, u32, &'static [(&'static str, u32, Resample)]);
const V1: &str = "IMAGENET1K_V1";
const E2E: &str = "IMAGENET1K_SWAG_E2E_V1";
const LINEAR: &str = "IMAGENET1K_SWAG_LINEAR_V1";
const PUBLISHED: [Published; 8] = [
    (768, 16, 224, &[(V1, 256, Resample::Bilinear), (LINEAR, 224, Resample::Bicubic)]),
    (768, 16, 384, &[(E2E, 384, Resample::Bicubic)]),
    (768, 32, 224, &[(V1, 256, Resample::Bilinear)]),
    (1024, 16, 224, &[(V1, 242, Resample::Bilinear), (LINEAR, 224, Resample::Bicubic)]),
    (1024, 16, 512, &[(E2E, 512, Resample::Bicubic)]),
    (1024, 32, 224, &[(V1, 256, Resample::Bilinear)]),
    (1280, 14, 224, &[(LINEAR, 224, Resample::Bicubic)]),
    (1280, 14, 518, &[(E2E, 518, Resample::Bicubic)]),
];

/// How pictures are prepared, and what is to be said of that: by the file's name where it is the published one
/// (`vit_b_16_lc_swag-4e70ced5`), by the shape where only one set of weights has it, else by a guess.
fn prepare(config: &mut Config, file: &str) -> Vec<String> {
    let shape = (config.embed_dim, config.patch_size[0], config.image_size[0]);
    let found = PUBLISHED.iter().find(|&&(width, patch, side, _)| (width, patch, side) == shape);
    let sets = found.map_or(&[][..], |(.., sets)| sets);
    let of_name = |set: &&(&str, u32, Resample)| match file.split_once('-') {
        Some((name, _)) if name.starts_with("vit_") && name.ends_with("_lc_swag") => set.0 == LINEAR,
        Some((name, _)) if name.starts_with("vit_") && name.ends_with("_swag") => set.0 == E2E,
        Some((name, _)) if name.starts_with("vit_") => set.0 == V1,
        _ => false,
    };
    let named = sets.iter().find(of_name);
    let (name, whole, resample) = match (named.or(sets.first()), config.image_size[0]) {
        (Some(&set), _) => set,
        (None, 224) => ("other weights", 256, Resample::Bilinear),
        (None, side) => ("other weights", side, Resample::Bicubic),
    };
    let preprocess = &mut config.preprocess;
    preprocess.resample = resample;
    preprocess.crop = Preprocess::share(config.image_size[0], whole);
    preprocess.source = format!("torchvision's {name}");
    if named.is_some() {
        return Vec::new();
    }
    preprocess.source = format!("assumed as for torchvision's {name}");
    let others = match sets {
        [_, rest @ ..] if !rest.is_empty() => {
            let other: Vec<String> = rest
                .iter()
                .map(|(name, whole, filter)| {
                    format!("{name} of the same shape: --resize {whole} --interpolation {}", filter)
                })
                .collect();
            format!("; {}", other.join("; "))
        }
        _ => String::new(),
    };
    vec![format!("{file} does not say how pictures are prepared: {preprocess}{others}")]
}

/// The config of a checkpoint with torchvision's names; none where it has others. What no shape tells is as in all of
/// torchvision's weights: heads of 64 values (80 in ViT-H), ImageNet's mean and deviation; for the rest see [`prepare`], whose
/// words come with it.
pub(super) fn recognise(checkpoint: &Shards, file: &str) -> Result<Option<(Config, Vec<String>)>> {
    let blocks = ["encoder.layers.encoder_layer_", "encoder.layers.layer_"];
    let in_block = |name: &str| blocks.iter().any(|stem| name.starts_with(stem));
    let depth = checkpoint.names().filter(|name| in_block(name) && name.ends_with("ln_1.weight")).count();
    let first = checkpoint.names().find(|name| {
        in_block(name) && (name.ends_with("mlp.0.weight") || name.ends_with("mlp.linear_1.weight"))
    });
    let patch = checkpoint.shape("conv_proj.weight");
    let (Some(first), Some(&[channels, in_chans, height, width])) = (first, patch) else { return Ok(None) };

    let rows = |name: &str| checkpoint.shape(name).and_then(|shape| shape.first().copied()).unwrap_or(0);
    let positions: usize =
        checkpoint.shape("encoder.pos_embedding").map_or(0, |shape| shape.iter().product());
    let side = (positions / channels.max(1)).saturating_sub(1).isqrt();
    let number =
        |value: usize| u32::try_from(value).map_err(|_| wrong("shape", format!("{value} is too much")));
    let mut config = Config::preset("vit_base_patch16_224")?;
    config.name = "torchvision".into();
    config.image_size = [number(side.saturating_mul(height))?, number(side.saturating_mul(width))?];
    config.patch_size = [number(height)?, number(width)?];
    config.in_chans = number(in_chans)?;
    config.embed_dim = number(channels)?;
    config.depth = number(depth)?;
    config.num_heads = config.embed_dim / if channels == 1280 { 80 } else { 64 };
    config.mlp_hidden = number(rows(first))?;
    config.num_classes = number(rows("heads.head.weight").max(rows("head.weight")))?;
    config.preprocess.mean = vec![0.485, 0.456, 0.406];
    config.preprocess.std = vec![0.229, 0.224, 0.225];
    config.scores = timm_config::scores(&config);
    let warnings = prepare(&mut config, file);
    config.check()?;
    Ok(Some((config, warnings)))
}
