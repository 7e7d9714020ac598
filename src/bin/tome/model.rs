//! The network that a subcommand runs, ready on its device.

use std::path::PathBuf;

use anyhow::{Context, Result};
use tome_wgpu::Session;
use tome_wgpu::files::{Checkpoint, fetch_model, load_model};
use tome_wgpu::vit::{Config, Tensors, Weights};

use crate::args::{DeviceArgs, ImageSize, ModelArgs, NetworkArgs};
use crate::digits;

/// The network that was asked for, or the built-in digits, for images of the size that was asked for.
pub fn load(args: &ModelArgs) -> Result<(Config, Checkpoint)> {
    let (mut config, mut weights) = match &args.model {
        None => digits::network()?,
        Some(path) => {
            let name = path.to_str().and_then(|name| name.strip_prefix("hf-hub:"));
            let folder = name.map_or_else(|| Ok(path.clone()), fetch);
            folder
                .and_then(|folder| load_model(&folder, args.config.as_deref()))
                .with_context(|| format!("cannot load the network {}", path.display()))?
        }
    };
    if let Some(ImageSize(size)) = args.image_size {
        weights.resample_positions(&mut config, size)?;
    }
    Ok((config, weights))
}

/// The same, or an architecture with random weights.
pub fn load_or_draw(args: &NetworkArgs) -> Result<(Config, Box<dyn Tensors>)> {
    if args.model.model.is_some() {
        let (config, weights) = load(&args.model)?;
        return Ok((config, Box::new(weights)));
    }
    let (config, weights) = random(&args.arch, args.model.image_size)?;
    Ok((config, Box::new(weights)))
}

/// An architecture with random weights.
fn random(arch: &str, image_size: Option<ImageSize>) -> Result<(Config, Weights)> {
    let mut config = Config::preset(arch)?;
    if let Some(ImageSize(size)) = image_size {
        config.image_size = size;
    }
    config.check()?;
    let weights = Weights::random(&config, 0);
    Ok((config, weights))
}

/// A model of the hub; downloads show their progress as long as there are messages at all.
fn fetch(name: &str) -> tome_wgpu::Result<PathBuf> {
    fetch_model(name, tracing::enabled!(tracing::Level::INFO))
}

/// The network on its device; says which and why.
pub fn start(model: &ModelArgs, device: &DeviceArgs) -> Result<Session> {
    let (config, weights) = load(model)?;
    let session = device.session(config, &weights)?;
    tracing::info!("{}", session.device());
    Ok(session)
}

/// The name of a class.
pub fn label(config: &Config, class: usize) -> String {
    config.labels.get(class).cloned().unwrap_or_else(|| format!("class {class}"))
}
