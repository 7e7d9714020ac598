//! Files that appear whole or not at all: written beside their place, then renamed.

use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};

use anyhow::{Context, Result, bail};
use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, DynamicImage, Frame, ImageFormat, RgbImage};
use tempfile::NamedTempFile;

use crate::text::shown;

/// The exit code of a command that was interrupted, as shells have it.
const INTERRUPTED: i32 = 130;

/// A temporary file in the folder of `target`, whose name it bears; it vanishes unless it is put in place, also when the
/// command is interrupted. What earlier runs for the same target have left that were killed is removed.
pub fn beside(target: &Path) -> Result<NamedTempFile> {
    if target.is_dir() {
        bail!("{}: cannot be written: it is a folder", shown(target));
    }
    // Renaming onto a device such as /dev/null would replace it.
    if target.exists() && !target.is_file() {
        bail!("{}: cannot be written: it is no regular file", shown(target));
    }
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let unwritable = || format!("{}: cannot be written", shown(target));
    let mut prefix = OsString::from(".");
    prefix.push(target.file_name().with_context(unwritable)?);
    prefix.push(".");
    remove_left(folder, &prefix);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(SUFFIX);
    // Readable as any new file, not for its owner alone.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    for _ in 0..TRIES {
        let file = builder.tempfile_in(folder).with_context(unwritable)?;
        // Held as long as the file is open, so that others know that somebody writes it; some file systems know no locks.
        let locked = file.as_file().try_lock();
        // Another run may have taken it for abandoned before it was locked.
        if !matches!(locked, Err(TryLockError::WouldBlock)) && file.path().exists() {
            remove_when_interrupted(file.path().to_owned());
            return Ok(file);
        }
    }
    bail!("{}: cannot be written: temporary files beside it disappear", shown(target))
}

/// Times that a temporary file is made anew where other runs remove it.
const TRIES: u32 = 32;

/// The ending of temporary files.
const SUFFIX: &str = ".tome";

/// Removes temporary files that nobody writes any more.
fn remove_left(folder: &Path, prefix: &OsStr) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        if !name.starts_with(prefix.as_encoded_bytes())
            || !name.ends_with(SUFFIX.as_bytes())
            || !path.is_file()
        {
            continue;
        }
        // Locked until it is removed, so that nobody takes it meanwhile.
        let abandoned = File::open(&path).ok().filter(|file| file.try_lock().is_ok());
        if abandoned.is_some() && std::fs::remove_file(&path).is_ok() {
            tracing::info!("{}: left by a run that was killed, removed", shown(&path));
        }
    }
}

/// The temporary files of this process.
static TEMPORARY: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Ctrl-C, a hangup and a request to terminate end the command before it can tidy up.
fn remove_when_interrupted(path: PathBuf) {
    let files = || TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner);
    files().push(path);
    let interrupted = move || {
        for path in files().iter() {
            _ = std::fs::remove_file(path);
        }
        std::process::exit(INTERRUPTED);
    };
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Under `nohup` and the like a signal is ignored. That has to stay so, and is the error that this gives.
        if let Err(error) = ctrlc::try_set_handler(interrupted) {
            tracing::debug!("an interruption may leave a temporary file behind: {error}");
        }
    });
}

/// Puts a finished file in its place.
pub fn put(file: NamedTempFile, target: &Path) -> Result<()> {
    file.persist(target).map(drop).with_context(|| format!("{}: cannot be written", shown(target)))
}

/// Between two frames.
const DELAY_MS: u16 = 120;

/// Writes frames of one size as a GIF that begins anew without end into a file from [`beside`] and puts it in its place.
pub fn put_gif(frames: &[RgbImage], mut file: NamedTempFile, target: &Path) -> Result<()> {
    let unwritten = || format!("{}: cannot be written", shown(target));
    let mut gif = Vec::new();
    let mut encoder = GifEncoder::new(&mut gif);
    encoder.set_repeat(Repeat::Infinite).with_context(unwritten)?;
    let delay = Delay::from_numer_denom_ms(DELAY_MS.into(), 1);
    for frame in frames {
        let pixels = DynamicImage::from(frame.clone()).into_rgba8();
        encoder.encode_frame(Frame::from_parts(pixels, 0, 0, delay)).with_context(unwritten)?;
    }
    drop(encoder);
    file.write_all(&gif).with_context(unwritten)?;
    put(file, target)
}

/// The same as an animated PNG.
pub fn put_apng(frames: &[RgbImage], mut file: NamedTempFile, target: &Path) -> Result<()> {
    let unwritten = || format!("{}: cannot be written", shown(target));
    let (width, height) = frames.first().map_or((0, 0), RgbImage::dimensions);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_animated(frames.len() as u32, 0).with_context(unwritten)?;
    encoder.set_frame_delay(DELAY_MS, 1000).with_context(unwritten)?;
    let mut writer = encoder.write_header().with_context(unwritten)?;
    for frame in frames {
        writer.write_image_data(frame).with_context(unwritten)?;
    }
    writer.finish().with_context(unwritten)?;
    file.write_all(&bytes).with_context(unwritten)?;
    put(file, target)
}

/// Writes a picture as PNG into a file from [`beside`] and puts it in its place.
pub fn put_png(picture: &RgbImage, mut file: NamedTempFile, target: &Path) -> Result<()> {
    let unwritten = || format!("{}: cannot be written", shown(target));
    // The encoder takes many small steps; the picture is small.
    let mut png = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png).with_context(unwritten)?;
    file.write_all(png.get_ref()).with_context(unwritten)?;
    put(file, target)
}
