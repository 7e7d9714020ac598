//! Pictures from Python, made into a network's pixels.

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use image::{DynamicImage, GrayImage, RgbImage};
use numpy::{PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use rayon::prelude::*;
use tome_command::visualize::Seen;
use tome_wgpu::files::{
    PackedPicture, fit, load_bytes, load_image, load_packed, pack as pack_picture, pack_bytes,
};
use tome_wgpu::vit::{Config, Images};
use tome_wgpu::{Error, Result};

use crate::arrays::values;
use crate::errors::input;

/// A picture that is yet to be decoded or resized.
pub enum Picture {
    File(PathBuf),
    Bytes(PyBackedBytes),
    Pixels(DynamicImage),
}

/// Pictures one after the other as a network takes them, zeros for those that cannot be read, with their places and why.
pub struct Loaded {
    pub values: Values,
    pub broken: Vec<(usize, Error)>,
}

pub enum Values {
    Pixels(Vec<u8>),
    /// Of pictures of any shape, packed, and rows and columns of their patches.
    Packed(Vec<f32>, Vec<[u32; 2]>),
}

impl Loaded {
    /// As a session takes them.
    pub fn images(&self) -> Images<'_> {
        match &self.values {
            Values::Pixels(pixels) => pixels.into(),
            Values::Packed(values, _) => values.into(),
        }
    }
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

    /// As a network of pictures of any shape sees it.
    fn pack(&self, name: &Path, config: &Config) -> Result<PackedPicture> {
        match self {
            Picture::File(path) => load_packed(path, config),
            Picture::Bytes(bytes) => pack_bytes(bytes, name, config),
            Picture::Pixels(picture) => pack_picture(picture.clone(), config),
        }
    }
}

/// Decodes and prepares pictures, spread over all threads; `first` is the number of the first, for messages.
pub fn load(pictures: &[Picture], first: usize, config: &Config) -> Loaded {
    let mut broken = Vec::new();
    let values = if config.packed.is_some() {
        let packed = each(pictures, first, &mut broken, |picture, name| picture.pack(name, config));
        let mut values = Vec::with_capacity(packed.len() * config.image_values());
        let mut grids = Vec::with_capacity(packed.len());
        for (count, picture) in (1..).zip(packed) {
            let (own, grid) = picture.as_ref().map_or((&[][..], [0; 2]), |own| (&own.values, own.grid));
            values.extend_from_slice(own);
            grids.push(grid);
            values.resize(count * config.image_values(), 0.0);
        }
        Values::Packed(values, grids)
    } else {
        let fitted = each(pictures, first, &mut broken, |picture, name| picture.fit(name, config));
        let mut pixels = Vec::with_capacity(fitted.len() * config.image_values());
        for (count, picture) in (1..).zip(fitted) {
            pixels.extend_from_slice(picture.as_ref().map_or(&[], DynamicImage::as_bytes));
            pixels.resize(count * config.image_values(), 0);
        }
        Values::Pixels(pixels)
    };
    Loaded { values, broken }
}

/// Of each picture what is made of it, none where that fails.
fn each<T: Send>(
    pictures: &[Picture],
    first: usize,
    broken: &mut Vec<(usize, Error)>,
    make: impl Fn(&Picture, &Path) -> Result<T> + Sync,
) -> Vec<Option<T>> {
    let made = |(place, picture): (usize, &Picture)| {
        let name = format!("picture {}", first + place);
        // A panic on one of rayon's threads would end the process, and with it all other pictures.
        let own = catch_unwind(AssertUnwindSafe(|| make(picture, Path::new(&name))));
        let own = own.unwrap_or_else(|_| Err(Error::Input("the decoder failed".into())));
        own.map_err(|error| match error {
            Error::Input(why) => Error::Input(format!("{name}: {why}")),
            error => error,
        })
    };
    let made: Vec<_> = pictures.par_iter().enumerate().map(made).collect();
    let kept = |(place, made): (usize, Result<T>)| made.map_err(|error| broken.push((place, error))).ok();
    made.into_iter().enumerate().map(kept).collect()
}

/// One picture alone.
pub fn load_one(item: &Bound<'_, PyAny>, config: &Config) -> PyResult<Result<Seen>> {
    let (picture, name) = (Picture::new(item)?, Path::new("the picture"));
    Ok(item.py().detach(|| match config.packed {
        Some(_) => picture.pack(name, config).map(Seen::Packed),
        None => picture.fit(name, config).map(Seen::Picture),
    }))
}
