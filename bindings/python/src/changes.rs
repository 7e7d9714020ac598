//! How pictures are prepared, as Python overrules it.

use pyo3::prelude::*;
use tome_wgpu::Error;
use tome_wgpu::vit::{Config, Preprocess, Resample, Resize};

/// How pictures are prepared where the network's files are to be overruled; what is absent stays.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Changes {
    mean: Option<Vec<f32>>,
    std: Option<Vec<f32>>,
    interpolation: Option<String>,
    resize: Option<String>,
    crop: Option<f32>,
    channel_order: Option<String>,
    exif: Option<bool>,
    jpeg: Option<String>,
}

impl Changes {
    /// Overrules what the network's files say.
    pub fn apply(self, config: &mut Config) -> tome_wgpu::Result<()> {
        if config.packed.is_some()
            && (self.resize.is_some() || self.crop.is_some() || self.jpeg.as_deref() == Some("reduced"))
        {
            let why = "pictures of any shape keep their proportions and are decoded whole: resize, crop and jpeg say \
                       nothing about them";
            return Err(Error::Input(why.into()));
        }
        let said = [
            self.mean.is_some(),
            self.std.is_some(),
            self.interpolation.is_some(),
            self.resize.is_some(),
            self.crop.is_some(),
            self.channel_order.is_some(),
            self.exif.is_some(),
            self.jpeg.as_deref() == Some("reduced"),
        ];
        if config.sound.is_some() && said.contains(&true) {
            let why = "the network hears sounds: what is said of pictures says nothing about them";
            return Err(Error::Input(why.into()));
        }
        let before = config.preprocess.clone();
        let Preprocess { mean, std, resample, resize, crop, bgr, exif, reduced, .. } = &mut config.preprocess;
        for (given, values) in [(self.mean, mean), (self.std, std)] {
            match given {
                Some(given) if given.len() == 1 => *values = vec![given[0]; values.len()],
                Some(given) => *values = given,
                None => {}
            }
        }
        if let Some(filter) = self.interpolation {
            *resample = Resample::named("interpolation", &filter)?;
        }
        match self.resize.as_deref() {
            None => {}
            Some("shortest") => *resize = Resize::Shortest,
            Some("squash") => *resize = Resize::Squash,
            Some(other) => return Err(Error::Input(format!("resize `{other}`; give shortest or squash"))),
        }
        *crop = self.crop.unwrap_or(*crop);
        match self.channel_order.as_deref() {
            None => {}
            Some(order @ ("rgb" | "bgr")) => *bgr = order == "bgr",
            Some(other) => return Err(Error::Input(format!("channel_order `{other}`; give rgb or bgr"))),
        }
        *exif = self.exif.unwrap_or(*exif);
        match self.jpeg.as_deref() {
            None => {}
            Some(jpeg @ ("whole" | "reduced")) => *reduced = jpeg == "reduced",
            Some(other) => return Err(Error::Input(format!("jpeg `{other}`; give whole or reduced"))),
        }
        if config.preprocess != before {
            config.preprocess.source += ", changed by the caller";
        }
        config.check()
    }
}
