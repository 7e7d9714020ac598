//! torchvision's Vision Transformers and SWAG's: checkpoints without a config, whose shapes say everything.

use super::fields::wrong;
use super::shards::Shards;
use crate::error::Result;
use crate::vit::{Config, Resample};

/// The config of a checkpoint with torchvision's names; none where it has others. What no shape tells is as in all of
/// torchvision's weights: heads of 64 values (80 in ViT-H), ImageNet's mean and deviation, 224 pixels bilinear from a
/// picture of 256 and other sizes bicubic and uncut.
pub(super) fn recognise(checkpoint: &Shards) -> Result<Option<Config>> {
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
    config.preprocess.crop = 1.0;
    if config.image_size == [224; 2] {
        (config.preprocess.resample, config.preprocess.crop) = (Resample::Bilinear, 0.875);
    }
    config.check()?;
    Ok(Some(config))
}
