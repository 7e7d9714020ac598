//! Masked autoencoders under their own names: what only the tensors of a file say.

use super::fields::unsupported;
use super::names::{self, Layout};
use super::shards::Shards;
use super::{Checkpoint, added};
use crate::error::{Error, Result};
use crate::vit::autoencoder::Autoencoder;
use crate::vit::positions::POSITIONS;
use crate::vit::{Config, Tensor, Tensors};

/// Whether it is the encoder as it was trained, with a norm before the mean of the patches, or has been tuned since, with one
/// behind it.
///
/// # Errors
/// [`Error::Unsupported`] for a classifier that reads something else than the mean of all patches.
pub(super) fn tell(kind: Autoencoder, config: &mut Config, shards: &Shards) -> Result<&'static Layout> {
    let has = |name: &str| shards.shape(name).is_some();
    let has_head = has("head.weight") || has("head.projection.weight");
    let refused = |field: &str, why: &str| Err(unsupported(field, "false".into(), why));
    match kind {
        Autoencoder::SpaceTime => {
            config.class_token = has("cls_token");
            config.fc_norm = has_head;
            if has_head && !config.class_token {
                return refused("cls_embed", "a classifier that leaves the first patch out is not run");
            }
            Ok(if has_head { &names::MAE_ST_CLASSIFIER } else { &names::MAE_ST })
        }
        Autoencoder::Video | Autoencoder::Audio => {
            config.fc_norm = has("fc_norm.weight");
            if has_head && !config.fc_norm {
                let field = if kind == Autoencoder::Video { "use_mean_pooling" } else { "global_pool" };
                return refused(
                    field,
                    "a classifier of one token alone is not run; the mean of all patches is",
                );
            }
            Ok(if kind == Autoencoder::Video { &names::VIDEO_MAE_OWN } else { &names::AUDIO_MAE })
        }
    }
}

/// Positions in time, in space and of the class token.
const PARTS: [&str; 3] = ["pos_embed_temporal", "pos_embed_spatial", "pos_embed_class"];

/// Makes one table of positions where there are some in space and some in time, which are added.
///
/// # Errors
/// [`Error::Weight`] for parts that do not fit the network; [`Error::File`] where reading fails.
pub(super) fn add_positions(config: &Config, checkpoint: &mut Checkpoint) -> Result<()> {
    let [time, space, class] = PARTS;
    if checkpoint.shape(space).is_none() && checkpoint.shape(time).is_none() {
        return Ok(());
    }
    let times = added::rows(time, config, checkpoint)?;
    if times != config.patch_times() as usize {
        let why = format!("is of {times} times, the network asks for {}", config.patch_times());
        return Err(Error::Weight { name: time.into(), why });
    }
    let mut table = Vec::new();
    if config.class_token {
        if added::rows(class, config, checkpoint)? != 1 {
            return Err(Error::Weight { name: class.into(), why: "is of more than one token".into() });
        }
        table = checkpoint.take(class)?.data.into_f32();
    }
    table.extend(added::sums([time, space], config, checkpoint)?);
    let channels = config.embed_dim as usize;
    checkpoint.insert(POSITIONS, Tensor::new([1, table.len() / channels, channels], table));
    Ok(())
}
