//! Buffers of a device: storage in the variant's types, with data or without.

use half::slice::HalfFloatSliceExt;

use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::variant::Element;

impl Gpu {
    /// A storage buffer of `elements` 4-byte elements that can also be copied to and from.
    ///
    /// # Errors
    /// [`Error::Limit`] past `max_buffer_size` or `max_storage_buffer_binding_size`, [`Error::OutOfMemory`].
    pub fn buffer(&self, label: &str, elements: u64) -> Result<wgpu::Buffer> {
        self.make_buffer(label, elements, None)
    }

    /// A storage buffer holding `data`, written without a queue.
    ///
    /// # Errors
    /// As [`Gpu::buffer`].
    pub fn buffer_with<T: bytemuck::NoUninit>(&self, label: &str, data: &[T]) -> Result<wgpu::Buffer> {
        let bytes: &[u8] = bytemuck::cast_slice(data);
        self.make_buffer(label, bytes.len().div_ceil(4) as u64, Some(bytes))
    }

    /// [`Gpu::buffer`] for values of the variant's storage type.
    ///
    /// # Errors
    /// As [`Gpu::buffer`].
    pub fn elem_buffer(&self, label: &str, elements: u64) -> Result<wgpu::Buffer> {
        self.make_buffer(label, (elements * self.variant().element.bytes()).div_ceil(4), None)
    }

    /// [`Gpu::buffer`] for weights of the variant's storage type.
    ///
    /// # Errors
    /// As [`Gpu::buffer`].
    pub fn weight_buffer(&self, label: &str, weights: u64) -> Result<wgpu::Buffer> {
        self.make_buffer(label, (weights * self.variant().weights.bytes()).div_ceil(4), None)
    }

    /// A storage buffer holding `data` in the variant's storage type of activations.
    ///
    /// # Errors
    /// As [`Gpu::buffer`].
    pub fn elem_buffer_with(&self, label: &str, data: &[f32]) -> Result<wgpu::Buffer> {
        self.stored(label, self.variant().element, data)
    }

    /// A storage buffer holding `data` in the variant's storage type of weights.
    ///
    /// # Errors
    /// As [`Gpu::buffer`].
    pub fn weight_buffer_with(&self, label: &str, data: &[f32]) -> Result<wgpu::Buffer> {
        self.stored(label, self.variant().weights, data)
    }

    fn stored(&self, label: &str, element: Element, data: &[f32]) -> Result<wgpu::Buffer> {
        match element {
            Element::F32 => self.buffer_with(label, data),
            Element::F16 => {
                let mut halves = vec![half::f16::ZERO; data.len()];
                halves.convert_from_f32_slice(data);
                self.buffer_with(label, &halves)
            }
        }
    }

    fn make_buffer(&self, label: &str, elements: u64, data: Option<&[u8]>) -> Result<wgpu::Buffer> {
        // Rounded up to 16 bytes: shaders read vectors of four.
        let size = elements.max(1).div_ceil(4).saturating_mul(16);
        let limits = &self.caps().limits;
        for (limit, have) in [
            ("max_buffer_size", limits.max_buffer_size),
            ("max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size),
        ] {
            if size > have {
                return Err(Error::Limit { what: format!("buffer `{label}`"), limit, need: size, have });
            }
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        self.create(label, size, usage, data)
    }

    pub(crate) fn create(
        &self,
        label: &str,
        size: u64,
        usage: wgpu::BufferUsages,
        data: Option<&[u8]>,
    ) -> Result<wgpu::Buffer> {
        #[cfg(target_arch = "wasm32")]
        if let (Some(writer), Some(bytes)) = (&self.writer, data) {
            let buffer = self.create(label, size, usage | wgpu::BufferUsages::COPY_DST, None)?;
            self.scopes().guarded(label, size, || writer.write_buffer(&buffer, 0, bytes))?;
            return Ok(buffer);
        }
        let made = self.scopes().guarded(label, size, || {
            let buffer = self.device().create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage,
                mapped_at_creation: data.is_some(),
            });
            let written = data.map_or(Ok(()), |bytes| {
                let mut mapped = buffer.slice(..).get_mapped_range_mut()?;
                mapped.slice(..bytes.len()).copy_from_slice(bytes);
                drop(mapped);
                buffer.unmap();
                Ok::<_, wgpu::MapRangeError>(())
            });
            (buffer, written)
        })?;
        let (buffer, written) = made;
        match written {
            Ok(()) => Ok(buffer),
            Err(e) => Err(Error::DeviceLost(format!("`{label}` could not be written: {e}"))),
        }
    }
}
