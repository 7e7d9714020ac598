//! A network as it is downloaded: its config and its tensors.

use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use super::fields::Fields;
use super::model_files::{CONFIG, INDEX, LABELS, PROCESSOR, WEIGHTS};
use super::names::{self, Layout};
use super::settle::settle;
use super::shards::Shards;
use super::{
    Checkpoint, ModelFiles, TensorReader, broken, processor, timm_config, torchvision, transformers_config,
};
use crate::error::{Error, Result};
use crate::vit::{Config, Tensor, Weights};

/// Loads a network as it is downloaded, in the layout of timm, Hugging Face transformers, torchvision or SWAG. `path`
/// is a folder that holds `model.safetensors` or, for shards, `model.safetensors.index.json`, or such a file itself;
/// beside it lie `config.json` (without one, torchvision's and SWAG's networks are known by the names and shapes of
/// their tensors) and perhaps transformers' `preprocessor_config.json`. `config` names another config. Where the
/// config has no class names, `labels.txt` beside it gives them, one a line. Positions of another, square grid than
/// the config's are resampled. The names and shapes of all tensors are checked against the config; their values stay in
/// the files until they are asked for.
///
/// # Errors
/// [`Error::File`](crate::Error::File) for what cannot be read, [`Error::Config`](crate::Error::Config),
/// [`Error::Unsupported`](crate::Error::Unsupported) and [`Error::Weight`](crate::Error::Weight) for what does
/// not make a network.
pub fn load_model(path: &Path, config: Option<&Path>) -> Result<(Config, Checkpoint)> {
    let file = locate(path);
    refuse_pickle(&file)?;
    let weights = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    let mut files = ModelFiles::in_folder(folder).with_path(&weights, file);
    if let Some(config) = config {
        files = files.with_path(CONFIG, config.to_owned());
        for beside in [PROCESSOR, LABELS] {
            files = files.with_path(beside, config.with_file_name(beside));
        }
    }
    load(files, &weights)
}

/// Loads a network from files that need not lie on a disk: `model.safetensors` (or `model.safetensors.index.json` and
/// the shards that it names), `config.json`, and whatever else [`load_model`] looks for in a folder.
///
/// # Errors
/// As [`load_model`].
pub fn load_files(files: ModelFiles) -> Result<(Config, Checkpoint)> {
    let weights = if !files.has(WEIGHTS) && files.has(INDEX) { INDEX } else { WEIGHTS };
    load(files, weights)
}

fn load(mut files: ModelFiles, weights: &str) -> Result<(Config, Checkpoint)> {
    let (mut config, layout, shards) = if files.has(CONFIG) || !files.has(weights) {
        let (config, layout) = read_config(&mut files)?;
        (config, layout, Shards::open(&mut files, weights)?)
    } else {
        let shards = Shards::open(&mut files, weights)?;
        match torchvision::recognise(&shards)? {
            Some(config) => (config, &names::TORCHVISION, shards),
            None => {
                let why = "is missing, and the tensors' names are not torchvision's";
                return Err(broken(&files.path(CONFIG), why));
            }
        }
    };
    read_labels(&mut config, &mut files)?;
    let mut checkpoint = Checkpoint::new(shards, layout)?;
    settle(&mut config, &mut checkpoint).map_err(|error| match error {
        Error::Weight { name, why } => {
            let file = files.path(weights);
            Error::Weight { name, why: format!("{why} ({})", file.display()) }
        }
        error => error,
    })?;
    Ok((config, checkpoint))
}

/// Reads a `config.json`, timm's (hub layout) or transformers' (which has a `model_type`).
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) for nonsense, [`Error::Unsupported`](crate::Error::Unsupported) for what
/// the libraries know and this crate does not; both name the field.
pub fn parse_config(json: &str) -> Result<Config> {
    Ok(parse(Fields::parse(json)?)?.0)
}

/// All tensors of a safetensors file (f32, f16 or bf16), by the names that they have there.
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

fn parse(top: Fields) -> Result<(Config, &'static Layout)> {
    match is_transformers(&top) {
        true => transformers_config::parse(top),
        false => Ok((timm_config::parse(top)?, &names::TIMM)),
    }
}

fn is_transformers(top: &Fields) -> bool {
    top.has("model_type")
}

/// The file of a folder: the weights, or the index of their shards.
fn locate(path: &Path) -> PathBuf {
    if !path.is_dir() {
        return path.to_owned();
    }
    let [file, index] = [WEIGHTS, INDEX].map(|name| path.join(name));
    if !file.exists() && index.exists() { index } else { file }
}

fn read_config(files: &mut ModelFiles) -> Result<(Config, &'static Layout)> {
    let top = Fields::parse(&files.read_text(CONFIG)?)?;
    // timm's folders may hold a processor's config for transformers' pipelines; their own config says it all.
    let has_processor = is_transformers(&top);
    let (mut config, layout) = parse(top)?;
    if has_processor && files.has(PROCESSOR) {
        processor::apply(&mut config, &files.read_text(PROCESSOR)?)?;
    }
    Ok((config, layout))
}

fn read_labels(config: &mut Config, files: &mut ModelFiles) -> Result<()> {
    if config.labels.is_empty() && files.has(LABELS) {
        let path = files.path(LABELS);
        config.labels = files.read_text(LABELS)?.lines().map(str::to_owned).collect();
        if config.labels.len() != config.num_classes as usize {
            let why = format!("{} lines for {} classes", config.labels.len(), config.num_classes);
            return Err(broken(&path, why));
        }
    }
    Ok(())
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
