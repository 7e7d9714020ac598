//! How a picture becomes a network's input.

use std::fmt;

use crate::error::{Error, Result};

/// The filter by which an image is brought to another size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resample {
    /// Catmull-Rom, PIL's `BICUBIC`.
    Bicubic,
    /// PIL's `BILINEAR`.
    Bilinear,
    /// PIL's `LANCZOS`.
    Lanczos,
    /// PIL's `BOX`.
    Box,
    /// PIL's `HAMMING`.
    Hamming,
}

impl Resample {
    /// Every filter by the name that timm and Pillow have for it.
    pub const NAMES: [(&'static str, Resample); 5] = [
        ("bicubic", Resample::Bicubic),
        ("bilinear", Resample::Bilinear),
        ("lanczos", Resample::Lanczos),
        ("box", Resample::Box),
        ("hamming", Resample::Hamming),
    ];

    /// The filter of a name.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for another, with the field that it stands in.
    pub fn named(field: &str, name: &str) -> Result<Self> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|&(_, filter)| filter).ok_or_else(|| Error::Unsupported {
            field: field.into(),
            value: format!("`{name}`"),
            why: format!("known are {}", Self::NAMES.map(|(known, _)| known).join(", ")),
        })
    }
}

impl fmt::Display for Resample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Self::NAMES.iter().filter(|(_, filter)| filter == self).try_for_each(|(name, _)| f.write_str(name))
    }
}

/// The edges of a picture that are resized to the input's size divided by `crop`: timm's `crop_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resize {
    /// The shortest edge; the other keeps the picture's proportions.
    Shortest,
    /// Both edges: the picture is squashed.
    Squash,
}

/// The way a picture becomes the network's input: timm's `pretrained_cfg`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Preprocess {
    /// Subtracted from each channel in [0, 1].
    pub mean: Vec<f32>,
    /// Each channel is divided by it afterwards.
    pub std: Vec<f32>,
    /// The filter by which a picture is resized.
    pub resample: Resample,
    /// The edges that are resized.
    pub resize: Resize,
    /// The picture is resized to the input's size divided by this, then the centre is cut out.
    pub crop: f32,
    /// Where an odd number of pixels is cut off, the smaller half goes first (transformers); otherwise the first half
    /// is rounded to even (torchvision, timm).
    pub floor_crop: bool,
    /// Whether the channels are blue, green, red instead of red, green, blue.
    pub bgr: bool,
    /// Whether a picture is turned upright as its EXIF data says, which transformers' pipelines do and timm and torchvision
    /// do not.
    pub exif: bool,
    /// Whether a JPEG file that shrinks to less than 1/8 is decoded at 1/4 or 1/8 of its size before it is resized: near what
    /// the whole gives, and not the same. No network's files ask for it.
    pub reduced: bool,
    /// What says all this, for people: a file, an architecture, or the rule by which it was assumed.
    pub source: String,
}

impl Preprocess {
    /// The [`crop`](Self::crop) by which an input of so many pixels comes from a picture of `whole`: the float for which
    /// dividing by it gives just that number.
    pub fn share(input: u32, whole: u32) -> f32 {
        let close = input as f32 / whole as f32;
        let hits = |crop: &f32| (input as f32 / crop).floor() as u32 == whole;
        [close, close.next_down(), close.next_up()].into_iter().find(hits).unwrap_or(close)
    }

    /// Checks that the numbers make sense for so many channels.
    pub(super) fn check(&self, channels: u32) -> Result<()> {
        let Preprocess { mean, std, crop, .. } = self;
        let wrong = |field: &str, why: String| Err(Error::Config { field: field.into(), why });
        if mean.len() != channels as usize || std.len() != channels as usize {
            return wrong(
                "mean, std",
                format!("{} and {} values for {} channels", mean.len(), std.len(), channels),
            );
        }
        if !mean.iter().all(|v| v.is_finite()) || !std.iter().all(|v| v.is_finite() && *v > 0.0) {
            return wrong("mean, std", format!("{mean:?}, {std:?} are not finite, or std is not positive"));
        }
        if !(*crop >= 0.01 && *crop <= 1.0) {
            return wrong("crop_pct", format!("{crop} is not between 0.01 and 1"));
        }
        Ok(())
    }
}

/// In words: `shortest edge resized (bicubic), the centre 0.875 of it cut out, mean [..], std [..], EXIF ignored (SOURCE)`.
impl fmt::Display for Preprocess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Preprocess { mean, std, resample, resize, crop, .. } = self;
        let edges = if *resize == Resize::Shortest { "shortest edge resized" } else { "squashed" };
        write!(f, "{edges} ({resample})")?;
        if *crop < 1.0 || *resize == Resize::Shortest {
            write!(f, ", the centre {crop} of it cut out")?;
        }
        write!(f, ", mean {mean:?}, std {std:?}")?;
        f.write_str(if self.bgr { ", blue first" } else { "" })?;
        f.write_str(if self.exif { ", turned by EXIF" } else { ", EXIF ignored" })?;
        f.write_str(if self.reduced { ", JPEGs decoded at reduced size" } else { "" })?;
        write!(f, " ({})", self.source)
    }
}
