//! Arguments that say how pictures are prepared, where the network's files do not or are to be overruled.

use std::str::FromStr;

use anyhow::{Result, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use tome_wgpu::vit::{Config, Preprocess, Resample, Resize};

/// Above these arguments in the help.
const HEADING: &str = "Pictures (by default as the network's files say)";

/// How pictures become the network's input.
#[derive(Args)]
pub struct PictureArgs {
    /// What is subtracted from each channel in [0, 1]: a number for all, or one for each
    #[arg(long, help_heading = HEADING, value_name = "M,..", value_delimiter = ',', allow_hyphen_values = true)]
    mean: Vec<f32>,
    /// What each channel is divided by then
    #[arg(long, help_heading = HEADING, value_name = "S,..", value_delimiter = ',')]
    std: Vec<f32>,
    /// What a picture is resized to before the centre is cut out: its shortest edge to so many pixels, or both edges
    #[arg(long, help_heading = HEADING, value_name = "shortest|squash|N|HxW")]
    resize: Option<ResizeTo>,
    /// The part of the resized picture's edges that the network sees, 0.875 or 1, instead of what --resize says in pixels
    #[arg(long, help_heading = HEADING, value_name = "SHARE")]
    crop: Option<f32>,
    /// The filter by which a picture is resized
    #[arg(long, help_heading = HEADING, value_name = "FILTER", value_parser = filters())]
    interpolation: Option<Resample>,
    /// Which channel comes first
    #[arg(long, help_heading = HEADING, value_enum)]
    channel_order: Option<Order>,
    /// Whether a picture is turned upright as its EXIF data says
    #[arg(long, help_heading = HEADING, value_enum)]
    exif: Option<OnOff>,
    /// Whether JPEGs are decoded whole, or at 1/4 or 1/8 of their size those that still shrink by 2 then: at most 24 of 255
    /// away from whole ones, 1.5 on average, and about twice as fast
    #[arg(long, help_heading = HEADING, value_enum, default_value = "whole")]
    jpeg: Jpeg,
}

/// What a picture is resized to.
#[derive(Clone, Copy)]
enum ResizeTo {
    Edges(Resize),
    Shortest(u32),
    Both([u32; 2]),
}

/// Filters by their names.
fn filters() -> impl TypedValueParser<Value = Resample> {
    let names = Resample::NAMES.map(|(name, _)| name);
    PossibleValuesParser::new(names).try_map(|name| Resample::named("interpolation", &name))
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Order {
    Rgb,
    Bgr,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Jpeg {
    Whole,
    Reduced,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum OnOff {
    On,
    Off,
}

impl FromStr for ResizeTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not `shortest`, `squash`, a number of pixels, or HEIGHTxWIDTH");
        let side = |side: &str| side.parse().ok().filter(|&side| side > 0).ok_or_else(wrong);
        match (text, text.split_once('x')) {
            ("shortest", _) => Ok(ResizeTo::Edges(Resize::Shortest)),
            ("squash", _) => Ok(ResizeTo::Edges(Resize::Squash)),
            (_, Some((height, width))) => Ok(ResizeTo::Both([side(height)?, side(width)?])),
            (_, None) => Ok(ResizeTo::Shortest(side(text)?)),
        }
    }
}

impl PictureArgs {
    /// Whether anything is said.
    fn any(&self) -> bool {
        let PictureArgs { mean, std, resize, crop, interpolation, channel_order, exif, jpeg } = self;
        !mean.is_empty()
            || !std.is_empty()
            || resize.is_some()
            || crop.is_some()
            || interpolation.is_some()
            || channel_order.is_some()
            || exif.is_some()
            || *jpeg == Jpeg::Reduced
    }

    /// Overrules what the network's files say.
    pub fn apply(&self, config: &mut Config) -> Result<()> {
        if config.sound.is_some() {
            return match self.any() {
                true => {
                    bail!("the network hears sounds, and what is said of pictures says nothing about them")
                }
                false => Ok(()),
            };
        }
        if config.packed.is_some() && (self.resize.is_some() || self.crop.is_some()) {
            bail!("pictures of any shape keep their proportions: --resize and --crop say nothing about them");
        }
        if config.packed.is_some() && self.jpeg == Jpeg::Reduced {
            bail!(
                "--jpeg reduced is for networks of one size of pictures; those of any shape are decoded whole"
            );
        }
        let (channels, input) = (config.in_chans as usize, config.image_size);
        let before = config.preprocess.clone();
        let preprocess = &mut config.preprocess;
        for (name, given, values) in
            [("--mean", &self.mean, &mut preprocess.mean), ("--std", &self.std, &mut preprocess.std)]
        {
            *values = match given.len() {
                0 => continue,
                1 => vec![given[0]; channels],
                count if count == channels => given.clone(),
                count => bail!("{name} has {count} values, and the network {channels} channels"),
            };
        }
        match self.resize {
            None => {}
            Some(ResizeTo::Edges(edges)) => preprocess.resize = edges,
            Some(ResizeTo::Shortest(edge)) => {
                preprocess.resize = Resize::Shortest;
                preprocess.crop = share(input[0].min(input[1]), edge)?;
            }
            Some(ResizeTo::Both([height, width])) => {
                if u64::from(height) * u64::from(input[1]) != u64::from(width) * u64::from(input[0]) {
                    bail!(
                        "--resize {height}x{width} has not the proportions of the input, {}x{}",
                        input[0],
                        input[1]
                    );
                }
                preprocess.resize = Resize::Squash;
                preprocess.crop = share(input[0], height)?;
            }
        }
        if let Some(share) = self.crop {
            preprocess.crop = share;
        }
        if let Some(filter) = self.interpolation {
            preprocess.resample = filter;
        }
        if let Some(order) = self.channel_order {
            preprocess.bgr = order == Order::Bgr;
        }
        if let Some(exif) = self.exif {
            preprocess.exif = exif == OnOff::On;
        }
        preprocess.reduced = self.jpeg == Jpeg::Reduced;
        if *preprocess != before {
            preprocess.source += ", changed on the command line";
        }
        Ok(config.check()?)
    }
}

/// The share of a picture of `whole` pixels that an input has.
fn share(input: u32, whole: u32) -> Result<f32> {
    if whole < input {
        bail!("--resize {whole} is less than the input's {input} pixels");
    }
    Ok(Preprocess::share(input, whole))
}
