//! The safetensors files of a checkpoint: one, or the shards that an index names.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::model_files::{Bytes, ModelFiles};
use super::{TensorReader, broken};
use crate::error::Result;

/// Open files and what lies where, by the names that the tensors have there.
pub(super) struct Shards {
    pub files: Vec<TensorReader<Box<dyn Bytes>>>,
    /// Which of them holds a tensor.
    pub home: BTreeMap<String, usize>,
}

/// `model.safetensors.index.json`.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The shards that an index names, each once; `path` is for messages.
///
/// # Errors
/// [`Error::File`](crate::Error::File) for an index that is none or names anything but files beside it.
pub(super) fn named_in(index: &str, path: &Path) -> Result<Vec<String>> {
    let Index { weight_map } =
        serde_json::from_str(index).map_err(|error| broken(path, format!("is no index: {error}")))?;
    let mut files: Vec<String> = weight_map.into_values().collect();
    files.sort();
    files.dedup();
    match files.iter().find(|file| Path::new(file).file_name() != Some(file.as_ref())) {
        Some(file) => Err(broken(path, format!("names `{file}`, which is no file beside it"))),
        None => Ok(files),
    }
}

impl Shards {
    /// Opens a safetensors file, or all that an index names, and reads their headers.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File) for what cannot be read or is no safetensors.
    pub fn open(files: &mut ModelFiles, name: &str) -> Result<Self> {
        let names = match name.ends_with(".json") {
            true => {
                let path = files.path(name);
                named_in(&files.read_text(name)?, &path)?
            }
            false => vec![name.to_owned()],
        };
        let open = |name: &String| {
            let opened = files.open(name)?;
            TensorReader::new(opened.bytes, &opened.path)
        };
        let files = names.iter().map(open).collect::<Result<Vec<_>>>()?;
        let names = files.iter().enumerate();
        let home = names.flat_map(|(shard, file)| file.names().into_iter().map(move |name| (name, shard)));
        Ok(Shards { home: home.collect(), files })
    }

    /// The tensors' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.home.keys().map(String::as_str)
    }

    /// A tensor's shape, where there is one of this name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.files[*self.home.get(name)?].shape(name).ok()
    }
}
