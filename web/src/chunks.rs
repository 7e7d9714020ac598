//! A file in memory of JavaScript's, as it came.

use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom};

use js_sys::Uint8Array;

/// The pieces of a file one behind the other. They stay where they are: this memory only sees what is read.
pub struct Chunks {
    chunks: Vec<Uint8Array>,
    /// Where each begins, and the end of the last.
    starts: Vec<u64>,
    at: u64,
}

impl Chunks {
    pub fn new(chunks: Vec<Uint8Array>) -> Self {
        let mut end = 0;
        let ends = chunks.iter().map(|chunk| {
            end += u64::from(chunk.length());
            end
        });
        let starts = std::iter::once(0).chain(ends).collect();
        Chunks { chunks, starts, at: 0 }
    }

    fn len(&self) -> u64 {
        self.starts[self.chunks.len()]
    }
}

impl Read for Chunks {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        if self.at >= self.len() || into.is_empty() {
            return Ok(0);
        }
        // The last that begins here or before: none that is empty, as the next begins where it does.
        let index = self.starts.partition_point(|&start| start <= self.at) - 1;
        let begin = (self.at - self.starts[index]) as u32;
        let chunk = &self.chunks[index];
        let count = into.len().min((chunk.length() - begin) as usize);
        chunk.subarray(begin, begin + count as u32).copy_to(&mut into[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Chunks {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "a place before the beginning"))?;
        Ok(self.at)
    }
}
