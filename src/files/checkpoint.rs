//! The safetensors files of a checkpoint: one, or the shards that an index names.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::names::{Layout, Source};
use super::{TensorReader, broken};
use crate::error::{Error, Result};
use crate::vit::{Tensor, Weights};

/// Open files and what lies where.
pub(super) struct Checkpoint {
    shards: Vec<TensorReader<File>>,
    /// Which of them holds a tensor.
    home: BTreeMap<String, usize>,
}

/// `model.safetensors.index.json`.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The shards that an index names, each once.
///
/// # Errors
/// [`Error::File`] for an index that cannot be read or names anything but files beside it.
pub(super) fn shards(index: &Path) -> Result<Vec<PathBuf>> {
    let text = std::fs::read_to_string(index).map_err(|error| broken(index, error.to_string()))?;
    let Index { weight_map } =
        serde_json::from_str(&text).map_err(|error| broken(index, format!("is no index: {error}")))?;
    let mut files: Vec<&String> = weight_map.values().collect();
    files.sort();
    files.dedup();
    let beside = |file: &&String| {
        let name = Path::new(file.as_str());
        match name.file_name() == Some(name.as_os_str()) {
            true => Ok(index.with_file_name(name)),
            false => Err(broken(index, format!("names `{file}`, which is no file beside it"))),
        }
    };
    files.iter().map(beside).collect()
}

impl Checkpoint {
    /// Opens a safetensors file, or all that an index names.
    ///
    /// # Errors
    /// [`Error::File`] for what cannot be read or is no safetensors.
    pub fn open(path: &Path) -> Result<Self> {
        let is_index = path.extension().is_some_and(|suffix| suffix == "json");
        let files = if is_index { shards(path)? } else { vec![path.to_owned()] };
        let shards = files.iter().map(|file| TensorReader::open(file)).collect::<Result<Vec<_>>>()?;
        let names = shards.iter().enumerate();
        let home = names.flat_map(|(shard, file)| file.names().into_iter().map(move |name| (name, shard)));
        Ok(Checkpoint { home: home.collect(), shards })
    }

    /// The tensors' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.home.keys().map(String::as_str)
    }

    /// A tensor's shape, where there is one of this name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.shards[*self.home.get(name)?].shape(name).ok()
    }

    /// All tensors of the network under timm's names, each read straight into its place.
    ///
    /// # Errors
    /// [`Error::Weight`] for a tensor of a type that is not read or parts that do not fit together,
    /// [`Error::File`] where reading fails.
    pub fn read(&mut self, layout: &Layout) -> Result<Weights> {
        let mut weights = Weights::new();
        for (name, sources) in layout.assemble(self.names())? {
            let mut tensor = Tensor { shape: Vec::new(), data: Vec::new() };
            for source in &sources {
                let part = self.part(source)?;
                append(&mut tensor, part).map_err(|why| Error::Weight { name: name.clone(), why })?;
            }
            weights.insert(name, tensor);
        }
        Ok(weights)
    }

    fn part(&mut self, Source { name, thirds }: &Source) -> Result<Tensor> {
        let file = &mut self.shards[self.home[name]];
        let mut shape = file.shape(name)?.to_vec();
        let values: usize = shape.iter().product();
        let Some((from, to)) = *thirds else {
            return Ok(Tensor { data: file.read(name, 0..values)?, shape });
        };
        let [from, to] = [from, to].map(usize::from);
        match shape.first_mut() {
            Some(rows) if rows.is_multiple_of(3) => *rows = *rows / 3 * (to - from),
            _ => return Err(Error::Weight { name: name.clone(), why: format!("{shape:?} has no thirds") }),
        }
        Ok(Tensor { data: file.read(name, values / 3 * from..values / 3 * to)?, shape })
    }
}

/// Puts rows behind rows, if there are any yet.
fn append(tensor: &mut Tensor, part: Tensor) -> Result<(), String> {
    if tensor.data.is_empty() {
        *tensor = part;
        return Ok(());
    }
    match (tensor.shape.split_first_mut(), part.shape.split_first()) {
        (Some((rows, row)), Some((more, other))) if row == other => *rows += more,
        _ => return Err(format!("its parts are {:?} and {:?}", tensor.shape, part.shape)),
    }
    tensor.data.extend(part.data);
    Ok(())
}
