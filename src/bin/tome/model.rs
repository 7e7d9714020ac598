//! The network that a subcommand runs, ready on its device.

use anyhow::{Context, Result};
use tome_wgpu::Session;
use tome_wgpu::files::load_model;
use tome_wgpu::vit::{Config, Weights};

use crate::args::{DeviceArgs, ModelArgs};
use crate::digits;

/// The network that was asked for, or the built-in digits.
pub fn load(args: &ModelArgs) -> Result<(Config, Weights)> {
    match &args.model {
        None => digits::network(),
        Some(path) => load_model(path, args.config.as_deref())
            .with_context(|| format!("cannot load the network {}", path.display())),
    }
}

/// The network on its device; says which and why.
pub fn start(model: &ModelArgs, device: &DeviceArgs) -> Result<Session> {
    let (config, weights) = load(model)?;
    let session = Session::new(config, &weights, &device.device)?;
    tracing::info!("{}", session.device());
    Ok(session)
}

/// What a class is called.
pub fn label(config: &Config, class: usize) -> String {
    config.labels.get(class).cloned().unwrap_or_else(|| format!("class {class}"))
}
