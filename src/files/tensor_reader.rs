//! Safetensors read tensor by tensor, or a stretch of one, so that a file never has to fit in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::{broken, header, sniff};
use crate::error::{Error, Result};
use crate::regular;
use crate::vit::TensorData;

/// The most that the format allows.
const MAX_HEADER: u64 = 100_000_000;
/// Bytes at the beginning that say what a file is.
const BEGIN: u64 = 4096;

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
        let file = regular::open(path).map_err(|error| broken(path, error.to_string()))?;
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
        let whole = length >= 8;
        if whole {
            source.read_exact(&mut start).map_err(failed)?;
        }
        let size = u64::from_le_bytes(start);
        if !whole || size > MAX_HEADER || size > length - 8 {
            source.rewind().map_err(failed)?;
            let mut begin = Vec::new();
            source.take(BEGIN).read_to_end(&mut begin).map_err(failed)?;
            let why = match whole {
                true => format!(
                    "is truncated or no safetensors file: a header of {size} bytes in a file of {length}"
                ),
                false => format!("is no safetensors file: it has only {length} bytes"),
            };
            return Err(broken(path, sniff::what(&begin, path).unwrap_or(why)));
        }
        let mut text = vec![0; size as usize];
        source.read_exact(&mut text).map_err(failed)?;
        let metadata: Metadata = header::check(&text)
            .and_then(|()| serde_json::from_slice(&text))
            .map_err(|error| broken(path, format!("has a broken safetensors header: {error}")))?;
        let (have, need) = (length - 8 - size, metadata.data_len() as u64);
        if have != need {
            let what = if have < need { "is truncated" } else { "has surplus bytes at its end" };
            return Err(broken(
                path,
                format!("{what}: its header promises {need} bytes of tensors, it has {have}"),
            ));
        }
        Ok(TensorReader { source, path: path.to_owned(), metadata, data: 8 + size })
    }

    /// What the file says of itself: its metadata, in the order of the keys.
    pub fn about(&self) -> BTreeMap<String, String> {
        self.metadata.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
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

    /// A stretch of a tensor's values in row-major order, in the type that they have in the file; of other types than f32, f16
    /// and bf16 those that can be read (f64, and f8 as E4M3 and E5M2) become f32.
    ///
    /// # Errors
    /// [`Error::File`] where there is no such tensor or reading fails, [`Error::Weight`] where it is of a type
    /// that is not read, [`Error::Input`] for a stretch past its end.
    pub fn read(&mut self, name: &str, values: Range<usize>) -> Result<TensorData> {
        let (dtype, width) = self.layout(name)?;
        let info = self.metadata.info(name).ok_or_else(|| self.absent(name))?;
        let (begin, end) = info.data_offsets;
        if values.start > values.end || values.end > (end - begin) / width {
            let have = (end - begin) / width;
            return Err(Error::Input(format!("{name}: {values:?} is past its {have} values")));
        }
        let start = self.data + (begin + values.start * width) as u64;
        let count = values.len();
        let read = match dtype {
            Dtype::F32 => self.values(start, count, |v: f32| f32::from_bits(u32::from_le(v.to_bits()))),
            Dtype::F16 => self.values(start, count, |v: f16| f16::from_bits(u16::from_le(v.to_bits()))),
            Dtype::BF16 => self.values(start, count, |v: bf16| bf16::from_bits(u16::from_le(v.to_bits()))),
            Dtype::F64 => self.converted(start, count, |v: u64| f64::from_bits(u64::from_le(v)) as f32),
            Dtype::F8_E4M3 => self.converted(start, count, e4m3),
            // The upper half of an f16.
            _ => self.converted(start, count, |v: u8| f16::from_bits(u16::from(v) << 8).to_f32()),
        };
        read.map_err(|error| broken(&self.path, format!("{name}: {error}")))
    }

    /// All values of a tensor of 32-bit or 64-bit whole numbers, such as masks and shapes.
    ///
    /// # Errors
    /// [`Error::Weight`] for a tensor of another type, [`Error::File`] where reading fails.
    pub fn read_integers(&mut self, name: &str) -> Result<Vec<i64>> {
        let info = self.metadata.info(name).ok_or_else(|| self.absent(name))?;
        let (dtype, (begin, end)) = (info.dtype, info.data_offsets);
        let width = match dtype {
            Dtype::I32 => 4,
            Dtype::I64 => 8,
            other => {
                let why = format!("holds {other} in {}; I32 and I64 can be read", self.path.display());
                return Err(Error::Weight { name: name.into(), why });
            }
        };
        let mut bytes = vec![0; end - begin];
        let read = self.source.seek(SeekFrom::Start(self.data + begin as u64));
        let read = read.and_then(|_| self.source.read_exact(&mut bytes));
        read.map_err(|error| broken(&self.path, format!("{name}: {error}")))?;
        Ok(match width {
            4 => bytes.as_chunks().0.iter().map(|&value| i32::from_le_bytes(value).into()).collect(),
            _ => bytes.as_chunks().0.iter().map(|&value| i64::from_le_bytes(value)).collect(),
        })
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

    /// Values of a type that is none of [`TensorData`]'s.
    fn converted<T: bytemuck::Pod>(
        &mut self,
        start: u64,
        count: usize,
        convert: impl Fn(T) -> f32,
    ) -> std::io::Result<TensorData> {
        let mut values = vec![T::zeroed(); count];
        self.source.seek(SeekFrom::Start(start))?;
        self.source.read_exact(bytemuck::cast_slice_mut(&mut values))?;
        Ok(values.into_iter().map(convert).collect::<Vec<f32>>().into())
    }

    /// A tensor's type and the bytes of a value.
    fn layout(&self, name: &str) -> Result<(Dtype, usize)> {
        match self.metadata.info(name).ok_or_else(|| self.absent(name))?.dtype {
            Dtype::F32 => Ok((Dtype::F32, 4)),
            half @ (Dtype::F16 | Dtype::BF16) => Ok((half, 2)),
            Dtype::F64 => Ok((Dtype::F64, 8)),
            byte @ (Dtype::F8_E4M3 | Dtype::F8_E5M2) => Ok((byte, 1)),
            other => {
                let why = format!(
                    "holds {other} in {}; F64, F32, F16, BF16, F8_E4M3 and F8_E5M2 can be read",
                    self.path.display()
                );
                Err(Error::Weight { name: name.into(), why })
            }
        }
    }

    fn absent(&self, name: &str) -> Error {
        let names = self.names();
        let some = names.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if names.len() > 8 { format!(" and {} more", names.len() - 8) } else { String::new() };
        broken(&self.path, format!("has no tensor `{name}`; it has {some}{more}"))
    }
}

/// A sign, 4 bits of exponent, 3 of mantissa; no infinity.
fn e4m3(bits: u8) -> f32 {
    let (exponent, mantissa) = (i32::from(bits >> 3 & 15), f32::from(bits & 7));
    let value = match (exponent, bits & 7) {
        (15, 7) => f32::NAN,
        (0, _) => mantissa * 2f32.powi(-9),
        _ => (1.0 + mantissa / 8.0) * 2f32.powi(exponent - 7),
    };
    if bits & 0x80 != 0 { -value } else { value }
}
