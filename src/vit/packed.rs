//! Pictures of any shape as one network's input: NaFlex, SigLIP 2's larger half.

use super::config::Config;
use crate::error::{Error, Result};
use crate::kernels::matmul;

/// Inputs are the patches of a picture of any shape, up to so many, and where they lie.
///
/// The library brings its table of positions to each picture's grid, which is linear in the table. So an input has a row for each
/// patch, and in it the patch's values, the weight of each position of the table, and whether there is a patch: the first layer
/// multiplies all by the projection and the table at once, and what there is becomes the size of the token, 0 for padding. Tokens
/// merge as in a picture without padding: with a [threshold](super::Options::threshold), which
/// [`Options::for_network`](super::Options::for_network) sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packed {
    /// The most patches of a picture.
    pub patches: u32,
    /// Rows and columns of the table of positions.
    pub grid: [u32; 2],
}

impl Packed {
    /// So many patches at most, and a table of so many positions.
    pub fn new(patches: u32, grid: [u32; 2]) -> Self {
        Packed { patches, grid }
    }

    /// The grid of a picture of so many pixels, height and width, in patches of so many: transformers'
    /// `get_image_size_for_max_num_patches`.
    pub fn grid_of(&self, pixels: [u32; 2], patch: [u32; 2]) -> [u32; 2] {
        let grid = |scale: f64| {
            [0, 1].map(|side| {
                let patches = (f64::from(pixels[side]) * scale / f64::from(patch[side])).ceil();
                patches.max(1.0)
            })
        };
        let (mut least, mut most) = (1e-6, 100.0);
        while most - least >= 1e-5 {
            let scale = (least + most) / 2.0;
            let [rows, columns] = grid(scale);
            if rows * columns <= f64::from(self.patches) { least = scale } else { most = scale }
        }
        grid(least).map(|side| side as u32)
    }
}

impl Config {
    /// How a picture becomes the network's input, in words.
    pub fn preparation(&self) -> String {
        match self.packed {
            Some(Packed { patches, .. }) => {
                format!("up to {patches} patches in the picture's own proportions, {}", self.preprocess)
            }
            None => self.preprocess.to_string(),
        }
    }

    /// The grid of a picture's rows and columns of patches, where the mask of all places for patches, as transformers' processor
    /// has it, is that of as many.
    ///
    /// # Errors
    /// [`Error::Input`] where it is not, for a grid of no or too many patches, and where the network takes no such pictures.
    pub fn grid_of_mask(&self, sides: [i64; 2], mask: &[i64]) -> Result<[u32; 2]> {
        let grid @ [rows, columns] = sides.map(|side| u32::try_from(side).unwrap_or(0));
        let there = u64::from(rows) * u64::from(columns);
        let most = self.packed.map_or(0, |packed| packed.patches);
        if there == 0 || there > most.into() {
            return Err(Error::Input(format!("is of {sides:?} patches; there are 1 to {most}")));
        }
        if there > mask.len() as u64 || (0..).zip(mask).any(|(at, &value)| (value != 0) != (at < there)) {
            let places = mask.len();
            return Err(Error::Input(format!(
                "is of {sides:?} patches, and its pixel_attention_mask is not that of as many of {places}"
            )));
        }
        Ok(grid)
    }

    /// Values of a patch of a packed picture.
    pub(crate) fn packed_values(&self) -> usize {
        self.patch_shape().iter().product()
    }

    /// Values of a row of a packed input, filled up to a multiple of 4.
    pub(crate) fn packed_row(&self, packed: Packed) -> usize {
        let table = packed.grid.map(|side| side as usize).iter().product::<usize>();
        (self.packed_values() + table + 1).next_multiple_of(4)
    }

    /// The product that makes of a batch's rows how much there is of each token.
    pub(crate) fn packed_sizes(&self, packed: Packed, batch: u32) -> matmul::Params {
        matmul::Params::new(batch * packed.patches, self.packed_row(packed) as u32, 1)
    }

    /// A picture as the network's input: its patches in rows of `[patch height, patch width, channels]` normalised values, one
    /// behind the other, and rows and columns of them; patches behind those are padding and left out.
    ///
    /// # Errors
    /// [`Error::Input`] where the network takes no such pictures, and for a grid of no or too many patches, or too few values.
    pub fn pack(&self, values: &[f32], grid: [u32; 2]) -> Result<Vec<f32>> {
        let Some(packed) = self.packed else {
            return Err(Error::Input("the network takes pictures of one shape".into()));
        };
        let patches = u64::from(grid[0]) * u64::from(grid[1]);
        if patches == 0 || patches > packed.patches.into() {
            let most = packed.patches;
            return Err(Error::Input(format!("a picture of {grid:?} patches, and there are 1 to {most}")));
        }
        let (width, row, patches) = (self.packed_values(), self.packed_row(packed), patches as usize);
        if values.len() < patches * width {
            let have = values.len();
            return Err(Error::Input(format!("{have} values for {grid:?} patches of {width} values")));
        }
        let [down, across] = [0, 1].map(|axis| lines(packed.grid[axis], grid[axis]));
        let mut rows = vec![0.0; packed.patches as usize * row];
        for (i, (to, patch)) in
            rows.chunks_exact_mut(row).zip(values.chunks_exact(width)).take(patches).enumerate()
        {
            to[..width].copy_from_slice(patch);
            let (down, across) = (&down[i / grid[1] as usize], &across[i % grid[1] as usize]);
            let places = down.iter().flat_map(|y| across.iter().map(move |x| (y * x) as f32));
            to[width..].iter_mut().zip(places).for_each(|(to, weight)| *to = weight);
            to[width + down.len() * across.len()] = 1.0;
        }
        Ok(rows)
    }
}

/// For each place on the new side how much each on the old one counts: `torch.nn.functional.interpolate(mode="bilinear",
/// antialias=True)`.
fn lines(from: u32, to: u32) -> Vec<Vec<f64>> {
    let scale = f64::from(from) / f64::from(to);
    let place = |i: u32| {
        let centre = scale * (f64::from(i) + 0.5) - 0.5;
        let weight = |at: u32| (1.0 - (f64::from(at) - centre).abs() / scale.max(1.0)).max(0.0);
        let weights: Vec<f64> = (0..from).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / sum).collect()
    };
    (0..to).map(place).collect()
}
