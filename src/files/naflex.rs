//! timm's `NaFlexVit` for pictures of one size: its patches and positions as other networks have them.

use super::{Checkpoint, added};
use crate::error::{Error, Result};
use crate::vit::positions::POSITIONS;
use crate::vit::{Config, Tensor, Tensors};

/// The patches' projection, and positions by rows and by columns.
const PROJECTION: &str = "patch_embed.proj.weight";
const ROWS_AND_COLUMNS: [&str; 2] = ["pos_embed_y", "pos_embed_x"];

/// The most positions of a table.
const MOST: usize = 1 << 20;

/// Turns the projection of rows of pixels into one of patches, and makes the network's positions of its table of whatever grid,
/// or of two whose sum that is.
///
/// # Errors
/// [`Error::Weight`] for positions that are none; [`Error::File`] where reading fails.
pub(super) fn settle(config: &Config, checkpoint: &mut Checkpoint) -> Result<()> {
    turn_patches(config, checkpoint)?;
    let channels = config.embed_dim as usize;
    // The kinds are brought to other grids in different ways.
    let by_sides = config.name.contains("_parfac_");
    let [rows, _] = ROWS_AND_COLUMNS;
    let other = if by_sides { POSITIONS } else { rows };
    if checkpoint.shape(other).is_some() {
        let why = format!(
            "`{}` has {}",
            config.name,
            if by_sides { "`pos_embed_y` and `pos_embed_x`" } else { "`pos_embed`" }
        );
        return Err(Error::Weight { name: other.into(), why });
    }
    let (grid, table) = match checkpoint.shape(POSITIONS) {
        Some(&[1, rows, columns, width]) if width == channels && rows.saturating_mul(columns) <= MOST => {
            ([rows, columns], checkpoint.take(POSITIONS)?.data.into_f32())
        }
        Some(shape) => {
            let why = format!("has shape {shape:?}, the network asks for [1, rows, columns, {channels}]");
            return Err(Error::Weight { name: POSITIONS.into(), why });
        }
        None => {
            let [rows, columns] = ROWS_AND_COLUMNS;
            let grid = [added::rows(rows, config, checkpoint)?, added::rows(columns, config, checkpoint)?];
            (grid, added::sums(ROWS_AND_COLUMNS, config, checkpoint)?)
        }
    };
    let table = Tensor::new([1, table.len() / channels, channels], table);
    checkpoint.positions_of(table, grid.map(|side| side as u32), config)
}

/// `[width, rows * columns * channels]` to `[width, channels, rows, columns]`. What has another shape the check of the tensors names.
fn turn_patches(config: &Config, checkpoint: &mut Checkpoint) -> Result<()> {
    let [rows, columns] = config.patch_size.map(|side| side as usize);
    let (width, channels) = (config.embed_dim as usize, config.in_chans as usize);
    let pixels = rows * columns;
    if checkpoint.shape(PROJECTION) != Some(&[width, pixels * channels]) {
        return Ok(());
    }
    let weight = checkpoint.take(PROJECTION)?.data.into_f32();
    let turned = weight.chunks_exact(pixels * channels).flat_map(|row| {
        (0..channels).flat_map(move |channel| row.iter().skip(channel).step_by(channels).copied())
    });
    let turned: Vec<f32> = turned.collect();
    checkpoint.insert(PROJECTION, Tensor::new([width, channels, rows, columns], turned));
    Ok(())
}
