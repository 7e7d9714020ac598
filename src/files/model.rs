//! A network on disk: its config and its weights.

use std::io::{Read, Seek};
use std::path::Path;

use super::{TensorReader, broken, parse_config};
use crate::error::Result;
use crate::vit::{Config, Tensor, Weights};

/// Loads a network in timm's hub layout. `path` is a folder that holds `config.json` and `model.safetensors`, or a
/// safetensors file with `config.json` beside it; `config` names another config. Where the config has no class
/// names, `labels.txt` beside it gives them, one a line.
///
/// # Errors
/// [`Error::File`](crate::Error::File) for what cannot be read, [`Error::Config`](crate::Error::Config),
/// [`Error::Unsupported`](crate::Error::Unsupported) and [`Error::Weight`](crate::Error::Weight) for what does
/// not make a network.
pub fn load_model(path: &Path, config: Option<&Path>) -> Result<(Config, Weights)> {
    let file = if path.is_dir() { path.join("model.safetensors") } else { path.to_owned() };
    refuse_pickle(&file)?;
    let beside = file.with_file_name("config.json");
    let mut config = read_config(config.unwrap_or(&beside))?;
    let weights = read_weights(&mut TensorReader::open(&file)?)?;
    settle_final_norm(&mut config, &weights);
    weights.check(&config)?;
    Ok((config, weights))
}

/// All tensors of a safetensors file (f32, f16 or bf16) as f32.
///
/// # Errors
/// [`Error::Weight`](crate::Error::Weight) for a tensor of another type, [`Error::File`](crate::Error::File) where
/// reading fails.
pub fn read_weights<R: Read + Seek>(reader: &mut TensorReader<R>) -> Result<Weights> {
    let mut weights = Weights::new();
    for name in reader.names() {
        let shape = reader.shape(&name)?.to_vec();
        let data = reader.read(&name, 0..shape.iter().product())?;
        weights.insert(name, Tensor { shape, data });
    }
    Ok(weights)
}

/// Versions of timm differ in whether `final_norm: false` takes the norm after pooling away as well: the weights know.
fn settle_final_norm(config: &mut Config, weights: &Weights) {
    config.final_norm |= config.fc_norm && weights.contains("fc_norm.weight");
}

fn read_config(path: &Path) -> Result<Config> {
    let text = std::fs::read_to_string(path).map_err(|error| broken(path, error.to_string()))?;
    let mut config = parse_config(&text)?;
    let labels = path.with_file_name("labels.txt");
    if config.labels.is_empty() && labels.is_file() {
        let text = std::fs::read_to_string(&labels).map_err(|error| broken(&labels, error.to_string()))?;
        config.labels = text.lines().map(str::to_owned).collect();
        if config.labels.len() != config.num_classes as usize {
            let why = format!("{} lines for {} classes", config.labels.len(), config.num_classes);
            return Err(broken(&labels, why));
        }
    }
    Ok(config)
}

/// PyTorch's own formats are programs in disguise; reading them is PyTorch's business.
fn refuse_pickle(file: &Path) -> Result<()> {
    let pickled = |path: &Path| {
        let suffix = path.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default();
        ["pth", "pt", "bin", "ckpt"].contains(&suffix).then(|| path.to_owned())
    };
    let instead = file.with_file_name("pytorch_model.bin");
    let found = pickled(file).or_else(|| (!file.exists() && instead.exists()).then_some(instead));
    match found {
        None => Ok(()),
        Some(path) => Err(broken(
            &path,
            format!(
                "is a PyTorch file; convert it: python -c \"import torch, safetensors.torch as s; \
                 s.save_file({{k: v.contiguous() for k, v in torch.load('{}', map_location='cpu', \
                 weights_only=True).items()}}, 'model.safetensors')\"",
                path.display()
            ),
        )),
    }
}
