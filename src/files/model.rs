//! A network on disk: its config and its weights.

use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use super::checkpoint::Checkpoint;
use super::fields::Fields;
use super::names::{self, Layout};
use super::{TensorReader, broken, processor, timm_config, torchvision, transformers_config};
use crate::error::Result;
use crate::vit::{Config, Tensor, Weights};

/// Loads a network as it is downloaded, in the layout of timm, Hugging Face transformers, torchvision or SWAG. `path`
/// is a folder that holds `model.safetensors` or, for shards, `model.safetensors.index.json`, or such a file itself;
/// beside it lie `config.json` (without one, torchvision's and SWAG's networks are known by the names and shapes of
/// their tensors) and perhaps transformers' `preprocessor_config.json`. `config` names another config. Where the
/// config has no class names, `labels.txt` beside it gives them, one a line. Positions of another, square grid than
/// the config's are resampled.
///
/// # Errors
/// [`Error::File`](crate::Error::File) for what cannot be read, [`Error::Config`](crate::Error::Config),
/// [`Error::Unsupported`](crate::Error::Unsupported) and [`Error::Weight`](crate::Error::Weight) for what does
/// not make a network.
pub fn load_model(path: &Path, config: Option<&Path>) -> Result<(Config, Weights)> {
    let file = locate(path);
    refuse_pickle(&file)?;
    let beside = file.with_file_name("config.json");
    let from = config.unwrap_or(&beside);
    let ((mut config, layout), mut checkpoint) = if from.exists() || !file.exists() {
        (read_config(from)?, Checkpoint::open(&file)?)
    } else {
        let checkpoint = Checkpoint::open(&file)?;
        match torchvision::recognise(&checkpoint)? {
            Some(config) => ((config, &names::TORCHVISION), checkpoint),
            None => return Err(broken(from, "is missing, and the tensors' names are not torchvision's")),
        }
    };
    read_labels(&mut config, from)?;
    let mut weights = checkpoint.read(layout)?;
    settle(&mut config, &mut weights);
    weights.fit_positions(&config)?;
    weights.check(&config)?;
    Ok((config, weights))
}

/// Reads a `config.json`, timm's (hub layout) or transformers' (which has a `model_type`).
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) for nonsense, [`Error::Unsupported`](crate::Error::Unsupported) for what
/// the libraries know and this crate does not; both name the field.
pub fn parse_config(json: &str) -> Result<Config> {
    Ok(parse(Fields::parse(json)?)?.0)
}

/// All tensors of a safetensors file (f32, f16 or bf16) as f32, by the names that they have there.
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
    let [file, index] = ["model.safetensors", "model.safetensors.index.json"].map(|name| path.join(name));
    if !file.exists() && index.exists() { index } else { file }
}

fn read_config(path: &Path) -> Result<(Config, &'static Layout)> {
    let read = |path: &Path| std::fs::read_to_string(path).map_err(|error| broken(path, error.to_string()));
    let top = Fields::parse(&read(path)?)?;
    // timm's folders may hold a processor's config for transformers' pipelines; their own config says it all.
    let has_processor = is_transformers(&top);
    let (mut config, layout) = parse(top)?;
    let processor = path.with_file_name("preprocessor_config.json");
    if has_processor && processor.is_file() {
        processor::apply(&mut config, &read(&processor)?)?;
    }
    Ok((config, layout))
}

fn read_labels(config: &mut Config, beside: &Path) -> Result<()> {
    let labels = beside.with_file_name("labels.txt");
    if config.labels.is_empty() && labels.is_file() {
        let text = std::fs::read_to_string(&labels).map_err(|error| broken(&labels, error.to_string()))?;
        config.labels = text.lines().map(str::to_owned).collect();
        if config.labels.len() != config.num_classes as usize {
            let why = format!("{} lines for {} classes", config.labels.len(), config.num_classes);
            return Err(broken(&labels, why));
        }
    }
    Ok(())
}

/// Small things that layouts say differently.
fn settle(config: &mut Config, weights: &mut Weights) {
    let channels = config.embed_dim as usize;
    // Versions of timm differ in whether `final_norm: false` takes the norm after pooling away as well.
    config.final_norm |= config.fc_norm && weights.contains("fc_norm.weight");
    // Rows of channels, with or without dimensions of 1 around them.
    for name in ["pos_embed", "cls_token", "dist_token", "reg_token", "attn_pool.latent"] {
        if let Some(tensor) = weights.get_mut(name).filter(|tensor| tensor.shape.last() == Some(&channels)) {
            tensor.shape = vec![1, tensor.data.len() / channels, channels];
        }
    }
    // CLIP's projection has no bias.
    if config.pre_norm && weights.contains("head.weight") && !weights.contains("head.bias") {
        let classes = config.num_classes as usize;
        weights.insert("head.bias", Tensor { shape: vec![classes], data: vec![0.0; classes] });
    }
    fold_class_position(config, weights);
}

/// A position for the class token where the config has positions for patches only, as in DINOv2's checkpoints with
/// registers, becomes part of the token.
fn fold_class_position(config: &Config, weights: &mut Weights) {
    let (channels, patches) = (config.embed_dim as usize, config.patches() as usize);
    let Some(position) = weights.get_mut("pos_embed").filter(|_| config.no_embed_class) else { return };
    let rows = position.data.len() / channels;
    let square = |count: usize| count.isqrt().pow(2) == count;
    // The patches may be of another grid than the config's.
    let one_more = rows == patches + 1 || (rows != patches && rows > 1 && !square(rows) && square(rows - 1));
    if !one_more || !config.class_token {
        return;
    }
    let class: Vec<f32> = position.data.drain(..channels).collect();
    position.shape = vec![1, rows - 1, channels];
    if let Some(token) = weights.get_mut("cls_token") {
        token.data.iter_mut().zip(class).for_each(|(token, position)| *token += position);
    }
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
