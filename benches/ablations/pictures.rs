//! The pictures that rows are compared on.

use std::fs::{self, File};
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use image::{DynamicImage, GrayImage};
use tome_wgpu::files::{fit, is_picture, load_image};
use tome_wgpu::vit::Config;

/// Pictures with their classes as far as they are known.
pub enum Pictures {
    /// Files, read when they are needed.
    Files(Vec<(PathBuf, Option<usize>)>),
    /// The digits that no training saw.
    Digits(Vec<(DynamicImage, usize)>),
}

/// The folder of the network that ships with the crate.
pub fn digits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/digits")
}

impl Pictures {
    pub fn of_digits() -> Result<Self> {
        const SIDE: u32 = 8;
        let path = digits().join("heldout.bin");
        let records = fs::read(&path).with_context(|| path.display().to_string())?;
        let picture = |record: &[u8]| {
            let (label, pixels) = record.split_last()?;
            Some((GrayImage::from_raw(SIDE, SIDE, pixels.to_vec())?.into(), usize::from(*label)))
        };
        let all: Option<_> = records.chunks_exact((SIDE * SIDE + 1) as usize).map(picture).collect();
        Ok(Pictures::Digits(all.with_context(|| format!("{}: no digits", path.display()))?))
    }

    /// Those of a folder and of the folders within, sorted by path; with `labelled` each folder's name is a class.
    pub fn of_folder(folder: &Path, config: &Config, labelled: bool) -> Result<Self> {
        let mut found = Vec::new();
        walk(folder, &mut found)?;
        ensure!(!found.is_empty(), "{}: no pictures in this folder", folder.display());
        found.sort();
        let with_class = |path: PathBuf| {
            let class = if labelled { Some(class(&path, config)?) } else { None };
            Ok((path, class))
        };
        Ok(Pictures::Files(found.into_iter().map(with_class).collect::<Result<_>>()?))
    }

    pub fn len(&self) -> usize {
        match self {
            Pictures::Files(files) => files.len(),
            Pictures::Digits(digits) => digits.len(),
        }
    }

    /// Some of them as the network's pixels, and their classes.
    pub fn some(&self, range: Range<usize>, config: &Config) -> Result<(Vec<u8>, Vec<Option<usize>>)> {
        let (mut pixels, mut classes) = (Vec::new(), Vec::new());
        for i in range {
            let (fitted, class) = match self {
                Pictures::Files(files) => (load_image(&files[i].0, config)?, files[i].1),
                Pictures::Digits(digits) => (fit(digits[i].0.clone(), config)?, Some(digits[i].1)),
            };
            pixels.extend_from_slice(fitted.as_bytes());
            classes.push(class);
        }
        Ok((pixels, classes))
    }
}

/// Links to folders are left alone, so that none leads in a circle.
fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let unreadable = || format!("{}: the folder cannot be read", folder.display());
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let (path, kind) = (entry.path(), entry.file_type().with_context(unreadable)?);
        if kind.is_dir() {
            walk(&path, found)?;
        } else if path.is_file() {
            let mut begin = Vec::new();
            let mut file = File::open(&path).with_context(|| path.display().to_string())?.take(16);
            file.read_to_end(&mut begin).with_context(|| path.display().to_string())?;
            if is_picture(&begin) {
                found.push(path);
            }
        }
    }
    Ok(())
}

/// The class that a picture's folder names: by its name in the network's files, or by its number.
fn class(path: &Path, config: &Config) -> Result<usize> {
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    if let Some(class) = config.labels.iter().position(|label| *label == folder) {
        return Ok(class);
    }
    match folder.parse::<usize>() {
        Ok(class) if class < config.num_classes as usize => Ok(class),
        _ => bail!(
            "{}: its folder `{folder}` names no class of the network, which has {}",
            path.display(),
            config.num_classes
        ),
    }
}
