//! Files that appear whole or not at all: written beside their place, then renamed.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use image::{ImageFormat, RgbImage};
use tempfile::NamedTempFile;

/// The exit code of a command that was interrupted, as shells have it.
const INTERRUPTED: i32 = 130;

/// A temporary file in the folder of `target`; it vanishes unless it is put in place, also when the command is
/// interrupted.
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
    let file =
        builder.tempfile_in(folder).with_context(|| format!("{}: cannot be written", target.display()))?;
    remove_when_interrupted(file.path().to_owned());
    Ok(file)
}

/// Ctrl-C, a hangup and a request to terminate end the command before it can tidy up.
fn remove_when_interrupted(path: PathBuf) {
    let interrupted = move || {
        _ = std::fs::remove_file(&path);
        std::process::exit(INTERRUPTED);
    };
    // Under `nohup` and the like a signal is ignored. That has to stay so, and is the error that this gives.
    if let Err(error) = ctrlc::try_set_handler(interrupted) {
        tracing::debug!("an interruption may leave a temporary file behind: {error}");
    }
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
