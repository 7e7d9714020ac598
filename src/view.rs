//! A stretch of a caller's buffer.

use crate::error::{Error, Result};

/// A stretch of a storage buffer: where it starts and, implicitly, all that follows. How much of it a kernel
/// needs follows from the kernel's `Params` and is checked when the dispatch is made.
///
/// `&wgpu::Buffer` converts into a view of the whole buffer.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The buffer; made with `BufferUsages::STORAGE`.
    pub buffer: &'a wgpu::Buffer,
    /// First byte; a multiple of the device's `min_storage_buffer_offset_alignment` (256 by default).
    pub offset: u64,
}

impl<'a> View<'a> {
    /// The part of `buffer` from byte `offset` on.
    pub fn at(buffer: &'a wgpu::Buffer, offset: u64) -> Self {
        View { buffer, offset }
    }

    /// Binds the first `bytes` of the view, or says why that is not possible.
    pub(crate) fn bind(
        &self,
        kernel: &'static str,
        binding: &'static str,
        bytes: u64,
        limits: &wgpu::Limits,
    ) -> Result<wgpu::BindingResource<'a>> {
        // An empty array cannot be bound; one vector of four stands for it and is never read.
        let need = if bytes == 0 { 16 } else { bytes.checked_next_multiple_of(4).unwrap_or(bytes) };
        let alignment = u64::from(limits.min_storage_buffer_offset_alignment);
        if !self.offset.is_multiple_of(alignment) {
            return Err(Error::BufferOffset { kernel, binding, offset: self.offset, alignment });
        }
        if !self.buffer.usage().contains(wgpu::BufferUsages::STORAGE) {
            return Err(Error::BufferUsage { kernel, binding });
        }
        let have = self.buffer.size().saturating_sub(self.offset);
        if have < need {
            return Err(Error::BufferTooSmall { kernel, binding, need, have });
        }
        let most = limits.max_storage_buffer_binding_size;
        if need > most {
            return Err(Error::Limit {
                what: format!("{kernel}: buffer `{binding}`"),
                limit: "max_storage_buffer_binding_size",
                need,
                have: most,
            });
        }
        Ok(wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: self.buffer,
            offset: self.offset,
            size: wgpu::BufferSize::new(need),
        }))
    }
}

impl<'a> From<&'a wgpu::Buffer> for View<'a> {
    fn from(buffer: &'a wgpu::Buffer) -> Self {
        View { buffer, offset: 0 }
    }
}
