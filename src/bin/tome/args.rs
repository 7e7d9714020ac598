//! Arguments that several subcommands share.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use tome_wgpu::{DeviceChoice, Schedule};

/// Which network.
#[derive(Args)]
pub struct ModelArgs {
    /// A network as it is downloaded: a folder in the layout of timm, transformers or torchvision, a safetensors file,
    /// or a model of the Hugging Face hub, hf-hub:OWNER/NAME[@REVISION]; without it the built-in digits
    #[arg(long, value_name = "DIR|FILE|hf-hub:NAME")]
    pub model: Option<PathBuf>,
    /// The config.json, where it is not beside the weights
    #[arg(long, value_name = "FILE", requires = "model")]
    pub config: Option<PathBuf>,
    /// Height and width of the input in pixels, 384 or 288x512; positions are resampled as the network's own code does
    #[arg(long, value_name = "HxW")]
    pub image_size: Option<ImageSize>,
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

/// Where it runs.
#[derive(Args)]
pub struct DeviceArgs {
    /// auto, cpu, an adapter's number in `tome devices`, or a part of its name
    #[arg(long, value_name = "auto|cpu|NAME|INDEX", default_value = "auto")]
    pub device: DeviceChoice,
}

/// What merges.
#[derive(Args)]
pub struct MergeArgs {
    /// Tokens merged in each block: 13, 16:-1 (r : inflection) or 32,29,26 (a list)
    // A negative number is a wrong schedule, not an unknown flag.
    #[arg(long, value_name = "R", default_value = "0", allow_hyphen_values = true)]
    pub r: Schedule,
}
