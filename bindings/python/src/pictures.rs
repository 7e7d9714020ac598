//! Pictures from Python, made into a network's pixels.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use image::{DynamicImage, GrayImage, RgbImage};
use numpy::{PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use rayon::prelude::*;
use tome_wgpu::files::{fit, load_bytes, load_image};
use tome_wgpu::vit::Config;
use tome_wgpu::{Error, Result};

use crate::arrays::values;
use crate::errors::input;

/// A picture that is yet to be decoded or resized.
pub enum Picture {
    File(PathBuf),
    Bytes(PyBackedBytes),
    Pixels(DynamicImage),
}

/// The pixels of pictures one after the other, zeros for those that cannot be read, with their places and why.
pub struct Loaded {
    pub pixels: Vec<u8>,
    pub broken: Vec<(usize, Error)>,
}

impl Picture {
    /// A path, a file's bytes, or pixels `[H, W]`, `[H, W, 1]` or `[H, W, 3]`.
    fn new(item: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = item.cast::<PyBytes>() {
            return Ok(Picture::Bytes(bytes.clone().into()));
        }
        if let Ok(path) = item.extract::<OsString>() {
            return Ok(Picture::File(path.into()));
        }
        let pixels: PyReadonlyArrayDyn<'_, u8> = item.extract()?;
        let bytes = values(&pixels, "picture")?.to_vec();
        let side = |at: usize| u32::try_from(pixels.shape()[at]).unwrap_or(u32::MAX);
        let picture = match *pixels.shape() {
            [_, _] | [_, _, 1] => GrayImage::from_raw(side(1), side(0), bytes).map(DynamicImage::from),
            [_, _, 3] => RgbImage::from_raw(side(1), side(0), bytes).map(DynamicImage::from),
            _ => None,
        };
        picture.map(Picture::Pixels).ok_or_else(|| {
            let shape = pixels.shape();
            input(
                item.py(),
                format!("a picture of shape {shape:?}; give [height, width] or [height, width, 3], uint8"),
            )
        })
    }

    /// All of a list.
    pub fn all(items: &[Bound<'_, PyAny>]) -> PyResult<Vec<Self>> {
        items.iter().map(Picture::new).collect()
    }

    /// Resized and cropped as a network sees it.
    fn fit(&self, name: &Path, config: &Config) -> Result<DynamicImage> {
        let refused = |field: &str, value: String, why: &str| {
            Err(Error::Unsupported { field: field.into(), value, why: why.into() })
        };
        if config.frames > 1 {
            let why = "a picture is one frame; give arrays instead";
            return refused("num_frames", config.frames.to_string(), why);
        }
        if config.sound.is_some() {
            let [height, width] = config.image_size;
            let why = format!("it hears; give spectrograms as arrays, [batch, 1, {height}, {width}]");
            return refused("model_type", config.name.clone(), &why);
        }
        match self {
            Picture::File(path) => load_image(path, config),
            Picture::Bytes(bytes) => load_bytes(bytes, name, config),
            Picture::Pixels(picture) => fit(picture.clone(), config),
        }
    }
}

/// Decodes and fits pictures, spread over all threads; `first` is the number of the first, for messages.
pub fn load(pictures: &[Picture], first: usize, config: &Config) -> Loaded {
    let fit = |(place, picture): (usize, &Picture)| {
        let name = format!("picture {}", first + place);
        picture.fit(Path::new(&name), config).map_err(|error| match error {
            Error::Input(why) => Error::Input(format!("{name}: {why}")),
            error => error,
        })
    };
    let fitted: Vec<_> = pictures.par_iter().enumerate().map(fit).collect();
    let (mut pixels, mut broken) = (Vec::with_capacity(fitted.len() * config.image_values()), Vec::new());
    for (place, picture) in fitted.into_iter().enumerate() {
        match picture {
            Ok(picture) => pixels.extend_from_slice(picture.as_bytes()),
            Err(error) => {
                broken.push((place, error));
                pixels.resize((place + 1) * config.image_values(), 0);
            }
        }
    }
    Loaded { pixels, broken }
}

/// One picture alone.
pub fn load_one(item: &Bound<'_, PyAny>, config: &Config) -> PyResult<Result<DynamicImage>> {
    let picture = Picture::new(item)?;
    Ok(item.py().detach(|| picture.fit(Path::new("the picture"), config)))
}
