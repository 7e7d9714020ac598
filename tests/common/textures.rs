//! Textures with pictures in them.

use super::Random;

/// The formats that are read.
pub const FORMATS: [wgpu::TextureFormat; 4] = [
    wgpu::TextureFormat::Rgba8Unorm,
    wgpu::TextureFormat::Bgra8Unorm,
    wgpu::TextureFormat::Rgba8UnormSrgb,
    wgpu::TextureFormat::Bgra8UnormSrgb,
];

/// A picture of any bytes, `[height, width, 4]`: red, green, blue, alpha.
pub fn bytes_of(height: u32, width: u32) -> Vec<u8> {
    let mut random = Random((u64::from(height) << 32) + u64::from(width));
    (0..height * width).flat_map(|_| random.below(u32::MAX).to_le_bytes()).collect()
}

/// A texture that holds a picture in the order of its format.
pub fn texture(
    (device, queue): (&wgpu::Device, &wgpu::Queue),
    format: wgpu::TextureFormat,
    [height, width]: [u32; 2],
    rgba: &[u8],
) -> wgpu::Texture {
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    });
    let mut bytes = rgba.to_vec();
    if matches!(format, wgpu::TextureFormat::Bgra8Unorm | wgpu::TextureFormat::Bgra8UnormSrgb) {
        bytes.chunks_exact_mut(4).for_each(|texel| texel.swap(0, 2));
    }
    let layout =
        wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(4 * width), rows_per_image: None };
    queue.write_texture(texture.as_image_copy(), &bytes, layout, texture.size());
    texture
}
