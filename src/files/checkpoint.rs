//! A network's tensors as they lie in its files.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::TensorReader;
use super::model_files::Bytes;
use super::names::{Layout, Part, Source};
use super::settle::far;
use super::shards::{Home, Shards};
use crate::error::{Error, Result};
use crate::vit::tensors::missing;
use crate::vit::{Config, Tensor, TensorData, Tensors, Weights, positions};

/// A network's tensors by timm's names, still in their files, in the type that they have there: of what was loaded only
/// the headers have been read. [`Tensors::tensor`] reads one tensor, [`Checkpoint::read_all`] all of them.
pub struct Checkpoint {
    files: Vec<Mutex<TensorReader<Box<dyn Bytes>>>>,
    tensors: BTreeMap<String, Entry>,
    warnings: Vec<String>,
    /// Positions as the files have them, and their grid, where the network's were made of them.
    table: Option<(Tensor, [u32; 2])>,
}

enum Entry {
    /// In memory: a small tensor that is not as the files have it.
    Here(Tensor),
    /// Rows put together from the files.
    There { shape: Vec<usize>, stretches: Vec<Stretch> },
}

/// Values of a tensor in a file.
struct Stretch {
    file: usize,
    name: String,
    values: Range<usize>,
    /// Zeros in their places.
    zeros: bool,
}

impl Checkpoint {
    /// The tensors of a layout under timm's names; none is read.
    ///
    /// # Errors
    /// [`Error::Weight`] for a tensor of a type that is not read or parts that do not fit together.
    pub(super) fn new(shards: Shards, layout: &Layout) -> Result<Self> {
        let mut tensors = BTreeMap::new();
        for (name, sources) in layout.assemble(shards.names())? {
            tensors.insert(name.clone(), together(&shards, &name, sources)?);
        }
        let files = shards.files.into_iter().map(Mutex::new).collect();
        Ok(Checkpoint { files, tensors, warnings: Vec::new(), table: None })
    }

    /// What was guessed or stretched while the network was loaded, a sentence each. Whoever shows messages says them: a
    /// network that is prepared wrongly gives wrong results.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Has something said by [`warnings`](Self::warnings).
    pub(super) fn warn(&mut self, what: impl Into<String>) {
        self.warnings.push(what.into());
    }

    /// What a tensor is called in the files, where it lies in one.
    pub(super) fn name_in_files(&self, name: &str) -> Option<&str> {
        match self.tensors.get(name)? {
            Entry::There { stretches, .. } => stretches.first().map(|stretch| &stretch.name[..]),
            Entry::Here(_) => None,
        }
    }

    /// All tensors, in memory.
    ///
    /// # Errors
    /// [`Error::File`] where reading fails.
    pub fn read_all(&self) -> Result<Weights> {
        let mut weights = Weights::new();
        for name in self.tensors.keys() {
            weights.insert(name.clone(), self.tensor(name)?.into_owned());
        }
        Ok(weights)
    }

    /// Makes the network one for images of another size; see [`Weights::resample_positions`], which does the same in
    /// memory (but for timm's NaFlexVit, whose own table only the checkpoint has). The files stay as they are.
    ///
    /// # Errors
    /// As there, and [`Error::File`] where the positions cannot be read.
    pub fn resample_positions(&mut self, config: &mut Config, image_size: [u32; 2]) -> Result<()> {
        let (other, changed) = positions::resampled(self, config, image_size)?;
        self.warnings.extend(far(config.grid(), other.grid()));
        changed.into_iter().for_each(|(name, tensor)| self.insert(&name, tensor));
        if let Some((table, grid)) = &self.table {
            let positions = positions::regrid(table, config, *grid, other.grid())?;
            self.insert(positions::POSITIONS, positions);
        }
        *config = other;
        Ok(())
    }

    /// Makes the network's positions of a table of a grid, and does so again whenever images are of another size.
    pub(super) fn positions_of(&mut self, table: Tensor, grid: [u32; 2], config: &Config) -> Result<()> {
        self.insert(positions::POSITIONS, positions::regrid(&table, config, grid, config.grid())?);
        self.warnings.extend(far(grid, config.grid()));
        self.table = Some((table, grid));
        Ok(())
    }

    /// Puts a tensor in the place of the files' of that name.
    pub(super) fn insert(&mut self, name: &str, tensor: Tensor) {
        self.tensors.insert(name.into(), Entry::Here(tensor));
    }

    /// Reads a tensor and takes it out.
    ///
    /// # Errors
    /// [`Error::Weight`] where there is none, [`Error::File`] where reading fails.
    pub(super) fn take(&mut self, name: &str) -> Result<Tensor> {
        let tensor = self.tensor(name)?.into_owned();
        self.tensors.remove(name);
        Ok(tensor)
    }

