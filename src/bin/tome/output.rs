//! Files that appear whole or not at all: written beside their place, then renamed.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use image::{ImageFormat, RgbImage};
use tempfile::NamedTempFile;

/// A temporary file in the folder of `target`; it vanishes unless it is put in place.
pub fn beside(target: &Path) -> Result<NamedTempFile> {
    if target.is_dir() {
        bail!("{}: cannot be written: it is a folder", target.display());
    }
    // Renaming onto a device such as /dev/null would replace it.
    if target.exists() && !target.is_file() {
        bail!("{}: cannot be written: it is no regular file", target.display());
    }
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tome-");
    // Readable as any new file, not for its owner alone.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder).with_context(|| format!("{}: cannot be written", target.display()))
}

/// Puts a finished file in its place.
pub fn put(file: NamedTempFile, target: &Path) -> Result<()> {
    file.persist(target).map(drop).with_context(|| format!("{}: cannot be written", target.display()))
}

/// Writes a picture as PNG into a file from [`beside`] and puts it in its place.
pub fn put_png(picture: &RgbImage, mut file: NamedTempFile, target: &Path) -> Result<()> {
    let unwritten = || format!("{}: cannot be written", target.display());
    // The encoder takes many small steps; the picture is small.
    let mut png = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png).with_context(unwritten)?;
    file.write_all(png.get_ref()).with_context(unwritten)?;
    put(file, target)
}
