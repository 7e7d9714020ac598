//! Patches of pictures of any shape in a safetensors file, as transformers' processor of SigLIP 2 hands them over.

use std::fs::File;
use std::path::Path;

use anyhow::{Result, anyhow, bail};
use tome_wgpu::Error;
use tome_wgpu::files::TensorReader;
use tome_wgpu::vit::Config;

use crate::text::shown;

/// `pixel_values` `[pictures, patches, values]`, read from front to back, with `spatial_shapes` `[pictures, 2]`.
pub struct PackedInput {
    reader: TensorReader<File>,
    config: Config,
    /// Rows and columns of patches of each picture.
    grids: Vec<[u32; 2]>,
    /// Values of a picture's patches, padding among them.
    values: usize,
    next: usize,
}

impl PackedInput {
    /// The file's pictures, and how many there are.
    pub fn open(path: &Path, config: &Config) -> Result<(Self, usize)> {
        let name = shown(path);
        if path.extension().is_none_or(|suffix| suffix != "safetensors") {
            bail!(
                "{name}: pictures of any shape come as pixel_values, pixel_attention_mask and spatial_shapes in a safetensors file"
            );
        }
        let mut reader = TensorReader::open(path)?;
        let width = config.in_chans * config.patch_size[0] * config.patch_size[1];
        let shape = reader.shape("pixel_values")?.to_vec();
        let [count, patches, values] = shape[..] else {
            bail!(
                "{name}:pixel_values has shape {shape:?}, and the network reads [pictures, patches, {width}]"
            );
        };
        if count == 0 || patches == 0 || values != width as usize {
            bail!(
                "{name}:pixel_values has shape {shape:?}, and the network reads [pictures, patches, {width}]"
            );
        }
        for (tensor, want) in [("spatial_shapes", [count, 2]), ("pixel_attention_mask", [count, patches])] {
            let have = reader.shape(tensor)?;
            if have != want {
                bail!("{name}:{tensor} has shape {have:?}, and {want:?} belongs to pixel_values");
            }
        }
        let sides = reader.read_integers("spatial_shapes")?;
        let mask = reader.read_integers("pixel_attention_mask")?;
        let mut grids = Vec::with_capacity(count);
        for (i, (sides, mask)) in sides.as_chunks::<2>().0.iter().zip(mask.chunks_exact(patches)).enumerate()
        {
            let grid = config.grid_of_mask(*sides, mask);
            grids.push(grid.map_err(|error| match error {
                Error::Input(why) => anyhow!("{name}: picture {i} {why}"),
                error => error.into(),
            })?);
        }
        let input = PackedInput { reader, config: config.clone(), grids, values: patches * values, next: 0 };
        Ok((input, count))
    }

    /// The next pictures, packed.
    pub fn read(&mut self, count: usize) -> Result<Vec<f32>> {
        let first = self.next;
        self.next += count;
        let values =
            self.reader.read("pixel_values", first * self.values..self.next * self.values)?.into_f32();
        let mut rows = Vec::with_capacity(count * self.config.image_values());
        for (values, &grid) in values.chunks_exact(self.values).zip(&self.grids[first..]) {
            rows.extend(self.config.pack(values, grid)?);
        }
        Ok(rows)
    }
}
