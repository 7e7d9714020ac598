//! Images for a network, a batch at a time: pictures from files and folders, or a tensor.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use image::DynamicImage;
use rayon::prelude::*;
use tome_wgpu::files::{TensorReader, fit, open_image};
use tome_wgpu::vit;
use tome_wgpu::vit::Config;

const TENSOR: &str = "images";
/// The endings of pictures in a folder.
const SUFFIXES: [&str; 8] = ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff"];

/// The images' source.
pub enum Inputs {
    /// Decoded and preprocessed when their turn comes.
    Pictures(Vec<PathBuf>),
    /// `images` of a safetensors file, `[count, channels, height, width]`, already normalised.
    Tensor { reader: TensorReader<File>, count: usize },
}

/// Images read together.
pub struct Images {
    values: Values,
    /// Those that could not be read, by their places among these; zeros stand in for them.
    pub unreadable: Vec<usize>,
}

enum Values {
    Normalised(Vec<f32>),
    Pixels(Vec<u8>),
}

impl Images {
    /// As a session takes them.
    pub fn values(&self) -> vit::Images<'_> {
        match &self.values {
            Values::Normalised(values) => values.into(),
            Values::Pixels(pixels) => pixels.into(),
        }
    }
}

impl Inputs {
    /// Pictures and folders of pictures, or one safetensors file.
    pub fn open(paths: &[PathBuf], config: &Config) -> Result<Self> {
        let is_tensor = |path: &PathBuf| path.extension().is_some_and(|suffix| suffix == "safetensors");
        match paths {
            [path] if is_tensor(path) => Self::tensor(path, config),
            _ if paths.iter().any(is_tensor) => bail!("a safetensors file must be the only input"),
            _ => {
                // A network that takes no pictures at all is found before the first.
                fit(DynamicImage::new_rgb8(1, 1), config)?;
                Ok(Inputs::Pictures(pictures(paths)?))
            }
        }
    }

    fn tensor(path: &Path, config: &Config) -> Result<Self> {
        let reader = TensorReader::open(path)?;
        let [height, width] = config.image_size;
        match *reader.shape(TENSOR)? {
            [0, ..] => bail!("{}: `{TENSOR}` holds no images", path.display()),
            [count, c, h, w] if [c, h, w] == [config.in_chans, height, width].map(|side| side as usize) => {
                Ok(Inputs::Tensor { reader, count })
            }
            ref other => bail!(
                "{}: `{TENSOR}` has shape {other:?}, and the network reads [images, {}, {height}, {width}]",
                path.display(),
                config.in_chans
            ),
        }
    }

    /// How many images there are.
    pub fn count(&self) -> usize {
        match self {
            Inputs::Pictures(paths) => paths.len(),
            Inputs::Tensor { count, .. } => *count,
        }
    }

    /// Some of them. A picture that cannot be read is warned of; a tensor that cannot is an error.
    pub fn read(&mut self, range: Range<usize>, config: &Config) -> Result<Images> {
        match self {
            Inputs::Pictures(paths) => Ok(load_readable(&paths[range], config)),
            Inputs::Tensor { reader, .. } => {
                let values = config.image_values();
                let images = reader.read(TENSOR, range.start * values..range.end * values)?.into_f32();
                warn_of_nan(&images, range.start, values);
                Ok(Images { values: Values::Normalised(images), unreadable: Vec::new() })
            }
        }
    }
}

/// The pixels of pictures as a network reads them, one after the other.
pub fn load(paths: &[PathBuf], config: &Config) -> Result<Vec<u8>> {
    let images: Vec<Vec<u8>> = paths.par_iter().map(|path| load_one(path, config)).collect::<Result<_>>()?;
    Ok(images.concat())
}

fn load_one(path: &Path, config: &Config) -> Result<Vec<u8>> {
    let picture = fit(open_image(path)?, config).with_context(|| path.display().to_string())?;
    Ok(picture.into_bytes())
}

fn load_readable(paths: &[PathBuf], config: &Config) -> Images {
    let loaded: Vec<_> = paths.par_iter().map(|path| load_one(path, config)).collect();
    let (mut pixels, mut unreadable) = (Vec::new(), Vec::new());
    for (place, image) in loaded.into_iter().enumerate() {
        pixels.extend(image.unwrap_or_else(|error| {
            tracing::warn!("{error:#}; its results are NaN");
            unreadable.push(place);
            vec![0; config.image_values()]
        }));
    }
    Images { values: Values::Pixels(pixels), unreadable }
}

/// Files as they are, which must exist, folders as the pictures directly in them, sorted by name.
fn pictures(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in paths {
        if !path.is_dir() {
            path.metadata().with_context(|| format!("{}: cannot be read", path.display()))?;
            all.push(path.clone());
            continue;
        }
        let unreadable = || format!("{}: the folder cannot be read", path.display());
        let entries = std::fs::read_dir(path).with_context(unreadable)?;
        let entries: Vec<_> = entries.collect::<Result<_, _>>().with_context(unreadable)?;
        let mut found: Vec<PathBuf> =
            entries.iter().map(|entry| entry.path()).filter(|path| is_picture(path)).collect();
        if found.is_empty() {
            bail!("{}: no pictures in this folder (looked for {})", path.display(), SUFFIXES.join(", "));
        }
        found.sort();
        all.append(&mut found);
    }
    Ok(all)
}

fn is_picture(path: &Path) -> bool {
    let suffix = path.extension().map(|suffix| suffix.to_string_lossy().to_lowercase());
    path.is_file() && suffix.is_some_and(|suffix| SUFFIXES.contains(&suffix.as_str()))
}

fn warn_of_nan(images: &[f32], first: usize, values: usize) {
    for (index, image) in images.chunks_exact(values).enumerate() {
        if image.iter().any(|value| value.is_nan()) {
            tracing::warn!("image {} has NaN in it; its results are NaN", first + index);
        }
    }
}
