//! Position embeddings brought to another grid of patches, as each family's own code does it.

use super::config::{Config, PositionResample};
use super::tensor::Tensor;
use super::tensors::Tensors;
use super::weights::Weights;
use crate::error::{Error, Result};

impl Weights {
    /// Makes the network one for images of another size, square or not: `config.image_size` becomes `image_size`
    /// (height and width in pixels), and `pos_embed` is resampled from the old grid of patches to the new one,
    /// as [`Config::position_resample`] says: with `antialias` timm's `resample_abs_pos_embed`
    /// (`torch.nn.functional.interpolate(mode="bicubic", antialias=True)`), otherwise `interpolate_pos_encoding` of
    /// transformers and DINOv2; its other fields are timm's NaFlexVit's. The positions of class, distillation and register tokens stay as they are. Tables of a
    /// [relative position bias](Config::relative) are resampled as they say. An equal grid changes nothing.
    ///
    /// # Errors
    /// [`Error::Weight`] where there is no `pos_embed` of the config's shape, [`Error::Config`] for a size that makes
    /// no network, [`Error::Unsupported`] for what this crate does not run; config and weights stay as they were then.
    pub fn resample_positions(&mut self, config: &mut Config, image_size: [u32; 2]) -> Result<()> {
        let (other, changed) = resampled(self, config, image_size)?;
        changed.into_iter().for_each(|(name, tensor)| self.insert(name, tensor));
        *config = other;
        Ok(())
    }
}

/// The tensor of the positions.
pub(crate) const POSITIONS: &str = "pos_embed";

/// The network for images of another size, and those of its tensors that change.
pub(crate) fn resampled(
    tensors: &dyn Tensors,
    config: &Config,
    image_size: [u32; 2],
) -> Result<(Config, Vec<(String, Tensor)>)> {
    if config.packed.is_some() {
        return Err(Error::Unsupported {
            field: "image_size".into(),
            value: format!("{image_size:?}"),
            why: "the network takes pictures of any shape as they are; of how many patches at most says `max_num_patches` in \
                  its preprocessor_config.json"
                .into(),
        });
    }
    let mut other = config.clone();
    other.image_size = image_size;
    other.check()?;
    let mut changed = match &config.relative {
        Some(relative) => relative.resampled(tensors, config, &other)?,
        None => Vec::new(),
    };
    if config.pos_embed {
        let positions = tensors.tensor(POSITIONS)?;
        changed.push((POSITIONS.into(), regrid(&positions, config, config.grid(), other.grid())?));
    }
    Ok((other, changed))
}

/// Positions on another grid.
pub(crate) fn regrid(positions: &Tensor, config: &Config, from: [u32; 2], to: [u32; 2]) -> Result<Tensor> {
    let channels = config.embed_dim as usize;
    let kept = config.prefix_positions() as usize * channels;
    let a_time = from.map(|side| side as usize).iter().product::<usize>() * channels;
    if a_time == 0 || positions.data.len() != kept + config.patch_times() as usize * a_time {
        let why = format!("has shape {:?}, which is not that of a grid of {from:?}", positions.shape);
        return Err(Error::Weight { name: POSITIONS.into(), why });
    }
    if from == to {
        return Ok(positions.clone());
    }
    let values = positions.data.to_f32();
    let (prefix, patches) = values.split_at(kept);
    let mut data = prefix.to_vec();
    for patches in patches.chunks(a_time) {
        data.extend(resample(patches, channels, from, to, config.position_resample));
    }
    Ok(Tensor::new([1, data.len() / channels, channels], data))
}

/// `[rows, columns, channels]` on another grid.
fn resample(
    positions: &[f32],
    channels: usize,
    from: [u32; 2],
    to: [u32; 2],
    how: PositionResample,
) -> Vec<f32> {
    let [down, across] = [0, 1].map(|axis| {
        let whole = if how.square { to[0].max(to[1]) } else { to[axis] };
        let mut taps = taps(from[axis], whole, how);
        taps.truncate(to[axis] as usize);
        taps
    });
    let row = from[1] as usize * channels;
    let mut out = Vec::with_capacity(down.len() * across.len() * channels);
    for rows in &down {
        for columns in &across {
            out.extend((0..channels).map(|channel| {
                let at = |y: usize, x: usize| f64::from(positions[y * row + x * channels + channel]);
                let line = |y: usize| columns.iter().map(|&(x, weight)| weight * at(y, x)).sum::<f64>();
                rows.iter().map(|&(y, weight)| weight * line(y)).sum::<f64>() as f32
            }));
        }
    }
    out
}

/// For each place on the new side, which places on the old one count and how much.
fn taps(from: u32, to: u32, how: PositionResample) -> Vec<Vec<(usize, f64)>> {
    let (length, last) = (f64::from(from), i64::from(from) - 1);
    let scale = match how.corners {
        true => (length - 1.0) / f64::from(to.max(2) - 1),
        false => length / (f64::from(to) + f64::from(how.offset)),
    };
    // PyTorch's kernels: with antialiasing they are Pillow's, which widen where the picture shrinks and leave out
    // what lies outside; without, the border repeats.
    let (widen, sharpness) = if how.antialias { (scale.max(1.0), -0.5) } else { (1.0, -0.75) };
    let kernel = |x: f64| if how.linear { (1.0 - x.abs()).max(0.0) } else { keys(x, sharpness) };
    let place = |i: u32| {
        let centre = if how.corners { scale * f64::from(i) } else { scale * (f64::from(i) + 0.5) - 0.5 };
        let (first, end) = ((centre - 2.0 * widen).floor() as i64, (centre + 2.0 * widen).ceil() as i64);
        let taps = (first..=end).map(|at| (at, kernel((at as f64 - centre) / widen)));
        let taps = taps.filter(|&(at, weight)| weight != 0.0 && (!how.antialias || (0..=last).contains(&at)));
        let taps: Vec<(usize, f64)> = taps.map(|(at, weight)| (at.clamp(0, last) as usize, weight)).collect();
        let sum: f64 = taps.iter().map(|(_, weight)| weight).sum();
        taps.into_iter().map(|(at, weight)| (at, weight / sum)).collect()
    };
    (0..to).map(place).collect()
}

/// Keys' cubic convolution kernel.
fn keys(x: f64, a: f64) -> f64 {
    match x.abs() {
        x if x < 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
        x if x < 2.0 => ((x - 5.0) * x + 8.0) * x * a - 4.0 * a,
        _ => 0.0,
    }
}
