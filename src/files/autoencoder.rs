//! Masked autoencoders under their own names: what only the tensors of a file say.

use super::Checkpoint;
use super::fields::unsupported;
use super::names::{self, Layout};
use super::shards::Shards;
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

/// The most values of a table.
const MOST: usize = 1 << 26;

/// Positions in space, in time and of the class token.
const PARTS: [&str; 3] = ["pos_embed_spatial", "pos_embed_temporal", "pos_embed_class"];

/// Makes one table of positions where there are some in space and some in time, which are added.
///
/// # Errors
/// [`Error::Weight`] for parts that do not fit the network; [`Error::File`] where reading fails.
pub(super) fn add_positions(config: &Config, checkpoint: &mut Checkpoint) -> Result<()> {
    let [space, time, class] = PARTS;
    if checkpoint.shape(space).is_none() && checkpoint.shape(time).is_none() {
        return Ok(());
    }
    let channels = config.embed_dim as usize;
    let rows = |name: &str, wanted: Option<usize>| match checkpoint.shape(name) {
        Some(&[1, rows, width]) if width == channels && wanted.unwrap_or(rows) == rows => Ok(rows),
        shape => {
            let rows = wanted.map_or("places".into(), |rows| rows.to_string());
            let why = match shape {
                Some(shape) => format!("has shape {shape:?}, the network asks for [1, {rows}, {channels}]"),
                None => "is missing".into(),
            };
            Err(Error::Weight { name: name.into(), why })
        }
    };
    let (places, times) = (rows(space, None)?, rows(time, Some(config.patch_times() as usize))?);
    if config.class_token {
        rows(class, Some(1))?;
    }
    if places.saturating_mul(times).saturating_mul(channels) > MOST {
        let why = format!("{places} places at {times} times are too many");
        return Err(Error::Weight { name: space.into(), why });
    }
    let mut take = |name: &str| Ok::<_, Error>(checkpoint.take(name)?.data.into_f32());
    let mut table = if config.class_token { take(class)? } else { Vec::new() };
    let (of_places, of_times) = (take(space)?, take(time)?);
    for of_time in of_times.chunks_exact(channels) {
        let rows = of_places.chunks_exact(channels);
        table.extend(rows.flat_map(|of_place| of_place.iter().zip(of_time).map(|(a, b)| a + b)));
    }
    let rows = table.len() / channels;
    checkpoint.insert(POSITIONS, Tensor::new([1, rows, channels], table));
    Ok(())
}
