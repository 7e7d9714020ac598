//! Small things that layouts say differently, and positions of another grid.

use super::Checkpoint;
use super::fields::unsupported;
use crate::error::Result;
use crate::vit::positions::{self, POSITIONS};
use crate::vit::relative::{self, TableResample};
use crate::vit::{Config, Pool, Scores, Tensor, Tensors};

/// The token that a position may be added to.
const CLASS: &str = "cls_token";

/// Makes a checkpoint what the config describes, as far as it may be told otherwise, and checks the names and shapes of
/// all tensors. Then, and not before, the few are read that have to change.
///
/// # Errors
/// Those of [`Tensors::check`]; [`Error::File`](crate::Error::File) where reading fails.
pub(super) fn settle(config: &mut Config, checkpoint: &mut Checkpoint) -> Result<()> {
    let channels = config.embed_dim as usize;
    // Versions of timm differ in whether `final_norm: false` takes the norm after pooling away as well.
    config.final_norm |= config.fc_norm && checkpoint.shape("fc_norm.weight").is_some();
    // Without a head transformers' BEiT and data2vec may come without a pooler, whose norm is behind the mean: with another
    // where they were trained to fill in patches.
    let is_beit = ["beit", "data2vec-vision"].contains(&&config.name[..]);
    if is_beit && config.num_classes == 0 && config.fc_norm && checkpoint.shape("fc_norm.weight").is_none() {
        (config.fc_norm, config.final_norm) = (false, checkpoint.shape("norm.weight").is_some());
        let last = if config.final_norm { "norm" } else { "block" };
        checkpoint
            .warn(format!("there is no pooler: features are the mean of the patches behind the last {last}"));
    }
    // Rows of channels, with or without dimensions of 1 around them.
    for name in [POSITIONS, CLASS, "dist_token", "reg_token", "attn_pool.latent"] {
        if let Some(shape) = checkpoint.shape_mut(name).filter(|shape| shape.last() == Some(&channels)) {
            *shape = vec![1, shape.iter().product::<usize>() / channels, channels];
        }
    }
    if config.pool == Pool::TokenAndAverage
        && checkpoint.shape("head.weight").is_some_and(|shape| shape.last() == Some(&(5 * channels)))
    {
        let why = "DINOv2's over the last layer alone is run (`layers=1`)";
        return Err(unsupported("linear_head", "over 4 layers".into(), why));
    }
    // CLIP's projection has no bias, nor has open_clip's behind a network of timm's.
    let projects = config.pre_norm || config.scores == Scores::None;
    if projects && checkpoint.shape("head.weight").is_some() && checkpoint.shape("head.bias").is_none() {
        let classes = config.num_classes as usize;
        checkpoint.insert("head.bias", Tensor::new([classes], vec![0.0; classes]));
    }
    let tables = settle_tables(config, checkpoint);
    settle_positions(config, checkpoint)?;
    for (name, from, how) in tables {
        let table = relative::regrid_table(
            checkpoint.tensor(&name)?.as_ref(),
            config.num_heads,
            from,
            config.grid(),
            how,
        );
        checkpoint.insert(&name, table);
    }
    Ok(())
}

/// The tables of a relative position bias that are for another, square grid than the config's, and which: they are given the
/// shape that they will have, and their values are to be resampled.
fn settle_tables(config: &Config, checkpoint: &mut Checkpoint) -> Vec<(String, [u32; 2], TableResample)> {
    let Some((names, how)) = config.relative.and_then(|relative| relative.tables(config)) else {
        return Vec::new();
    };
    let mut others = Vec::new();
    for name in names {
        let Some(shape) = checkpoint.shape_mut(&name).filter(|shape| shape.len() == 2) else { continue };
        let Some(grid) = grid_of_table(config, shape[0]) else { continue };
        shape[0] = relative::table_rows(config, config.grid());
        others.push((name, grid, how));
    }
    let warning = others.first().and_then(|&(_, grid, _)| far(grid, config.grid()));
    warning.into_iter().for_each(|warning| checkpoint.warn(warning));
    others
}

