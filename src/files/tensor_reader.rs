//! Safetensors read tensor by tensor, or a stretch of one, so that a file never has to fit in memory.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::broken;
use crate::error::{Error, Result};

/// The most that the format allows.
const MAX_HEADER: u64 = 100_000_000;

/// An open safetensors file, or bytes that hold one.
#[derive(Debug)]
pub struct TensorReader<R> {
    source: R,
    path: PathBuf,
    metadata: Metadata,
    /// Where the header ends.
    data: u64,
}

impl TensorReader<File> {
    /// Opens a file and checks its header against its length.
    ///
    /// # Errors
    /// [`Error::File`] for a file that cannot be read, is truncated or is no safetensors.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| broken(path, error.to_string()))?;
        TensorReader::new(file, path)
    }
}

impl<R: Read + Seek> TensorReader<R> {
    /// Reads and checks the header; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::File`] for a source that cannot be read, is truncated or is no safetensors.
    pub fn new(mut source: R, path: &Path) -> Result<Self> {
        let failed = |error: std::io::Error| broken(path, error.to_string());
        let length = source.seek(SeekFrom::End(0)).map_err(failed)?;
        source.rewind().map_err(failed)?;
        let mut start = [0; 8];
        if length < 8 {
            return Err(broken(path, format!("is no safetensors file: it has only {length} bytes")));
        }
        source.read_exact(&mut start).map_err(failed)?;
        let header = u64::from_le_bytes(start);
        if header > MAX_HEADER || header > length - 8 {
            return Err(broken(
                path,
                format!(
                    "is truncated or no safetensors file: a header of {header} bytes in a file of {length}"
                ),
            ));
        }
        let mut text = vec![0; header as usize];
        source.read_exact(&mut text).map_err(failed)?;
        let metadata: Metadata = serde_json::from_slice(&text)
            .map_err(|error| broken(path, format!("has a broken safetensors header: {error}")))?;
        let (have, need) = (length - 8 - header, metadata.data_len() as u64);
        if have != need {
            let what = if have < need { "is truncated" } else { "has surplus bytes at its end" };
            return Err(broken(
                path,
                format!("{what}: its header promises {need} bytes of tensors, it has {have}"),
            ));
        }
        Ok(TensorReader { source, path: path.to_owned(), metadata, data: 8 + header })
    }

    /// The tensors' names in the order of their data.
    pub fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    /// A tensor's shape.
    ///
    /// # Errors
    /// [`Error::File`] where there is no such tensor.
    pub fn shape(&self, name: &str) -> Result<&[usize]> {
        self.metadata.info(name).map(|info| info.shape.as_slice()).ok_or_else(|| self.absent(name))
    }

    /// A stretch of a tensor's values in row-major order, converted to f32.
    ///
    /// # Errors
    /// [`Error::File`] where there is no such tensor or reading fails, [`Error::Weight`] where it holds something
    /// else than f32, f16 or bf16, [`Error::Input`] for a stretch past its end.
    pub fn read(&mut self, name: &str, values: Range<usize>) -> Result<Vec<f32>> {
        let info = self.metadata.info(name).ok_or_else(|| self.absent(name))?;
        let width = match info.dtype {
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::BF16 => 2,
            other => {
                let why = format!("holds {other}; F32, F16 and BF16 can be read");
                return Err(Error::Weight { name: name.into(), why });
            }
        };
        let (begin, end) = info.data_offsets;
        if values.start > values.end || values.end > (end - begin) / width {
            return Err(Error::Input(format!(
                "{name}: {values:?} is past its {} values",
                (end - begin) / width
            )));
        }
        let failed = |error: std::io::Error| broken(&self.path, format!("{name}: {error}"));
        self.source
            .seek(SeekFrom::Start(self.data + (begin + values.start * width) as u64))
            .map_err(failed)?;
        if info.dtype == Dtype::F32 {
            // Straight into place: checkpoints are large.
            let mut data = vec![0f32; values.len()];
            self.source.read_exact(bytemuck::cast_slice_mut(&mut data)).map_err(failed)?;
            // The format is little endian; this costs nothing where the machine is.
            data.iter_mut().for_each(|value| *value = f32::from_bits(u32::from_le(value.to_bits())));
            return Ok(data);
        }
        let mut bytes = vec![0; values.len() * width];
        self.source.read_exact(&mut bytes).map_err(failed)?;
        let pairs = bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
        Ok(match info.dtype {
            Dtype::F16 => pairs.map(|pair| half::f16::from_le_bytes(pair).to_f32()).collect(),
            _ => pairs.map(|pair| half::bf16::from_le_bytes(pair).to_f32()).collect(),
        })
    }

    fn absent(&self, name: &str) -> Error {
        broken(&self.path, format!("has no tensor `{name}`; it has {}", self.names().join(", ")))
    }
}
