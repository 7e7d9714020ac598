//! Where a model's files are: in a folder, or handed over by name.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Seek};
use std::path::PathBuf;

use wgpu::WasmNotSend;

use super::broken;
use super::fields::Fields;
use crate::error::Result;
use crate::regular;

pub(super) const CONFIG: &str = "config.json";
/// transformers' image processor.
pub(super) const PROCESSOR: &str = "preprocessor_config.json";
/// The same for videos, as transformers 5 writes it.
pub(super) const VIDEO_PROCESSOR: &str = "video_preprocessor_config.json";
/// The same within a processor of texts and images, all that transformers 5 writes for those.
pub(super) const PROCESSORS: &str = "processor_config.json";
/// open_clip's config, and its weights.
pub(super) const OPEN_CLIP: &str = "open_clip_config.json";
pub(super) const OPEN_CLIP_WEIGHTS: &str = "open_clip_model.safetensors";
/// Names of classes, one a line.
pub(super) const LABELS: &str = "labels.txt";
pub(super) const WEIGHTS: &str = "model.safetensors";
/// Which shard holds which tensor.
pub(super) const INDEX: &str = "model.safetensors.index.json";

/// The most bytes that a config or an index may have.
const MAX_TEXT: u64 = 1 << 24;

/// A file's bytes, wherever they are.
pub(super) trait Bytes: Read + Seek + WasmNotSend {}

impl<T: Read + Seek + WasmNotSend> Bytes for T {}

/// The files of a model by the names that they have when it is downloaded: `config.json`, `model.safetensors` and so
/// on, for [`load_files`](super::load_files). What is no file on a disk can be handed over, as a browser must:
///
/// ```no_run
/// # use std::io::Cursor;
/// # use tome_wgpu::files::{ModelFiles, load_files};
/// # fn of(config: Vec<u8>, weights: Vec<u8>) -> tome_wgpu::Result<()> {
/// let files = ModelFiles::new()
///     .with("config.json", Cursor::new(config))
///     .with("model.safetensors", Cursor::new(weights));
/// let (config, checkpoint) = load_files(files)?;
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct ModelFiles {
    /// Where files are that were not handed over.
    folder: Option<PathBuf>,
    handed: BTreeMap<String, Handed>,
}

enum Handed {
    Reader(Box<dyn Bytes>),
    Path(PathBuf),
}

/// An open file, and its name in messages.
pub(super) struct Opened {
    pub bytes: Box<dyn Bytes>,
    pub path: PathBuf,
}

impl ModelFiles {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// The files of a folder.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        ModelFiles { folder: Some(folder.into()), handed: BTreeMap::new() }
    }

    /// These files and another, instead of one of the same name if there is one: bytes in a [`Cursor`](std::io::Cursor),
    /// an open file, or anything else that can be read and seeks.
    pub fn with(mut self, name: impl Into<String>, bytes: impl Read + Seek + WasmNotSend + 'static) -> Self {
        self.handed.insert(name.into(), Handed::Reader(Box::new(bytes)));
        self
    }

    /// The same for a file that lies elsewhere or is called otherwise.
    pub(super) fn with_path(mut self, name: impl Into<String>, path: PathBuf) -> Self {
        self.handed.insert(name.into(), Handed::Path(path));
        self
    }

    /// The name of a file in messages: its path, where it has one.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        match (self.handed.get(name), &self.folder) {
            (Some(Handed::Path(path)), _) => path.clone(),
            (None, Some(folder)) => folder.join(name),
            (Some(Handed::Reader(_)), _) | (None, None) => name.into(),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        match (self.handed.get(name), &self.folder) {
            (Some(Handed::Reader(_)), _) => true,
            (None, None) => false,
            // What is there and no file is an error when it is opened.
            _ => self.path(name).exists(),
        }
    }

    /// Opens a file; one that was handed over as a reader is gone then.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File) where there is none.
    pub(super) fn open(&mut self, name: &str) -> Result<Opened> {
        let path = self.path(name);
        let bytes: Box<dyn Bytes> = match self.handed.remove(name) {
            Some(Handed::Reader(bytes)) => bytes,
            None if self.folder.is_none() => return Err(broken(&path, "is missing")),
            Some(Handed::Path(_)) | None => {
                Box::new(regular::open(&path).map_err(|error| broken(&path, error.to_string()))?)
            }
        };
        Ok(Opened { bytes, path })
    }

    /// A small file as text.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File) where there is none, or it is no text or a large one.
    pub(super) fn read_text(&mut self, name: &str) -> Result<String> {
        let Opened { bytes, path } = self.open(name)?;
        let mut text = String::new();
        bytes
            .take(MAX_TEXT + 1)
            .read_to_string(&mut text)
            .map_err(|error| broken(&path, error.to_string()))?;
        match text.len() as u64 > MAX_TEXT {
            true => Err(broken(&path, format!("has more than {MAX_TEXT} bytes"))),
            // Windows' editors begin a text with a mark.
            false => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
        }
    }

    /// The fields of a JSON object.
    ///
    /// # Errors
    /// As [`read_text`](Self::read_text), and for what is no JSON object.
    pub(super) fn read_fields(&mut self, name: &str) -> Result<Fields> {
        let path = self.path(name);
        let text = self.read_text(name)?;
        serde_json::from_slice(text.as_bytes())
            .map(Fields)
            .map_err(|error| broken(&path, format!("is no JSON object: {error}")))
    }
}

impl fmt::Debug for ModelFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelFiles")
            .field("folder", &self.folder)
            .field("handed", &self.handed.keys())
            .finish()
    }
}