/// The square grid that a table of so many rows is for, where that is not the config's.
fn grid_of_table(config: &Config, rows: usize) -> Option<[u32; 2]> {
    let side = rows.saturating_sub(if config.prefix() > 0 { 3 } else { 0 }).isqrt();
    let grid = [side.div_ceil(2) as u32; 2];
    // Grids, not rows: 5 x 13 has as many displacements as 8 x 8.
    let is_other = grid != config.grid();
    (is_other && (1..=1 << 10).contains(&grid[0]) && rows == relative::table_rows(config, grid))
        .then_some(grid)
}

/// A position for the class token where the config has positions for patches only, as in DINOv2's checkpoints with
/// registers, becomes part of the token. Positions of another, square grid than the config's are resampled.
fn settle_positions(config: &Config, checkpoint: &mut Checkpoint) -> Result<()> {
    if config.packed.is_some() {
        return checkpoint.check(config);
    }
    let channels = config.embed_dim as usize;
    let rows = match checkpoint.shape(POSITIONS) {
        Some(&[1, rows, width]) if width == channels => rows,
        _ => return checkpoint.check(config),
    };
    let of_class = usize::from(has_class_position(config, rows));
    let grid = other_grid(config, rows - of_class);
    if of_class == 0 && grid.is_none() {
        return checkpoint.check(config);
    }
    // The shape that they will have.
    if let Some(shape) = checkpoint.shape_mut(POSITIONS) {
        let resampled = (config.prefix_positions() + config.patches()) as usize;
        shape[1] = if grid.is_some() { resampled } else { rows - of_class };
    }
    checkpoint.check(config)?;

    let mut values = checkpoint.tensor(POSITIONS)?.into_owned().data.into_f32();
    if of_class == 1 {
        let mut token = checkpoint.tensor(CLASS)?.into_owned();
        let mut sum = token.data.into_f32();
        sum.iter_mut().zip(values.drain(..channels)).for_each(|(token, position)| *token += position);
        token.data = sum.into();
        checkpoint.insert(CLASS, token);
    }
    let mut tensor = Tensor::new([1, rows - of_class, channels], values);
    if let Some(grid) = grid {
        if let Some(warning) = far(grid, config.grid()) {
            checkpoint.warn(warning);
        }
        tensor = positions::regrid(&tensor, config, grid, config.grid())?;
    }
    checkpoint.insert(POSITIONS, tensor);
    Ok(())
}

/// Whether the first of so many positions is the class token's although the config has none for it. The patches may be of
/// another grid than the config's.
fn has_class_position(config: &Config, rows: usize) -> bool {
    let patches = config.patches() as usize;
    let square = |count: usize| count.isqrt().pow(2) == count;
    let one_more = rows == patches + 1 || (rows != patches && rows > 1 && !square(rows) && square(rows - 1));
    config.no_embed_class && config.class_token && one_more
}

/// The grid that so many rows of positions are of, where it is not the config's but another, square one: timm
/// resamples such positions when it loads. None for a grid that no network has (more than a million patches), for which
/// no memory is to be spent.
fn other_grid(config: &Config, rows: usize) -> Option<[u32; 2]> {
    // A spectrogram's grid is no square: AudioMAE's 32 x 8 patches are as many as 16 x 16.
    if config.sound.is_some() {
        return None;
    }
    let patches = rows.checked_sub(config.prefix_positions() as usize)?;
    let times = config.patch_times() as usize;
    let side = (patches / times).isqrt();
    let other = patches != config.patches() as usize && times * side * side == patches;
    (other && (1..=1 << 10).contains(&side)).then_some([side as u32; 2])
}

/// What is to be said where positions are resampled so far that nobody has trained or tried it: past four times the rows or
/// columns, or below a quarter.
pub(super) fn far(from: [u32; 2], to: [u32; 2]) -> Option<String> {
    let far =
        from.iter().zip(&to).any(|(&from, &to)| to > from.saturating_mul(4) || from > to.saturating_mul(4));
    far.then(|| {
        format!(
            "positions of a grid of {} x {} are resampled to {} x {}, far from what the network was trained for",
            from[0], from[1], to[0], to[1]
        )
    })
}
