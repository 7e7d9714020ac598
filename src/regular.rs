//! Files that are read whole: regular ones only, and no more of them than a bound.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Opens a file that must be a regular one: a pipe would be waited for, a device read for ever.
///
/// # Errors
/// Those of the system, and `InvalidInput` for what is no regular file.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let no_file = |kind: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("is {kind}"));
    let check = |about: std::fs::Metadata| match about {
        about if about.is_dir() => Err(no_file("a folder, no file")),
        about if !about.is_file() => Err(no_file("no regular file")),
        _ => Ok(()),
    };
    // Asked before as well: opening a device may have consequences.
    check(std::fs::metadata(path)?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    // What has become a pipe in between is opened without waiting for a writer.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(path)?;
    check(file.metadata()?)?;
    Ok(file)
}

/// A regular file's bytes, where there are no more than `most`.
///
/// # Errors
/// As [`open`], and `FileTooLarge`.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    // What grows while it is read is cut off one byte past the bound, which is too many.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    match length.max(bytes.len() as u64) > most {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("has more than {most} bytes"))),
        false => Ok(bytes),
    }
}
