//! The network that a subcommand runs, ready on its device.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tome_wgpu::Session;
use tome_wgpu::files::{Checkpoint, fetch_model, load_model, load_model_as};
use tome_wgpu::vit::{Config, Tensors, Weights};

use crate::args::{DeviceArgs, ImageSize, ModelArgs};
use crate::digits;
use crate::pictures::PictureArgs;
use crate::text::shown;

/// What is measured where nothing is asked for.
const USUAL: &str = "vit_base_patch16_224";

/// The network that was asked for, or the built-in digits, for images of the size that was asked for.
pub fn load(args: &ModelArgs) -> Result<(Config, Checkpoint)> {
    let (mut config, mut weights) = match (&args.model, &args.arch) {
        (None, Some(_)) => {
            bail!("--arch says what the weights are that --model names, and there is no --model")
        }
        (None, None) => digits::network()?,
        (Some(path), arch) => {
            let name = path.to_str().and_then(|name| name.strip_prefix("hf-hub:"));
            let folder = name.map_or_else(|| Ok(path.clone()), fetch);
            let load = |folder: PathBuf| match arch {
                Some(arch) => load_model_as(&folder, arch),
                None => load_model(&folder, args.config.as_deref()),
            };
            folder.and_then(load).with_context(|| format!("cannot load the network {}", shown(path)))?
        }
    };
    if let Some(ImageSize(size)) = args.image_size {
        weights.resample_positions(&mut config, size)?;
    }
    for warning in weights.warnings() {
        let hint = match warning.contains("prepared") || warning.contains("leaves out") {
            true => "; --mean, --std, --resize, --crop and --interpolation say it",
            false => "",
        };
        tracing::warn!("{warning}{hint}");
    }
    Ok((config, weights))
}

/// The same, or an architecture with random weights.
pub fn load_or_draw(args: &ModelArgs) -> Result<(Config, Box<dyn Tensors>)> {
    if args.model.is_some() {
        let (config, weights) = load(args)?;
        return Ok((config, Box::new(weights)));
    }
    let (config, weights) = random(args.arch.as_deref().unwrap_or(USUAL), args.image_size)?;
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

/// The network on its device; says which and why, and how pictures are prepared.
pub fn start(model: &ModelArgs, pictures: &PictureArgs, device: &DeviceArgs) -> Result<Session> {
    let (config, weights) = prepare(model, pictures)?;
    put(config, &weights, device)
}

/// The network before it is on its device; says how pictures are prepared.
pub fn prepare(model: &ModelArgs, pictures: &PictureArgs) -> Result<(Config, Checkpoint)> {
    let (mut config, weights) = load(model)?;
    pictures.apply(&mut config)?;
    match &config.sound {
        Some(sound) => tracing::debug!("sounds: {sound}"),
        None => tracing::debug!("pictures: {}", config.preparation()),
    }
    Ok((config, weights))
}

/// A network on its device; says which and why.
pub fn put(config: Config, weights: &Checkpoint, device: &DeviceArgs) -> Result<Session> {
    let session = device.session(config, weights)?;
    tracing::info!("{}", session.device());
    Ok(session)
}

/// How pictures, clips or sounds are prepared, for programs.
pub fn described(config: &Config) -> Value {
    if let Some(sound) = &config.sound {
        let [bands, windows] = sound.bands_and_windows(config.image_size);
        return json!({
            "sampling_rate": sound.sampling_rate,
            "bands": bands,
            "windows": windows,
            "mean": sound.mean,
            "std": sound.std,
            "source": sound.source,
        });
    }
    let preprocess = &config.preprocess;
    let mut described = json!({
        "mean": preprocess.mean,
        "std": preprocess.std,
        "interpolation": preprocess.resample.to_string(),
        "resize": format!("{:?}", preprocess.resize).to_lowercase(),
        "crop": preprocess.crop,
        "image_size": config.image_size,
        "channel_order": if preprocess.bgr { "bgr" } else { "rgb" },
        "exif": preprocess.exif,
        "jpeg": if preprocess.reduced { "reduced" } else { "whole" },
        "source": preprocess.source,
    });
    if config.frames > 1 {
        described["frames"] = config.frames.into();
    }
    if let Some(packed) = config.packed {
        described["max_patches"] = packed.patches.into();
        // Whatever the picture's proportions are.
        for field in ["image_size", "resize", "crop"] {
            described[field] = Value::Null;
        }
    }
    described
}

/// The name of a class.
pub fn label(config: &Config, class: usize) -> String {
    config.labels.get(class).cloned().unwrap_or_else(|| format!("class {class}"))
}

/// Whether a path is one of the files that a network is read from.
pub fn is_part(args: &ModelArgs, path: &Path) -> bool {
    let files = [&args.model, &args.config].into_iter().flatten();
    files.clone().any(|file| same(file, path))
        || args.model.iter().any(|folder| {
            path.parent().is_some_and(|parent| folder.is_dir() && same(folder, parent))
                && path.extension().is_some_and(|suffix| suffix == "safetensors")
                && path.exists()
        })
}

/// Whether two paths lead to one file.
pub fn same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
