//! A safetensors file written tensor by tensor in stretches, so that it never has to fit in memory.

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use serde_json::{Map, json};
use tempfile::NamedTempFile;

use crate::output;

/// A file of tensors whose shapes are known and whose data follows.
pub struct TensorWriter {
    file: NamedTempFile,
    target: PathBuf,
    /// Where the next stretch of each tensor goes.
    next: Vec<u64>,
    /// Where each tensor ends, and the four bytes of a value that is none.
    ends: Vec<(u64, [u8; 4])>,
}

impl TensorWriter {
    /// Makes room for `tensors`, with `about` as metadata; data is then appended by their place in the list.
    pub fn create(
        target: &Path,
        tensors: Vec<(String, Dtype, Vec<usize>)>,
        about: BTreeMap<String, String>,
    ) -> Result<Self> {
        let mut end = 0;
        // In the order of the names, so that the same run gives the same bytes.
        let mut infos = Map::from_iter([("__metadata__".to_owned(), json!(about))]);
        let mut next = Vec::with_capacity(tensors.len());
        let mut ends = Vec::with_capacity(tensors.len());
        for (name, dtype, shape) in tensors {
            let begin = end;
            end += shape.iter().product::<usize>() * dtype.bitsize() / 8;
            next.push(begin as u64);
            let nothing = if dtype == Dtype::F32 { f32::NAN.to_le_bytes() } else { u32::MAX.to_le_bytes() };
            ends.push((end as u64, nothing));
            infos
                .insert(name, serde_json::to_value(TensorInfo { dtype, shape, data_offsets: (begin, end) })?);
        }
        let mut header = serde_json::to_vec(&infos)?;
        // The format wants aligned data and spaces to get there.
        header.resize(header.len().next_multiple_of(8), b' ');
        let data = 8 + header.len() as u64;
        next.iter_mut().for_each(|offset| *offset += data);
        ends.iter_mut().for_each(|(offset, _)| *offset += data);

        let mut file = output::beside(target)?;
        let unwritten = || format!("{}: cannot be written", target.display());
        file.write_all(&(header.len() as u64).to_le_bytes()).with_context(unwritten)?;
        file.write_all(&header).with_context(unwritten)?;
        file.as_file().set_len(data + end as u64).with_context(unwritten)?;
        Ok(TensorWriter { file, target: target.to_owned(), next, ends })
    }

    /// Writes the next stretch of a tensor.
    pub fn append<T: bytemuck::NoUninit>(&mut self, tensor: usize, values: &[T]) -> Result<()> {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        self.file
            .seek(SeekFrom::Start(self.next[tensor]))
            .and_then(|_| self.file.write_all(bytes))
            .with_context(|| format!("{}: cannot be written", self.target.display()))?;
        self.next[tensor] += bytes.len() as u64;
        Ok(())
    }

    /// Fills what has not been written with NaN and with indices that there cannot be.
    pub fn blank_rest(&mut self) -> Result<()> {
        let unwritten = || format!("{}: cannot be written", self.target.display());
        for (next, &(end, nothing)) in self.next.iter_mut().zip(&self.ends) {
            self.file.seek(SeekFrom::Start(*next)).with_context(unwritten)?;
            let stretch = nothing.repeat(1 << 14);
            while *next < end {
                let length = (end - *next).min(stretch.len() as u64);
                self.file.write_all(&stretch[..length as usize]).with_context(unwritten)?;
                *next += length;
            }
        }
        Ok(())
    }

    /// Puts the file in its place.
    pub fn finish(self) -> Result<()> {
        output::put(self.file, &self.target)
    }

    /// Puts the file elsewhere.
    pub fn finish_as(self, target: &Path) -> Result<()> {
        output::put(self.file, target)
    }
}
