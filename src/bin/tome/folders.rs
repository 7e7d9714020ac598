//! The pictures that paths name: files as they are, folders as the pictures in them.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tome_wgpu::files::is_picture;

use crate::text::shown;

/// Endings by which a file is meant to be a picture, whatever is in it. Others are known by their content.
const SUFFIXES: [&str; 20] = [
    "png", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm", "pbm", "pnm",
    "avif", "heic", "heif", "jp2", "jxl", "dib",
];

/// Files as they are, which must exist; folders as the pictures in them, sorted by name, with `recursive` those in the
/// folders within too. Says what is left out.
pub fn pictures(paths: &[PathBuf], recursive: bool) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in paths {
        if !path.is_dir() {
            if path.as_os_str() != "-" {
                path.metadata().with_context(|| format!("{}: cannot be read", shown(path)))?;
            }
            all.push(path.clone());
            continue;
        }
        let mut walk = Walk { recursive, ..Walk::default() };
        walk.folder(path)?;
        walk.report(path);
        if walk.found.is_empty() {
            bail!("{}: no pictures in this folder{}", shown(path), walk.hint());
        }
        all.append(&mut walk.found);
    }
    Ok(all)
}

/// The pictures in a folder and the folders within, of which there may be none. Says what is left out.
pub fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut walk = Walk { recursive: true, ..Walk::default() };
    walk.folder(folder)?;
    walk.report(folder);
    Ok(walk.found)
}

/// What is found on the way.
#[derive(Default)]
struct Walk {
    recursive: bool,
    found: Vec<PathBuf>,
    /// Files that are no pictures, and folders that are not looked into.
    left_out: Vec<PathBuf>,
    folders: usize,
    /// Folders as the system knows them, so that links in a circle end.
    seen: HashSet<PathBuf>,
}

impl Walk {
    fn folder(&mut self, folder: &Path) -> Result<()> {
        let unreadable = || format!("{}: the folder cannot be read", shown(folder));
        if !self.seen.insert(folder.canonicalize().with_context(unreadable)?) {
            return Ok(());
        }
        let entries = std::fs::read_dir(folder).with_context(unreadable)?;
        let entries: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
        let mut entries = entries.with_context(unreadable)?;
        entries.sort();
        for path in entries {
            if path.is_dir() {
                match self.recursive {
                    true => self.folder(&path)?,
                    false => {
                        self.folders += 1;
                        self.left_out.push(path);
                    }
                }
            } else if is_meant(&path) || has_picture(&path) {
                self.found.push(path);
            } else {
                self.left_out.push(path);
            }
        }
        Ok(())
    }

    fn report(&self, folder: &Path) {
        for path in &self.left_out {
            tracing::debug!("left out: {}", shown(path));
        }
        let files = self.left_out.len() - self.folders;
        if files > 0 {
            tracing::info!(
                "{}: {files} files that are no pictures are left out; -v names them",
                shown(folder)
            );
        }
        if self.folders > 0 {
            tracing::info!(
                "{}: {} folders in it are left out; --recursive takes them",
                shown(folder),
                self.folders
            );
        }
    }

    fn hint(&self) -> &'static str {
        if self.folders > 0 { "; --recursive looks into those in it" } else { "" }
    }
}

fn is_meant(path: &Path) -> bool {
    let suffix = path.extension().map(|suffix| suffix.to_string_lossy().to_lowercase());
    suffix.is_some_and(|suffix| SUFFIXES.contains(&suffix.as_str()))
}

fn has_picture(path: &Path) -> bool {
    // Nothing but a regular file is opened: a pipe would be waited for.
    let regular = path.metadata().is_ok_and(|about| about.is_file());
    let mut begin = Vec::new();
    let mut read = || File::open(path)?.take(16).read_to_end(&mut begin);
    regular && read().is_ok() && is_picture(&begin)
}
