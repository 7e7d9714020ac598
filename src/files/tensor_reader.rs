//! Safetensors read tensor by tensor, or a stretch of one, so that a file never has to fit in memory.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::broken;
use crate::error::{Error, Result};
use crate::vit::TensorData;

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

    /// Whether a tensor is of a type that can be read.
    pub(super) fn check_type(&self, name: &str) -> Result<()> {
        self.layout(name).map(drop)
    }

    /// A stretch of a tensor's values in row-major order, in the type that they have in the file.
    ///
    /// # Errors
    /// [`Error::File`] where there is no such tensor or reading fails, [`Error::Weight`] where it holds something
    /// else than f32, f16 or bf16, [`Error::Input`] for a stretch past its end.
    pub fn read(&mut self, name: &str, values: Range<usize>) -> Result<TensorData> {
        let (dtype, width) = self.layout(name)?;
        let info = self.metadata.info(name).ok_or_else(|| self.absent(name))?;
        let (begin, end) = info.data_offsets;
        if values.start > values.end || values.end > (end - begin) / width {
            let have = (end - begin) / width;
            return Err(Error::Input(format!("{name}: {values:?} is past its {have} values")));
        }
        let start = self.data + (begin + values.start * width) as u64;
        let read = match dtype {
            Dtype::F32 => {
                self.values(start, values.len(), |v: f32| f32::from_bits(u32::from_le(v.to_bits())))
            }
            Dtype::F16 => {
                self.values(start, values.len(), |v: f16| f16::from_bits(u16::from_le(v.to_bits())))
            }
            _ => self.values(start, values.len(), |v: bf16| bf16::from_bits(u16::from_le(v.to_bits()))),
        };
        read.map_err(|error| broken(&self.path, format!("{name}: {error}")))
    }

    /// Values of one type, read straight into place: checkpoints are large. The format is little endian; `native` costs
    /// nothing where the machine is.
    fn values<T: bytemuck::Pod>(
        &mut self,
        start: u64,
        count: usize,
        native: impl Fn(T) -> T,
    ) -> std::io::Result<TensorData>
    where
        Vec<T>: Into<TensorData>,
    {
        let mut values = vec![T::zeroed(); count];
        self.source.seek(SeekFrom::Start(start))?;
        self.source.read_exact(bytemuck::cast_slice_mut(&mut values))?;
        values.iter_mut().for_each(|value| *value = native(*value));
        Ok(values.into())
    }

    /// A tensor's type and the bytes of a value.
    fn layout(&self, name: &str) -> Result<(Dtype, usize)> {
        match self.metadata.info(name).ok_or_else(|| self.absent(name))?.dtype {
            Dtype::F32 => Ok((Dtype::F32, 4)),
            half @ (Dtype::F16 | Dtype::BF16) => Ok((half, 2)),
            other => {
                let why = format!("holds {other} in {}; F32, F16 and BF16 can be read", self.path.display());
                Err(Error::Weight { name: name.into(), why })
            }
        }
    }

    fn absent(&self, name: &str) -> Error {
        broken(&self.path, format!("has no tensor `{name}`; it has {}", self.names().join(", ")))
    }
}
