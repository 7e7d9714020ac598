//! The pictures of an evaluation and what they are labelled as.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};

use crate::folders::{self, Kind};
use crate::text::shown;
use crate::{imagenet, truth};

/// Where labels come from.
#[derive(Clone, Debug, PartialEq)]
pub enum LabelSource {
    /// The folder that a picture is in, of those directly in the images' folder.
    Folders,
    /// A table of paths and labels.
    Csv(PathBuf),
    /// ImageNet's folders of synsets, or with a file its validation pictures in one folder.
    ImageNet(Option<PathBuf>),
}

impl FromStr for LabelSource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match (text, text.strip_prefix("imagenet:")) {
            ("folder-names", _) => LabelSource::Folders,
            ("imagenet", _) => LabelSource::ImageNet(None),
            (_, Some(file)) => LabelSource::ImageNet(Some(file.into())),
            (_, None) => LabelSource::Csv(text.into()),
        })
    }
}

/// Pictures in order.
pub struct Labelled {
    pub paths: Vec<PathBuf>,
    /// Of each picture, as it is written; none where there are no labels.
    pub names: Option<Vec<String>>,
    /// All there are, sorted: those of folders also where a folder is empty.
    pub classes: Vec<String>,
}

impl Labelled {
    /// The pictures of a folder and their labels.
    pub fn open(folder: &Path, source: Option<&LabelSource>, recursive: bool, kind: Kind) -> Result<Self> {
        if !folder.is_dir() {
            bail!("{}: is no folder; --images wants a folder of pictures", shown(folder));
        }
        match source {
            None => {
                let paths = folders::inputs(&[folder.into()], recursive, kind)?;
                Ok(Labelled { paths, names: None, classes: Vec::new() })
            }
            Some(LabelSource::Folders) => by_folder(folder, kind),
            Some(LabelSource::Csv(table)) => by_table(folder, table),
            Some(LabelSource::ImageNet(None)) => {
                let labelled = by_folder(folder, kind)?;
                match labelled.classes.iter().find(|name| !imagenet::is_synset(name)) {
                    Some(other) => bail!(
                        "{}: the folder `{other}` is no synset such as n01440764; ImageNet's pictures in one folder want \
                         their labels, --labels imagenet:FILE",
                        shown(folder)
                    ),
                    None => Ok(labelled),
                }
            }
            Some(LabelSource::ImageNet(Some(file))) => {
                let paths = folders::inputs(&[folder.into()], recursive, kind)?;
                let names = truth::labels(file, &paths)?;
                Ok(Labelled::named(paths, names))
            }
        }
    }

    fn named(paths: Vec<PathBuf>, names: Vec<String>) -> Self {
        let mut classes = names.clone();
        classes.sort_unstable();
        classes.dedup();
        Labelled { paths, names: Some(names), classes }
    }

    /// So many of the pictures, evenly from first to last.
    pub fn limit(&mut self, most: usize) {
        let count = self.paths.len();
        if most >= count {
            return;
        }
        let kept = |i: usize| i * count / most;
        self.paths = (0..most).map(|i| self.paths[kept(i)].clone()).collect();
        if let Some(names) = &mut self.names {
            *names = (0..most).map(|i| names[kept(i)].clone()).collect();
        }
    }
}

/// The folders in a folder are the classes.
fn by_folder(folder: &Path, kind: Kind) -> Result<Labelled> {
    let unreadable = || format!("{}: the folder cannot be read", shown(folder));
    let mut classes = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        // Programs keep things of their own in folders with a dot.
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.is_dir() && !hidden {
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.with_context(|| format!("{}: no class has a name like that", shown(&path)))?;
            classes.push(name.to_owned());
        }
    }
    if classes.is_empty() {
        bail!("{}: has no folders in it, and their names are to be the labels", shown(folder));
    }
    classes.sort_unstable();
    let (mut paths, mut names) = (Vec::new(), Vec::new());
    for class in &classes {
        let found = folders::inputs_in(&folder.join(class), kind)?;
        names.resize(names.len() + found.len(), class.clone());
        paths.extend(found);
    }
    if paths.is_empty() {
        bail!("{}: no {} in the folders in it", shown(folder), kind.name());
    }
    Ok(Labelled { paths, names: Some(names), classes })
}

/// What a header may call its columns.
const HEADERS: [&[&str]; 2] = [
    &["path", "image", "file", "filename", "file_name", "image_path", "name"],
    &["label", "class", "target", "category", "labels", "class_name", "class_id"],
];

/// A line a picture: its path from the folder on, and its label.
fn by_table(folder: &Path, table: &Path) -> Result<Labelled> {
    let name = shown(table);
    let unreadable = || format!("{name}: the table of labels cannot be read");
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_path(table)
        .with_context(unreadable)?;
    let (mut paths, mut names) = (Vec::new(), Vec::new());
    let mut lines: HashMap<PathBuf, u64> = HashMap::new();
    for (at, record) in reader.records().enumerate() {
        let record = record.with_context(unreadable)?;
        let line = record.position().map_or(0, csv::Position::line);
        let fields: Vec<&str> = record.iter().collect();
        let &[path, label] = fields.as_slice() else {
            bail!("{name}: line {line} has {} fields, and should have two, path and label", fields.len());
        };
        let path = path.trim_start_matches('\u{feff}');
        let known = |column: usize, field: &str| HEADERS[column].contains(&field.to_lowercase().as_str());
        if at == 0 && known(0, path) && known(1, label) {
            continue;
        }
        if label.is_empty() {
            bail!("{name}: line {line}: `{path}` has no label");
        }
        let path = folder.join(path);
        if !path.is_file() {
            bail!("{name}: line {line}: {} is no file; paths are read from --images on", shown(&path));
        }
        if let Some(before) = lines.insert(path.clone(), line) {
            bail!("{name}: line {line}: {} stands in line {before} already", shown(&path));
        }
        paths.push(path);
        names.push(label.to_owned());
    }
    if paths.is_empty() {
        bail!("{name}: has no pictures in it");
    }
    Ok(Labelled::named(paths, names))
}
