//! A stretch of a caller's buffer, or a texture.

use crate::error::{Error, Result};
use crate::kernel::{Access, Binding, KernelSpec};

/// A stretch of a storage buffer (where it starts and, implicitly, all that follows), or a texture. How much of a buffer
/// a kernel needs follows from the kernel's `Params` and is checked when the dispatch is made.
///
/// `&wgpu::Buffer` converts into a view of the whole buffer, `&wgpu::TextureView` into one of the texture.
#[derive(Clone, Copy, Debug)]
pub struct View<'a>(Kind<'a>);

#[derive(Clone, Copy, Debug)]
enum Kind<'a> {
    Buffer { buffer: &'a wgpu::Buffer, offset: u64 },
    Texture(&'a wgpu::TextureView),
}

impl<'a> View<'a> {
    /// The part of `buffer`, made with `BufferUsages::STORAGE`, from byte `offset` on: a multiple of the device's
    /// `min_storage_buffer_offset_alignment` (256 by default).
    pub fn at(buffer: &'a wgpu::Buffer, offset: u64) -> Self {
        View(Kind::Buffer { buffer, offset })
    }

    /// The buffer, unless it is a texture.
    pub fn buffer(&self) -> Option<&'a wgpu::Buffer> {
        match self.0 {
            Kind::Buffer { buffer, .. } => Some(buffer),
            Kind::Texture(_) => None,
        }
    }

    /// The first byte in the buffer; 0 for a texture.
    pub fn offset(&self) -> u64 {
        match self.0 {
            Kind::Buffer { offset, .. } => offset,
            Kind::Texture(_) => 0,
        }
    }

    /// Binds the texture, or the first `bytes` of the buffer, or says why that is not possible.
    pub(crate) fn bind(
        &self,
        kernel: &'static str,
        binding: &Binding,
        bytes: u64,
        limits: &wgpu::Limits,
    ) -> Result<wgpu::BindingResource<'a>> {
        let &Binding { name, access, .. } = binding;
        let (buffer, offset) = match (self.0, access) {
            (Kind::Texture(texture), Access::Texture) => {
                return Ok(wgpu::BindingResource::TextureView(texture));
            }
            (Kind::Buffer { buffer, offset }, access) if access != Access::Texture => (buffer, offset),
            _ => return Err(Error::BindingKind { kernel, binding: name }),
        };
        // An empty array cannot be bound; one vector of four stands for it and is never read.
        let need = if bytes == 0 { 16 } else { bytes.checked_next_multiple_of(4).unwrap_or(bytes) };
        let alignment = u64::from(limits.min_storage_buffer_offset_alignment);
        if !offset.is_multiple_of(alignment) {
            return Err(Error::BufferOffset { kernel, binding: name, offset, alignment });
        }
        if !buffer.usage().contains(wgpu::BufferUsages::STORAGE) {
            return Err(Error::BufferUsage { kernel, binding: name });
        }
        let have = buffer.size().saturating_sub(offset);
        if have < need {
            return Err(Error::BufferTooSmall { kernel, binding: name, need, have });
        }
        let most = limits.max_storage_buffer_binding_size;
        if need > most {
            return Err(Error::Limit {
                what: format!("{kernel}: buffer `{name}`"),
                limit: "max_storage_buffer_binding_size",
                need,
                have: most,
            });
        }
        let size = wgpu::BufferSize::new(need);
        Ok(wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size }))
    }
}

impl<'a> From<&'a wgpu::Buffer> for View<'a> {
    fn from(buffer: &'a wgpu::Buffer) -> Self {
        View::at(buffer, 0)
    }
}

impl<'a> From<&'a wgpu::TextureView> for View<'a> {
    fn from(texture: &'a wgpu::TextureView) -> Self {
        View(Kind::Texture(texture))
    }
}

/// No buffer that is written may be bound twice.
pub(crate) fn refuse_aliases(spec: &KernelSpec, views: &[Option<View<'_>>]) -> Result<()> {
    let buffer = |i: usize| views[i].and_then(|view| view.buffer());
    for (i, write) in spec.bindings.iter().enumerate().filter(|(_, binding)| binding.written) {
        let same = |&j: &usize| j != i && buffer(i).is_some() && buffer(j) == buffer(i);
        if let Some(j) = (0..views.len()).find(same) {
            let other = spec.bindings[j].name;
            return Err(Error::BufferAliased { kernel: spec.name, write: write.name, other });
        }
    }
    Ok(())
}
