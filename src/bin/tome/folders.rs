//! The pictures, sounds or clips that paths name: files as they are, folders as those in them.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tome_wgpu::files::{is_animated, is_picture, is_sound};
use tome_wgpu::vit::Config;

use crate::text::shown;

/// Endings by which a file is meant to be a picture, whatever is in it. Others are known by their content.
const SUFFIXES: [&str; 20] = [
    "png", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm", "pbm", "pnm",
    "avif", "heic", "heif", "jp2", "jxl", "dib",
];

/// The same for sounds.
const SOUNDS: [&str; 11] = ["wav", "wave", "flac", "ogg", "oga", "mp3", "m4a", "aac", "opus", "aif", "aiff"];

/// What a network is shown.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Pictures,
    Sounds,
    /// Animated pictures, and folders of which each picture is a frame.
    Clips,
}

impl Kind {
    pub fn of(config: &Config) -> Self {
        match (&config.sound, config.frames) {
            (Some(_), _) => Kind::Sounds,
            (None, 1) => Kind::Pictures,
            (None, _) => Kind::Clips,
        }
    }

    /// Several of them, in words.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Pictures => "pictures",
            Kind::Sounds => "sounds",
            Kind::Clips => "clips",
        }
    }
}

/// Files as they are, which must exist; folders as the inputs of a kind in them, sorted by name, with `recursive` those in the
/// folders within too. Says what is left out.
pub fn inputs(paths: &[PathBuf], recursive: bool, kind: Kind) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in paths {
        if !path.is_dir() {
            if path.as_os_str() != "-" {
                path.metadata().with_context(|| format!("{}: cannot be read", shown(path)))?;
            }
            all.push(path.clone());
            continue;
        }
        let mut walk = Walk::new(recursive, kind);
        walk.folder(path)?;
        walk.report(path);
        if walk.found.is_empty() {
            bail!("{}: no {} in this folder{}", shown(path), kind.name(), walk.hint());
        }
        all.append(&mut walk.found);
    }
    Ok(all)
}

/// The inputs of a kind in a folder and the folders within, of which there may be none. Says what is left out.
pub fn inputs_in(folder: &Path, kind: Kind) -> Result<Vec<PathBuf>> {
    let mut walk = Walk::new(true, kind);
    walk.folder(folder)?;
    walk.report(folder);
    Ok(walk.found)
}

/// What is found on the way.
struct Walk {
    recursive: bool,
    kind: Kind,
    found: Vec<PathBuf>,
    /// Files that are no pictures, and folders that are not looked into.
    left_out: Vec<PathBuf>,
    folders: usize,
    /// Folders as the system knows them, so that links in a circle end.
    seen: HashSet<PathBuf>,
}

impl Walk {
    fn new(recursive: bool, kind: Kind) -> Self {
        Walk { recursive, kind, found: Vec::new(), left_out: Vec::new(), folders: 0, seen: HashSet::new() }
    }

    fn folder(&mut self, folder: &Path) -> Result<()> {
        let unreadable = || format!("{}: the folder cannot be read", shown(folder));
        if !self.seen.insert(folder.canonicalize().with_context(unreadable)?) {
            return Ok(());
        }
        let entries = std::fs::read_dir(folder).with_context(unreadable)?;
        let entries: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
        let mut entries = entries.with_context(unreadable)?;
        entries.sort();
        let (before, mut frames) = (self.found.len(), 0);
        for path in entries {
            if path.is_dir() {
                match self.recursive {
                    true => self.folder(&path)?,
                    false => {
                        self.folders += 1;
                        self.left_out.push(path);
                    }
                }
            } else {
                match self.kind {
                    Kind::Pictures if is_meant(&path) || has_picture(&path) => self.found.push(path),
                    Kind::Sounds if is_meant_as_sound(&path) || begins(&path, is_sound) => {
                        self.found.push(path)
                    }
                    Kind::Clips if begins(&path, is_picture) && moves(&path) => self.found.push(path),
                    Kind::Clips if begins(&path, is_picture) => frames += 1,
                    _ => self.left_out.push(path),
                }
            }
        }
        self.frames(folder, frames, before)
    }

    /// A folder with single pictures is a clip.
    fn frames(&mut self, folder: &Path, frames: usize, before: usize) -> Result<()> {
        let clips = self.found[before..].iter().filter(|path| path.parent() == Some(folder)).count();
        match (frames, clips) {
            (0, _) => {}
            (_, 0) => self.found.push(folder.into()),
            _ => bail!(
                "{}: holds {frames} single pictures and {clips} animated ones; a folder is one clip, of which each picture is a \
                 frame, or holds clips",
                shown(folder)
            ),
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
                "{}: {files} files that are no {} are left out; -v names them",
                shown(folder),
                self.kind.name()
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
    has_suffix(path, &SUFFIXES)
}

fn is_meant_as_sound(path: &Path) -> bool {
    has_suffix(path, &SOUNDS)
}

fn has_suffix(path: &Path, suffixes: &[&str]) -> bool {
    let suffix = path.extension().map(|suffix| suffix.to_string_lossy().to_lowercase());
    suffix.is_some_and(|suffix| suffixes.contains(&suffix.as_str()))
}

fn has_picture(path: &Path) -> bool {
    begins(path, is_picture)
}

/// Whether a file begins as a kind does.
fn begins(path: &Path, kind: impl Fn(&[u8]) -> bool) -> bool {
    // Nothing but a regular file is opened: a pipe would be waited for.
    let regular = path.metadata().is_ok_and(|about| about.is_file());
    let mut begin = Vec::new();
    let mut read = || File::open(path)?.take(16).read_to_end(&mut begin);
    regular && read().is_ok() && kind(&begin)
}

/// Whether a picture file is animated, by as much of it as says so of any but strange ones.
fn moves(path: &Path) -> bool {
    let mut begin = Vec::new();
    let mut read = || File::open(path)?.take(1 << 20).read_to_end(&mut begin);
    read().is_ok() && is_animated(&begin)
}
