//! Images for a network, a batch at a time: pictures, clips or sounds, or a tensor.

use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use image::DynamicImage;
use rayon::prelude::*;
use tome_wgpu::files::{
    PackedPicture, fit, hear, hear_bytes, load_bytes, load_clip, load_clip_bytes, load_image, load_packed,
    pack_bytes,
};
use tome_wgpu::vit;
use tome_wgpu::vit::Config;

use crate::ahead::Ahead;
use crate::folders::{self, Kind};
use crate::shard::Shard;
use crate::tensor_input::TensorInput;
use crate::text::shown;

/// Standard input.
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
    /// Pictures, clips or sounds and folders of them, or one file of tensors, for batches of so many.
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
                let kind = Kind::of(config);
                // A network that takes no pictures at all is found before the first.
                if kind != Kind::Sounds && config.packed.is_none() {
                    fit(DynamicImage::new_rgb8(1, 1), config)?;
                }
                let mut pictures = folders::inputs(paths, recursive, kind)?;
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

/// One input as a network reads it.
pub enum Seen {
    Picture(DynamicImage),
    /// Frame by frame.
    Clip(Vec<DynamicImage>),
    /// A spectrogram, as [`tome_wgpu::files::Heard`] has it.
    Sound(Vec<f32>),
    /// A picture of any shape.
    Packed(PackedPicture),
}

/// What a file, a folder of frames or standard input holds, as a network reads it. Says what of it is not shown as it is.
pub fn load(path: &Path, config: &Config) -> Result<Seen> {
    let stdin = if path.as_os_str() == STDIN { Some(read_stdin()?) } else { None };
    let (seen, changes) = match (Kind::of(config), stdin) {
        (Kind::Pictures, None) if config.packed.is_some() => {
            (Seen::Packed(load_packed(path, config)?), Vec::new())
        }
        (Kind::Pictures, Some(bytes)) if config.packed.is_some() => {
            (Seen::Packed(pack_bytes(&bytes, path, config)?), Vec::new())
        }
        (Kind::Pictures, None) => (Seen::Picture(load_image(path, config)?), Vec::new()),
        (Kind::Pictures, Some(bytes)) => (Seen::Picture(load_bytes(&bytes, path, config)?), Vec::new()),
        (Kind::Clips, stdin) => {
            let clip = stdin
                .map_or_else(|| load_clip(path, config), |bytes| load_clip_bytes(&bytes, path, config))?;
            (Seen::Clip(clip.frames), clip.changes)
        }
        (Kind::Sounds, stdin) => {
            let heard = stdin.map_or_else(|| hear(path, config), |bytes| hear_bytes(&bytes, path, config))?;
            (Seen::Sound(heard.values), heard.changes)
        }
    };
    if !changes.is_empty() {
        say(path, &changes);
    }
    Ok(seen)
}

/// Inputs of which it has been said how they are changed.
static SAID: AtomicUsize = AtomicUsize::new(0);
/// The most of which it is said to everybody.
const MOST_SAID: usize = 10;

fn say(path: &Path, changes: &[String]) {
    let name = shown(path);
    let changes = changes.join(", ");
    match SAID.fetch_add(1, Ordering::Relaxed) {
        before if before + 1 < MOST_SAID => tracing::info!("{name}: {changes}"),
        before if before + 1 == MOST_SAID => {
            tracing::info!("{name}: {changes}; -v says it of the others too")
        }
        _ => tracing::debug!("{name}: {changes}"),
    }
}

fn read_stdin() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let unread = "-: standard input cannot be read";
    std::io::stdin().take(MOST_BYTES + 1).read_to_end(&mut bytes).context(unread)?;
    if bytes.len() as u64 > MOST_BYTES {
        bail!("-: more than {MOST_BYTES} bytes");
    }
    Ok(bytes)
}

/// Inputs one after the other, zeros for those that cannot be read.
pub fn load_readable(paths: &[PathBuf], config: &Config) -> Images {
    gather(paths.par_iter().map(|path| load(path, config)).collect(), config)
}

/// What has been loaded as a session takes it.
pub fn gather(loaded: Vec<Result<Seen>>, config: &Config) -> Images {
    let (mut pixels, mut values, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
    let floats = config.sound.is_some() || config.packed.is_some();
    for (place, seen) in loaded.into_iter().enumerate() {
        match seen {
            Ok(Seen::Picture(picture)) => pixels.extend(picture.into_bytes()),
            Ok(Seen::Clip(frames)) => frames.into_iter().for_each(|frame| pixels.extend(frame.into_bytes())),
            Ok(Seen::Sound(input)) => values.extend(input),
            Ok(Seen::Packed(packed)) => values.extend(packed.values),
            Err(error) => {
                unreadable.push((place, format!("{error:#}")));
                match floats {
                    true => values.resize(values.len() + config.image_values(), 0.0),
                    false => pixels.resize(pixels.len() + config.image_values(), 0),
                }
            }
        }
    }
    let values = if floats { Values::Normalised(values) } else { Values::Pixels(pixels) };
    Images { values, unreadable }
}

fn warn_of_nan(images: &[f32], first: usize, values: usize) {
    for (index, image) in images.chunks_exact(values).enumerate() {
        if image.iter().any(|value| value.is_nan()) {
            tracing::warn!("image {} has NaN in it; its results are NaN", first + index);
        }
    }
}
