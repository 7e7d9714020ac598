//! A model in the cache, laid out as the hub's own library does: files under their hashes, snapshots of commits that
//! link to them, and notes of which branch or tag is which commit.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::super::ModelFiles;
use super::super::model_files::{CONFIG, INDEX, OPEN_CLIP, OPEN_CLIP_WEIGHTS, WEIGHTS};
use super::super::shards::named_in;
use super::client::{is_commit, is_hash};
use super::hearing::{Fetching, Hear};
use super::{Result, environment};
use crate::regular;

/// Between two looks whether another download has ended.
const AGAIN: Duration = Duration::from_millis(100);

/// Where a model is in the cache.
pub(super) struct Cached {
    folder: PathBuf,
    /// Held by whoever downloads.
    lock: PathBuf,
}

impl Cached {
    /// `id` is a checked `OWNER/NAME`.
    pub fn new(cache: &Path, id: &str) -> Self {
        let name = format!("models--{}", id.replace('/', "--"));
        Cached { lock: cache.join(".locks").join(&name).join("tome.lock"), folder: cache.join(name) }
    }

    /// The snapshot of a revision, if it is a whole network.
    pub fn whole(&self, revision: &str) -> Option<PathBuf> {
        // A branch or tag has a note of its commit; a commit names its snapshot itself.
        let mut note = String::new();
        let noted = regular::open(&self.folder.join("refs").join(revision));
        let read = noted.and_then(|file| file.take(64).read_to_string(&mut note)).is_ok();
        let commit = if read { note.trim() } else { revision };
        if !is_commit(commit) {
            return None;
        }
        let folder = self.snapshot(commit);
        self.mend(&folder, commit);
        let has = |file: &str| folder.join(file).exists();
        let sharded = || shards(&folder).is_ok_and(|all| all.iter().all(|shard| has(shard)));
        let configured = has(CONFIG) || has(OPEN_CLIP) || self.absent(commit, CONFIG).exists();
        (configured && (has(WEIGHTS) || has(OPEN_CLIP_WEIGHTS) || sharded())).then_some(folder)
    }

    /// Makes links of a snapshot's files that hold but their text, as they do once archives or git have carried a cache to
    /// where there are no links.
    fn mend(&self, folder: &Path, commit: &str) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let is_short = entry.metadata().is_ok_and(|is| is.is_file() && is.len() < 80);
            let text = if is_short { fs::read_to_string(entry.path()).unwrap_or_default() } else { continue };
            let blob =
                text.strip_prefix("../../blobs/").filter(|name| is_hash(name) && self.blob(name).is_file());
            if let (Some(blob), Some(file)) = (blob, entry.file_name().to_str()) {
                // Where it cannot be written the file stays what it is, which is an error for whoever reads it.
                let _ = self.link(blob, commit, file);
            }
        }
    }

    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// Where content of this name lies.
    pub fn blob(&self, name: &str) -> PathBuf {
        self.folder.join("blobs").join(name)
    }

    /// The note that a commit lacks a file.
    fn absent(&self, commit: &str, file: &str) -> PathBuf {
        self.folder.join(".no_exist").join(commit).join(file)
    }

    /// Waits until nobody else downloads this model.
    pub fn lock(&self, hear: &mut Hear<'_>) -> Result<File> {
        let file = create(&self.lock, OpenOptions::new().write(true))?;
        let locked = loop {
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => {
                    if hear(Fetching::Waits).is_break() {
                        return Err("was given up while another download of it went on".into());
                    }
                    thread::sleep(AGAIN);
                }
                Err(TryLockError::Error(error)) => break Err(error),
                Ok(()) => break Ok(()),
            }
        };
        match locked {
            // Some shared disks have no locks.
            Err(error) if error.kind() != ErrorKind::Unsupported => Err(unwritable(&self.lock, &error)),
            _ => Ok(file),
        }
    }

    /// Puts content into a snapshot: a link, or where there are none a copy.
    pub fn link(&self, blob: &str, commit: &str, file: &str) -> Result<()> {
        let (content, pointer) = (self.blob(blob), self.snapshot(commit).join(file));
        let failed = |error| unwritable(&pointer, &error);
        make_folder_of(&pointer)?;
        // A link that leads nowhere, if there is one.
        let _ = fs::remove_file(&pointer);
        let linked =
            environment::may_link() && symlink(&Path::new("../../blobs").join(blob), &pointer).is_ok();
        if linked || fs::hard_link(&content, &pointer).is_ok() || pointer.exists() {
            return Ok(());
        }
        let part = self.blob(&format!("{blob}.tome-copy"));
        fs::copy(&content, &part).and_then(|_| fs::rename(&part, &pointer)).map_err(failed)
    }

    /// Notes that a commit lacks a file.
    pub fn note_absent(&self, commit: &str, file: &str) -> Result<()> {
        create(&self.absent(commit, file), OpenOptions::new().write(true)).map(drop)
    }

    /// Notes which commit a revision is.
    pub fn note_commit(&self, revision: &str, commit: &str) -> Result<()> {
        if revision == commit {
            return Ok(());
        }
        let note = self.folder.join("refs").join(revision);
        make_folder_of(&note)?;
        let mut part = note.clone().into_os_string();
        part.push(".tome-part");
        let written = fs::write(&part, commit).and_then(|()| fs::rename(&part, &note));
        written.map_err(|error| unwritable(&note, &error))
    }
}

/// The shards that a folder's index names.
pub(super) fn shards(folder: &Path) -> Result<Vec<String>> {
    let index = ModelFiles::in_folder(folder).read_text(INDEX);
    index.and_then(|index| named_in(&index, &folder.join(INDEX))).map_err(|error| error.to_string())
}

/// Opens a file, which is made with its folder where there is none.
pub(super) fn create(path: &Path, options: &mut OpenOptions) -> Result<File> {
    make_folder_of(path)?;
    options.create(true).open(path).map_err(|error| unwritable(path, &error))
}

fn make_folder_of(path: &Path) -> Result<()> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    made.map_err(|error| unwritable(path, &error))
}

/// The words for a cache that cannot be written.
pub(super) fn unwritable(path: &Path, error: &std::io::Error) -> String {
    format!(
        "cannot be put into the cache, {}: {error}; HF_HUB_CACHE names another folder for it",
        path.display()
    )
}

#[cfg(unix)]
fn symlink(to: &Path, at: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(to, at)
}

#[cfg(windows)]
fn symlink(to: &Path, at: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_file(to, at)
}

#[cfg(not(any(unix, windows)))]
fn symlink(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}
