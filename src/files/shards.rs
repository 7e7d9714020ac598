//! The safetensors files of a checkpoint: one, or the shards that an index names.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::model_files::{Bytes, ModelFiles};
use super::{TensorReader, broken};
use crate::error::Result;

/// Open files and what lies where.
pub(super) struct Shards {
    pub files: Vec<TensorReader<Box<dyn Bytes>>>,
    /// Where each tensor is, by its name without what training wraps around a network.
    pub home: BTreeMap<String, Home>,
}

/// A tensor's file, and its name there.
pub(super) struct Home {
    pub file: usize,
    pub name: String,
}

/// What `DataParallel`, `torch.compile`, Lightning and transformers' wrapper of timm put before every name.
const WRAPPERS: [&str; 6] = ["module.", "_orig_mod.", "model.", "timm_model.", "backbone.", "net."];

/// `model.safetensors.index.json`.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The shards that an index names, each once; `path` is for messages.
///
/// # Errors
/// [`Error::File`](crate::Error::File) for an index that is none or names anything but files beside it.
#[cfg(feature = "hub")]
pub(super) fn named_in(index: &str, path: &Path) -> Result<Vec<String>> {
    let mut files: Vec<String> = weight_map(index, path)?.into_values().collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// Tensors and their shards.
fn weight_map(index: &str, path: &Path) -> Result<BTreeMap<String, String>> {
    let Index { weight_map } = serde_json::from_slice(index.as_bytes())
        .map_err(|error| broken(path, format!("is no index: {error}")))?;
    match weight_map.values().find(|file| Path::new(file).file_name() != Some(file.as_ref())) {
        Some(file) => Err(broken(path, format!("names `{file}`, which is no file beside it"))),
        None => Ok(weight_map),
    }
}

impl Shards {
    /// Opens a safetensors file, or all that an index names, and reads their headers.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File) for what cannot be read or is no safetensors.
    pub fn open(files: &mut ModelFiles, name: &str) -> Result<Self> {
        let path = files.path(name);
        let map = match name.ends_with(".json") {
            true => weight_map(&files.read_text(name)?, &path)?,
            false => BTreeMap::new(),
        };
        // Each once, in order.
        let mut names: Vec<String> = Vec::new();
        for shard in map.values() {
            if let Err(place) = names.binary_search(shard) {
                names.insert(place, shard.clone());
            }
        }
        if !name.ends_with(".json") {
            names.push(name.to_owned());
        }
        let open = |name: &String| {
            let opened = files.open(name)?;
            TensorReader::new(opened.bytes, &opened.path)
        };
        let files = names.iter().map(open).collect::<Result<Vec<_>>>()?;

        let mut home: BTreeMap<String, Home> = BTreeMap::new();
        for (file, reader) in files.iter().enumerate() {
            for name in reader.names() {
                if let Some(other) = home.get(&name) {
                    let [one, two] = [other.file, file].map(|file| &names[file]);
                    return Err(broken(&path, format!("`{name}` is in two shards, {one} and {two}")));
                }
                home.insert(name.clone(), Home { file, name });
            }
        }
        let lies_in = |name: &String| home.get(name).map(|home| &names[home.file]);
        if let Some((name, shard)) = map.iter().find(|(name, shard)| lies_in(name) != Some(shard)) {
            return Err(broken(&path, format!("`{name}` should be in {shard} and is not")));
        }
        let mut shards = Shards { files, home };
        shards.take_wrappers_off();
        Ok(shards)
    }

    /// Drops what all names begin with because of how the network was trained.
    fn take_wrappers_off(&mut self) {
        let wraps = |wrapper: &&&str, names: &BTreeMap<_, _>| {
            !names.is_empty() && names.keys().all(|name: &String| name.starts_with(**wrapper))
        };
        while let Some(wrapper) = WRAPPERS.iter().find(|wrapper| wraps(wrapper, &self.home)) {
            self.rename(|name| name[wrapper.len()..].to_owned());
        }
    }

    /// Keeps those tensors that begin with something, and drops that.
    pub fn only(&mut self, begin: &str) {
        self.home.retain(|name, _| name.starts_with(begin));
        self.rename(|name| name[begin.len()..].to_owned());
    }

    /// Calls tensors otherwise.
    pub fn rename(&mut self, new: impl Fn(&str) -> String) {
        for (name, home) in std::mem::take(&mut self.home) {
            self.home.insert(new(&name), home);
        }
    }

    /// The tensors' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.home.keys().map(String::as_str)
    }

    /// A tensor's shape, where there is one of this name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let home = self.home.get(name)?;
        self.files[home.file].shape(&home.name).ok()
    }
}
