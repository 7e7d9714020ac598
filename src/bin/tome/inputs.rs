//! Images for a network, a batch at a time: pictures, or a tensor.

use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use image::DynamicImage;
use rayon::prelude::*;
use tome_wgpu::files::{fit, load_bytes, load_image};
use tome_wgpu::vit;
use tome_wgpu::vit::Config;

use crate::ahead::Ahead;
use crate::folders;
use crate::shard::Shard;
use crate::tensor_input::TensorInput;
use crate::text::shown;

/// A picture on standard input.
const STDIN: &str = "-";
/// The most bytes of it.
const MOST_BYTES: u64 = 1 << 30;

/// The images' source.
pub enum Inputs {
    /// Decoded and preprocessed before their turn comes.
    Pictures(Ahead),
    /// Already normalised.
    Tensor(TensorInput),
}

/// Images read together.
pub struct Images {
    values: Values,
    /// Those that could not be read, by their places among these, and why; zeros stand in for them.
    pub unreadable: Vec<(usize, String)>,
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
    /// Pictures and folders of pictures, or one file of tensors, for batches of so many.
    pub fn open(
        paths: &[PathBuf],
        recursive: bool,
        shard: Option<Shard>,
        config: &Config,
        batch: usize,
    ) -> Result<Self> {
        match paths {
            [path] if shard.is_some() && TensorInput::is_one(path) => {
                bail!("{}: is one file of tensors, and --shard splits pictures; split the file", shown(path))
            }
            [path] if TensorInput::is_one(path) => Ok(Inputs::Tensor(TensorInput::open(path, config)?)),
            _ if paths.iter().any(|path| TensorInput::is_one(path)) => {
                bail!("a safetensors or npy file must be the only input")
            }
            _ => {
                // A network that takes no pictures at all is found before the first.
                fit(DynamicImage::new_rgb8(1, 1), config)?;
                let mut pictures = folders::pictures(paths, recursive)?;
                if let Some(shard) = shard {
                    pictures.retain(|path| shard.holds(&shown(path)));
                }
                Ok(Inputs::Pictures(Ahead::new(pictures, config, batch)))
            }
        }
    }

    /// How many images there are.
    pub fn count(&self) -> usize {
        match self {
            Inputs::Pictures(pictures) => pictures.paths().len(),
            Inputs::Tensor(tensor) => tensor.count,
        }
    }

    /// What an image is called.
    pub fn name(&self, index: usize) -> String {
        match self {
            Inputs::Pictures(pictures) => shown(&pictures.paths()[index]),
            Inputs::Tensor(tensor) => format!("{}[{index}]", tensor.name),
        }
    }

    /// The next of them. A picture that cannot be read is warned of; a tensor that cannot is an error.
    pub fn read(&mut self, range: Range<usize>, config: &Config) -> Result<Images> {
        match self {
            Inputs::Pictures(pictures) => Ok(pictures.take(range.len())),
            Inputs::Tensor(tensor) => {
                let images = tensor.read(range.len())?;
                warn_of_nan(&images, range.start, config.image_values());
                Ok(Images { values: Values::Normalised(images), unreadable: Vec::new() })
            }
        }
    }
}

/// A picture as a network reads it, from a file or standard input.
pub fn load(path: &Path, config: &Config) -> Result<DynamicImage> {
    if path.as_os_str() != STDIN {
        return Ok(load_image(path, config)?);
    }
    let mut bytes = Vec::new();
    let unread = "-: standard input cannot be read";
    std::io::stdin().take(MOST_BYTES + 1).read_to_end(&mut bytes).context(unread)?;
    if bytes.len() as u64 > MOST_BYTES {
        bail!("-: a picture of more than {MOST_BYTES} bytes");
    }
    Ok(load_bytes(&bytes, path, config)?)
}

/// The pixels of pictures one after the other, zeros for those that cannot be read.
pub fn load_readable(paths: &[PathBuf], config: &Config) -> Images {
    gather(paths.par_iter().map(|path| load(path, config)).collect(), config)
}

/// The pixels of what has been loaded.
pub fn gather(loaded: Vec<Result<DynamicImage>>, config: &Config) -> Images {
    let (mut pixels, mut unreadable) = (Vec::new(), Vec::new());
    for (place, image) in loaded.into_iter().enumerate() {
        match image {
            Ok(image) => pixels.extend(image.into_bytes()),
            Err(error) => {
                unreadable.push((place, format!("{error:#}")));
                pixels.resize(pixels.len() + config.image_values(), 0);
            }
        }
    }
    Images { values: Values::Pixels(pixels), unreadable }
}

fn warn_of_nan(images: &[f32], first: usize, values: usize) {
    for (index, image) in images.chunks_exact(values).enumerate() {
        if image.iter().any(|value| value.is_nan()) {
            tracing::warn!("image {} has NaN in it; its results are NaN", first + index);
        }
    }
}
