//! Arguments that several subcommands share.

use std::path::PathBuf;

use clap::Args;
use tome_wgpu::{DeviceChoice, Schedule};

/// Which network.
#[derive(Args)]
pub struct ModelArgs {
    /// Folder with config.json and model.safetensors, or a safetensors file; without it the built-in digits
    #[arg(long, value_name = "DIR|FILE")]
    pub model: Option<PathBuf>,
    /// timm's hub config.json, where it is not beside the weights
    #[arg(long, value_name = "FILE", requires = "model")]
    pub config: Option<PathBuf>,
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
