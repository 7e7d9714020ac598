//! Arguments that several subcommands share.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use tome_wgpu::vit::{Config, Tensors};
use tome_wgpu::{DeviceChoice, Element, Session};

/// The network.
#[derive(Args)]
pub struct ModelArgs {
    /// A network as it is downloaded: a folder in the layout of timm, transformers or torchvision, a safetensors file,
    /// or a model of the Hugging Face hub, hf-hub:OWNER/NAME[@REVISION]; without it the built-in digits
    #[arg(long, value_name = "DIR|FILE|hf-hub:NAME")]
    pub model: Option<PathBuf>,
    /// The config.json, where it is not beside the weights
    #[arg(long, value_name = "FILE", requires = "model")]
    pub config: Option<PathBuf>,
    /// The architecture by timm's name, for weights without a config.json
    #[arg(long, value_name = "NAME", value_parser = architecture)]
    pub arch: Option<String>,
    /// Height and width of the input in pixels, 384 or 288x512; positions are resampled as the network's own code does
    #[arg(long, value_name = "HxW")]
    pub image_size: Option<ImageSize>,
}

/// A known architecture, with or without its training behind a dot.
fn architecture(name: &str) -> Result<String, String> {
    let known = Config::preset(name.split('.').next().unwrap_or_default());
    known.map(|config| config.name).map_err(|error| error.to_string())
}

/// Height and width in pixels.
#[derive(Clone, Copy)]
pub struct ImageSize(pub [u32; 2]);

impl FromStr for ImageSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (height, width) = text.split_once('x').unwrap_or((text, text));
        let side = |side: &str| side.parse().map_err(|_| format!("`{text}` is no number or HEIGHTxWIDTH"));
        Ok(ImageSize([side(height)?, side(width)?]))
    }
}

/// The device, and how weights and activations are stored.
#[derive(Args)]
pub struct DeviceArgs {
    /// auto, cpu, an adapter's number in `tome devices`, or a part of `NAME (Backend)` as listed there
    #[arg(long, value_name = "auto|cpu|NAME|INDEX", default_value = "auto")]
    pub device: DeviceChoice,
    /// How weights and activations are stored; the CPU path has f32 only
    #[arg(long, value_enum, default_value = "f32")]
    pub precision: Precision,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Precision {
    F32,
    F16,
}

impl Precision {
    /// As it is given.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::F16 => "f16",
        }
    }
}

impl DeviceArgs {
    /// A network on the device.
    pub fn session(&self, config: Config, weights: &dyn Tensors) -> tome_wgpu::Result<Session> {
        let element = match self.precision {
            Precision::F32 => Element::F32,
            Precision::F16 => Element::F16,
        };
        Session::with_element(config, weights, &self.device, element)
    }
}
