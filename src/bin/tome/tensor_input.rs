//! Images that come normalised: a tensor of a safetensors file, or an array of NumPy.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result, bail};
use npyz::{DType, NpyFile, Order};
use tome_wgpu::files::TensorReader;
use tome_wgpu::vit::Config;

use crate::packed_input::PackedInput;
use crate::text::shown;

/// The names that images may have.
const NAMES: [&str; 3] = ["images", "pixel_values", "input_values"];

/// `[count, channels, height, width]`, clips `[count, frames, channels, height, width]`, spectrograms `[count, windows, bands]`
/// too, read from front to back.
pub struct TensorInput {
    source: Source,
    /// The file and the tensor in it.
    pub name: String,
    /// Images.
    pub count: usize,
    /// Values of one.
    values: usize,
    /// Rows and columns that lie the other way round.
    turned: Option<[usize; 2]>,
    next: usize,
}

enum Source {
    Safetensors(TensorReader<File>, &'static str),
    /// Patches of pictures of any shape.
    Packed(Box<PackedInput>),
    Npy(Box<dyn Iterator<Item = std::io::Result<f32>>>),
}

impl TensorInput {
    /// Whether a file is one, by its ending.
    pub fn is_one(path: &Path) -> bool {
        path.extension().is_some_and(|suffix| suffix == "safetensors" || suffix == "npy")
    }

    pub fn open(path: &Path, config: &Config) -> Result<Self> {
        if config.packed.is_some() {
            let (packed, count) = PackedInput::open(path, config)?;
            let name = format!("{}:pixel_values", shown(path));
            return Ok(TensorInput {
                source: Source::Packed(Box::new(packed)),
                name,
                count,
                values: 0,
                turned: None,
                next: 0,
            });
        }
        let (source, tensor, shape) = match path.extension().is_some_and(|suffix| suffix == "npy") {
            true => npy(path)?,
            false => {
                let reader = TensorReader::open(path)?;
                let there = |name: &&&str| reader.shape(name).is_ok();
                // Where there is neither, the error names the first.
                let name = *NAMES.iter().find(there).unwrap_or(&NAMES[0]);
                let shape = reader.shape(name)?.to_vec();
                (Source::Safetensors(reader, name), format!("{}:{name}", shown(path)), shape)
            }
        };
        let [height, width] = config.image_size.map(|side| side as usize);
        let frames = (config.frames > 1).then_some(config.frames as usize);
        let image = frames.into_iter().chain([config.in_chans as usize, height, width]).collect::<Vec<_>>();
        let spectrogram = config.sound.as_ref().map(|sound| {
            let [bands, windows] = sound.bands_and_windows(config.image_size);
            [windows as usize, bands as usize]
        });
        let is_one = spectrogram.is_some_and(|sides| shape.get(1..) == Some(&sides));
        let turned = is_one && config.sound.as_ref().is_some_and(|sound| !sound.time_first);
        if shape.first() == Some(&0) {
            bail!("{tensor} holds no images");
        }
        if !is_one && shape.get(1..) != Some(&image) {
            let wants = match spectrogram {
                Some([windows, bands]) => format!("[sounds, {windows}, {bands}]"),
                None => {
                    format!("[images, {}]", image.iter().map(usize::to_string).collect::<Vec<_>>().join(", "))
                }
            };
            bail!("{tensor} has shape {shape:?}, and the network reads {wants}");
        }
        let turned = turned.then_some([width, height]);
        Ok(TensorInput {
            source,
            name: tensor,
            count: shape[0],
            values: config.image_values(),
            turned,
            next: 0,
        })
    }

    /// The next images.
    pub fn read(&mut self, count: usize) -> Result<Vec<f32>> {
        let values = self.read_as_stored(count)?;
        let Some([rows, columns]) = self.turned else { return Ok(values) };
        let turn = |image: &[f32]| -> Vec<f32> {
            (0..columns).flat_map(|column| image.iter().skip(column).step_by(columns).copied()).collect()
        };
        Ok(values.chunks_exact(rows * columns).flat_map(turn).collect())
    }

    fn read_as_stored(&mut self, count: usize) -> Result<Vec<f32>> {
        let range = self.next * self.values..(self.next + count) * self.values;
        self.next += count;
        match &mut self.source {
            Source::Packed(packed) => packed.read(count),
            Source::Safetensors(reader, name) => Ok(reader.read(name, range)?.into_f32()),
            Source::Npy(values) => {
                let values = values.take(range.len()).collect::<Result<Vec<f32>, _>>();
                let values = values.with_context(|| format!("{} cannot be read", self.name))?;
                if values.len() < range.len() {
                    bail!("{} is truncated", self.name);
                }
                Ok(values)
            }
        }
    }
}

fn npy(path: &Path) -> Result<(Source, String, Vec<usize>)> {
    let name = shown(path);
    let broken = || format!("{name}: cannot be read as an array of NumPy");
    if !path.metadata().with_context(broken)?.is_file() {
        bail!("{name}: is no regular file");
    }
    let file = NpyFile::new(BufReader::new(File::open(path).with_context(broken)?)).with_context(broken)?;
    if file.order() != Order::C {
        bail!("{name}: is in Fortran's order; save numpy.ascontiguousarray of it");
    }
    let shape = file.shape().iter().map(|&side| usize::try_from(side)).collect::<Result<Vec<_>, _>>();
    let kind = match file.dtype() {
        DType::Plain(kind) => kind.to_string(),
        _ => String::new(),
    };
    let values: Box<dyn Iterator<Item = std::io::Result<f32>>> = match kind.trim_start_matches(['<', '=']) {
        "f4" => Box::new(file.data::<f32>().ok().with_context(broken)?),
        "f8" => Box::new(
            file.data::<f64>().ok().with_context(broken)?.map(|value| value.map(|value| value as f32)),
        ),
        _ => bail!("{name}: holds {}; float32 and float64 are read", file.dtype().descr()),
    };
    Ok((Source::Npy(values), name.clone(), shape.with_context(broken)?))
}
