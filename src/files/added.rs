//! Positions that are sums of two.

use super::Checkpoint;
use crate::error::{Error, Result};
use crate::vit::{Config, Tensors};

/// The most values of a table.
const MOST: usize = 1 << 26;

/// How many positions a tensor has, `[1, positions, channels]`.
///
/// # Errors
/// [`Error::Weight`] where it is another or missing.
pub(super) fn rows(name: &str, config: &Config, checkpoint: &Checkpoint) -> Result<usize> {
    let channels = config.embed_dim as usize;
    let why = match checkpoint.shape(name) {
        Some(&[1, rows, width]) if width == channels && rows > 0 => return Ok(rows),
        Some(shape) => format!("has shape {shape:?}, the network asks for [1, positions, {channels}]"),
        None => "is missing".into(),
    };
    Err(Error::Weight { name: name.into(), why })
}

/// Takes two tensors of positions out of a checkpoint: for each of the first each of the second, added.
///
/// # Errors
/// As [`rows`], and [`Error::Weight`] for more than there can be.
pub(super) fn sums(
    [first, second]: [&str; 2],
    config: &Config,
    checkpoint: &mut Checkpoint,
) -> Result<Vec<f32>> {
    let channels = config.embed_dim as usize;
    let counts = [rows(first, config, checkpoint)?, rows(second, config, checkpoint)?];
    let values = counts[0].saturating_mul(counts[1]).saturating_mul(channels);
    if values > MOST {
        let why = format!("{} positions, for each of {} others, are too many", counts[1], counts[0]);
        return Err(Error::Weight { name: second.into(), why });
    }
    let (first, second) = (checkpoint.take(first)?.data.into_f32(), checkpoint.take(second)?.data.into_f32());
    let mut table = Vec::with_capacity(values);
    for one in first.chunks_exact(channels) {
        let others = second.chunks_exact(channels);
        table.extend(others.flat_map(|other| other.iter().zip(one).map(|(a, b)| a + b)));
    }
    Ok(table)
}
