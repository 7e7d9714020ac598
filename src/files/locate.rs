//! Where a network's files are that is named by a path.

use std::path::{Path, PathBuf};

use super::model_files::{CONFIG, INDEX, LABELS, OPEN_CLIP_WEIGHTS, PROCESSOR, PROCESSORS, WEIGHTS};
use super::{ModelFiles, broken, sniff};
use crate::error::Result;
use crate::vit::Config;

/// The files of a network, and which of them are the weights; `config` is another config.
///
/// # Errors
/// [`Error::File`](crate::Error::File) where there is none, which says what there is.
pub(super) fn locate(path: &Path, config: Option<&Path>) -> Result<(ModelFiles, String)> {
    let file = weights(path)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    let mut files = ModelFiles::in_folder(folder).with_path(&name, file);
    if let Some(config) = config {
        files = files.with_path(CONFIG, config.to_owned());
        for beside in [PROCESSOR, PROCESSORS, LABELS] {
            files = files.with_path(beside, config.with_file_name(beside));
        }
    }
    Ok((files, name))
}

/// The file of the weights, or the index of their shards.
fn weights(path: &Path) -> Result<PathBuf> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    if !path.is_dir() {
        return Err(broken(path, if path.exists() { "is no regular file".into() } else { absent(path) }));
    }
    let names = [WEIGHTS, INDEX, OPEN_CLIP_WEIGHTS].map(|name| path.join(name));
    let found = names.into_iter().find(|file| file.exists());
    found.ok_or_else(|| broken(path, sniff::in_folder(path)))
}

/// About a path that there is not, which may have been meant as something else.
fn absent(path: &Path) -> String {
    let name = path.to_string_lossy();
    let plain = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            && !part.starts_with('.')
    };
    let of_hub = ["hf_hub:", "hf-hub/", "hf:", "https://huggingface.co/", "timm:"];
    if let Some(rest) = of_hub.iter().find_map(|begin| name.strip_prefix(begin)) {
        return format!("is no folder or file; a model of the hub is written hf-hub:{rest}");
    }
    let parts: Vec<&str> = name.split('/').collect();
    if Config::preset(name.split('.').next().unwrap_or_default()).is_ok() {
        format!("is no folder or file; with the weights of the hub write hf-hub:timm/{name}")
    } else if parts.len() == 2
        && parts.iter().all(|part| plain(part))
        && path.extension().is_none_or(|e| e != "safetensors")
    {
        format!("is no folder or file; a model of the hub is written hf-hub:{name}")
    } else {
        "is no folder or file".into()
    }
}
