//! A file of the hub on its way into the cache.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::super::TensorReader;
use super::cache::{Cached, create, unwritable};
use super::client::{Answer, Client};
use super::hearing::{Fetching, Hear};
use super::{MAX_TEXT, Result};

/// The most bytes of one file of weights: what the hub itself takes.
const MAX_WEIGHTS: u64 = 50_000_000_000;

/// How often a download that broke off goes on.
const TRIES: usize = 3;

/// Bytes that are read at a time.
const PIECE: usize = 1 << 16;

/// Downloads files of one commit.
pub(super) struct Download<'a, 'h> {
    pub client: &'a Client,
    pub cached: &'a Cached,
    pub id: &'a str,
    pub commit: &'a str,
    pub hear: &'a mut Hear<'h>,
}

/// Why a stretch of a file did not arrive.
enum Stopped {
    /// The server's fault, so that it may go on.
    Broke(String),
    Failed(String),
}

impl Download<'_, '_> {
    /// A file that lies in the snapshot in the end; there only whole ones do.
    pub fn file(&mut self, file: &str) -> Result<()> {
        if self.cached.snapshot(self.commit).join(file).exists() {
            return Ok(());
        }
        let answer = self.client.file(self.id, self.commit, file, 0)?;
        let most = match answer.size {
            None if is_weights(file) => {
                return Err(format!("has {file} of a length that the server does not say"));
            }
            Some(size) if size > most(file) => return Err(too_large(file, most(file))),
            size => size.unwrap_or(most(file)),
        };
        // Content has the name of its hash, if the server gave one.
        let name = answer.said.etag.clone().unwrap_or_else(|| format!("{}-{file}", self.commit));
        let blob = self.cached.blob(&name);
        let there = fs::metadata(&blob).is_ok_and(|is| Some(is.len()) == answer.size);
        if !there {
            let path = self.cached.blob(&format!("{name}.tome-part"));
            let mut part = Part { file: create(&path, OpenOptions::new().read(true).write(true))?, path };
            self.fetch(answer, &mut part, file, most)?;
            if let Err(why) = check(&part.file, file) {
                part.forget();
                return Err(format!(
                    "{why}; {} sent something else than it has, perhaps",
                    self.client.endpoint()
                ));
            }
            fs::rename(&part.path, &blob).map_err(|error| unwritable(&blob, &error))?;
        }
        self.cached.link(&name, self.commit, file)
    }

    /// Brings the whole file, which has so many bytes at most; goes on where an earlier attempt stopped.
    fn fetch(&mut self, first: Answer, part: &mut Part, file: &str, most: u64) -> Result<()> {
        let (mut first, mut why) = (Some(first), String::new());
        for _ in 0..TRIES {
            let have = part.file.metadata().map_err(|error| part.failed(error))?.len();
            let answer = match first.take() {
                Some(answer) if have == 0 || have >= most => answer,
                _ => self.client.file(self.id, self.commit, file, have)?,
            };
            match part.receive(answer, self.hear, file, most) {
                Ok(()) => return Ok(()),
                Err(Stopped::Broke(error)) => why = error,
                Err(Stopped::Failed(error)) => return Err(error),
            }
        }
        Err(why)
    }
}

/// What has arrived of a file.
struct Part {
    file: File,
    path: PathBuf,
}

impl Part {
    /// Writes what a server sends.
    fn receive(&mut self, answer: Answer, hear: &mut Hear<'_>, file: &str, most: u64) -> Result<(), Stopped> {
        let Answer { body, from: mut have, size, .. } = answer;
        let start = self.file.set_len(have).and_then(|()| self.file.seek(SeekFrom::Start(have)));
        start.map_err(|error| Stopped::Failed(self.failed(error)))?;
        let (mut body, mut bytes) = (body.into_reader(), vec![0; PIECE]);
        loop {
            if hear(Fetching::File { name: file, bytes: have, total: size }).is_break() {
                let why = format!("was given up at {have} bytes of {file}; the next run goes on from there");
                return Err(Stopped::Failed(why));
            }
            let read = match body.read(&mut bytes) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(Stopped::Broke(broke_off(file, have, size, &format!(" ({error})"))));
                }
            };
            have += read as u64;
            if have > most {
                self.forget();
                return Err(Stopped::Failed(too_large(file, most)));
            }
            if let Err(error) = self.file.write_all(&bytes[..read]) {
                self.forget();
                return Err(Stopped::Failed(self.failed(error)));
            }
        }
        if size.is_some_and(|size| size != have) {
            return Err(Stopped::Broke(broke_off(file, have, size, "")));
        }
        self.file.sync_all().map_err(|error| Stopped::Failed(self.failed(error)))
    }

    /// Begins anew the next time; leaves no bytes on a disk that may be full.
    fn forget(&self) {
        // Where this fails too, the next attempt is checked as this one was.
        let _ = self.file.set_len(0);
    }

    fn failed(&self, error: std::io::Error) -> String {
        unwritable(&self.path, &error)
    }
}

/// Refuses what is obviously another file, as a page to sign in.
fn check(mut part: &File, file: &str) -> Result<()> {
    let named = Path::new(file);
    if is_weights(file) {
        return TensorReader::new(part, named).map(drop).map_err(|error| error.to_string());
    }
    let mut start = Vec::new();
    let read = part.rewind().and_then(|()| part.take(MAX_TEXT).read_to_end(&mut start));
    read.map_err(|error| format!("{file}: {error}"))?;
    match file.ends_with(".json") && start.trim_ascii_start().first() != Some(&b'{') {
        true => Err(format!("{file} is no JSON object")),
        false => Ok(()),
    }
}

fn is_weights(file: &str) -> bool {
    file.ends_with(".safetensors")
}

/// The most bytes of a file.
fn most(file: &str) -> u64 {
    if is_weights(file) { MAX_WEIGHTS } else { MAX_TEXT }
}

fn too_large(file: &str, most: u64) -> String {
    format!("has {file} of more than {most} bytes")
}

fn broke_off(file: &str, have: u64, size: Option<u64>, error: &str) -> String {
    let of = size.map_or(String::new(), |size| format!(" of {size}"));
    format!("broke off at {have}{of} bytes of {file}{error}; the next run goes on from there")
}