    /// Calls a tensor otherwise, where there is one of this name.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        if let Some(entry) = self.tensors.remove(from) {
            self.tensors.insert(to.into(), entry);
        }
    }

    /// The shape of a tensor, to be changed; its values stay as they are.
    pub(super) fn shape_mut(&mut self, name: &str) -> Option<&mut Vec<usize>> {
        self.tensors.get_mut(name).map(|entry| match entry {
            Entry::Here(Tensor { shape, .. }) | Entry::There { shape, .. } => shape,
        })
    }

    fn read(&self, Stretch { file, name, values, zeros }: &Stretch) -> Result<TensorData> {
        if *zeros {
            return Ok(vec![0.0; values.len()].into());
        }
        // A panic of another reader leaves nothing half done: each seeks first.
        let mut file = self.files[*file].lock().unwrap_or_else(PoisonError::into_inner);
        file.read(name, values.clone())
    }
}

/// Which rows of a tensor are a part of it.
fn rows(shards: &Shards, name: &str, shape: &[usize], part: Part) -> Result<Range<usize>> {
    let all = shape.first().copied().unwrap_or(1);
    let wrong = |why: String| Err(Error::Weight { name: name.into(), why });
    // A bias has the columns of its weight.
    let weight = name.strip_suffix("bias").map(|stem| format!("{stem}weight"));
    let columns = shape.get(1).or_else(|| shards.shape(weight.as_deref()?)?.get(1));
    let of_qkv = columns.and_then(|columns| columns.checked_mul(3)).filter(|&rows| rows <= all);
    match (part, of_qkv) {
        (Part::Whole | Part::Nth(_), _) => Ok(0..all),
        (Part::Thirds(from, to), _) if all.is_multiple_of(3) => {
            Ok(all / 3 * usize::from(from)..all / 3 * usize::from(to))
        }
        (Part::Thirds(..), _) => wrong(format!("{shape:?} has no thirds")),
        (Part::BeforeQkv, Some(of_qkv)) => Ok(0..all - of_qkv),
        (Part::Qkv, Some(of_qkv)) => Ok(all - of_qkv..all),
        (Part::BeforeQkv | Part::Qkv, None) => wrong(format!("{shape:?} has no rows for q, k and v")),
    }
}

/// A tensor that is put together from several, or from stretches of them.
fn together(shards: &Shards, name: &str, sources: Vec<Source>) -> Result<Entry> {
    let mut whole: Vec<usize> = Vec::new();
    let mut stretches = Vec::new();
    for Source { name: source, part, zeros } in sources {
        let Home { file, name: ref source } = shards.home[&source];
        shards.files[file].check_type(source)?;
        let mut shape = shards.files[file].shape(source)?.to_vec();
        let rows = rows(shards, source, &shape, part)?;
        let row: usize = shape.iter().skip(1).product();
        let values = rows.start * row..rows.end * row;
        if let Some(count) = shape.first_mut() {
            *count = rows.len();
        }
        // Rows behind rows, if there are any yet.
        if stretches.is_empty() {
            whole = shape;
        } else {
            match (whole.split_first_mut(), shape.split_first()) {
                (Some((rows, row)), Some((more, other)))
                    if row == other && rows.checked_add(*more).is_some() =>
                {
                    *rows += more;
                }
                _ => {
                    let why = format!("its parts are {whole:?} and {shape:?}");
                    return Err(Error::Weight { name: name.into(), why });
                }
            }
        }
        stretches.push(Stretch { file, name: source.clone(), values, zeros });
    }
    Ok(Entry::There { shape: whole, stretches })
}

impl Tensors for Checkpoint {
    fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|entry| match entry {
            Entry::Here(Tensor { shape, .. }) | Entry::There { shape, .. } => &shape[..],
        })
    }

    fn tensor(&self, name: &str) -> Result<Cow<'_, Tensor>> {
        match self.tensors.get(name).ok_or_else(|| missing(name))? {
            Entry::Here(tensor) => Ok(Cow::Borrowed(tensor)),
            Entry::There { shape, stretches } => {
                let parts = stretches.iter().map(|stretch| self.read(stretch));
                let data = parts.reduce(|whole, part| Ok(whole?.followed_by(part?)));
                Ok(Cow::Owned(Tensor::new(&shape[..], data.ok_or_else(|| missing(name))??)))
            }
        }
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint").field("tensors", &self.tensors.keys()).finish_non_exhaustive()
    }
}
