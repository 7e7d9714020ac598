//! Positions that are sines and cosines.

use super::Checkpoint;
use super::fields::wrong;
use crate::error::Result;
use crate::vit::positions::POSITIONS;
use crate::vit::{Config, Tensor, Tensors};

/// The most values of a table.
const MOST: u64 = 1 << 26;

/// Puts the positions of VideoMAE into a checkpoint, where it has none that were learned: for patch `p` and channels `2 i` and `2 i + 1` sine and
/// cosine of `p / 10000^(2 i / channels)`. The size of the table is that of the tensors which are there.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) for more patches than there can be.
pub(super) fn insert(config: &Config, checkpoint: &mut Checkpoint) -> Result<()> {
    let (patches, channels) = (config.patches(), config.embed_dim);
    if u64::from(patches) * u64::from(channels) > MOST {
        return Err(wrong(
            "patch_size",
            format!("makes {patches} patches of {channels} values, which are too many"),
        ));
    }
    if checkpoint.shape(POSITIONS).is_some() {
        return Ok(());
    }
    // Where the patches' projection has another width, the check of the tensors says so.
    if checkpoint.shape("patch_embed.proj.weight").and_then(<[usize]>::first) != Some(&(channels as usize)) {
        return Ok(());
    }
    let value = |patch: u32, channel: u32| {
        let power = f64::from(channel / 2 * 2) / f64::from(channels);
        let (sine, cosine) = (f64::from(patch) / 10_000_f64.powf(power)).sin_cos();
        (if channel.is_multiple_of(2) { sine } else { cosine }) as f32
    };
    let mut values = Vec::with_capacity((patches * channels) as usize);
    (0..patches).for_each(|patch| values.extend((0..channels).map(|channel| value(patch, channel))));
    checkpoint.insert(POSITIONS, Tensor::new([1, patches as usize, channels as usize], values));
    Ok(())
}
