//! A place for things that are kept from run to run and can be had again: compiled pipelines, verdicts on matrix units,
//! tunings.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::NamedTempFile;

use crate::regular;

/// Moves the user's folder; empty, it turns it off.
const FOLDER: &str = "TOME_CACHE_DIR";

/// A place for compiled pipelines, verdicts on matrix units and tunings, each under a name of its own. Cloning shares
/// it. Nothing that goes wrong with it keeps a network from running: what is not kept is made again.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Store {
    /// Files in a folder, which is made when something is kept.
    Folder(PathBuf),
    /// The memory of this process.
    Memory(Arc<Mutex<BTreeMap<String, Vec<u8>>>>),
    /// Nowhere.
    #[default]
    Nothing,
}

impl Store {
    /// The user's: `tome-wgpu` in the cache folder (`~/.cache` on Linux), or the folder that the environment variable
    /// `TOME_CACHE_DIR` names, or nothing if that is empty.
    pub fn user() -> Self {
        match env::var_os(FOLDER) {
            Some(folder) if folder.is_empty() => Store::Nothing,
            Some(folder) => Store::Folder(folder.into()),
            None => dirs::cache_dir().map_or(Store::Nothing, |cache| Store::Folder(cache.join("tome-wgpu"))),
        }
    }

    /// An empty one in memory.
    pub fn memory() -> Self {
        Store::Memory(Arc::default())
    }

    /// The place of what has a name, for people.
    pub(crate) fn place(&self, name: &str) -> String {
        match self {
            Store::Folder(folder) => folder.join(name).display().to_string(),
            Store::Memory(_) => format!("{name} in memory"),
            Store::Nothing => FOLDER.into(),
        }
    }

    /// The bytes that are kept under a name.
    pub(crate) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        match self {
            Store::Folder(folder) => {
                let path = folder.join(name);
                check_owner(&path)?;
                regular::read(&path, MOST_BYTES)
            }
            Store::Memory(kept) => lock(kept).get(name).cloned().ok_or_else(|| nothing("nothing is kept")),
            Store::Nothing => Err(nothing("there is no folder for it")),
        }
    }

    /// Keeps parts, one behind the other, in the place of what was kept under the name.
    pub(crate) fn write(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        match self {
            Store::Folder(folder) => write(&folder.join(name), parts),
            Store::Memory(kept) => {
                lock(kept).insert(name.into(), parts.concat());
                Ok(())
            }
            Store::Nothing => Err(nothing("there is no folder for it")),
        }
    }

    /// Removes what is kept under a name; says whether there was anything.
    pub(crate) fn remove(&self, name: &str) -> io::Result<bool> {
        match self {
            Store::Folder(folder) => match fs::remove_file(folder.join(name)) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                Err(error) => Err(error),
            },
            Store::Memory(kept) => Ok(lock(kept).remove(name).is_some()),
            Store::Nothing => Err(nothing("there is no folder for it")),
        }
    }
}

/// The most bytes of something that is kept: ten times the largest cache of pipelines seen.
const MOST_BYTES: u64 = 1 << 28;

/// What is kept goes to drivers, which trust it: it must be this user's (or root's), and nobody else's to write.
#[cfg(unix)]
fn check_owner(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let about = fs::metadata(path)?;
    // SAFETY: it reads a number of the process and cannot fail.
    let own = unsafe { libc::geteuid() };
    let foreign = about.uid() != own && about.uid() != 0;
    if foreign || about.mode() & 0o022 != 0 {
        let why = if foreign { "belongs to another user" } else { "can be written by other users" };
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("it {why}, and is not trusted")));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_owner(_: &Path) -> io::Result<()> {
    Ok(())
}

/// FNV-1a: against accidents, not against malice.
pub(crate) fn checksum(data: &[u8]) -> u64 {
    data.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Written beside its place, then renamed, so that nobody reads half of it.
fn write(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    parts.iter().try_for_each(|part| file.write_all(part))?;
    file.persist(path)?;
    Ok(())
}

fn nothing(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, why)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_others_may_have_written_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::Folder(folder.path().into());
        store.write("kept", &[b"pipe", b"lines"]).unwrap();
        assert_eq!(store.read("kept").unwrap(), b"pipelines");
        for mode in [0o666, 0o620, 0o602] {
            fs::set_permissions(folder.path().join("kept"), fs::Permissions::from_mode(mode)).unwrap();
            let refused = store.read("kept").unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "{mode:o}: {refused}");
        }
        // What is no file is not waited for.
        std::os::unix::fs::symlink("/dev/zero", folder.path().join("endless")).unwrap();
        assert!(store.read("endless").is_err());
        fs::create_dir_all(folder.path().join("folder")).unwrap();
        assert!(store.read("folder").is_err());
    }
}
