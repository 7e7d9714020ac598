//! Textures as a network's images.

use std::sync::{Mutex, PoisonError};

use super::config::Config;
use super::taps::Taps;
use crate::dispatch::Dispatch;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::kernels::resize_image::{Encoding, Io, Order, Params, resize_image_by, uniform};

/// Calls whose tables are kept for the next texture of the same size and place.
const KEPT: usize = 256;

/// What makes images of textures for the plans of one batch size: for each size of texture and place in the batch what does
/// not depend on the texture itself, so that where sizes repeat no buffer is made.
#[derive(Debug, Default)]
pub(super) struct Textures {
    /// The last used comes last.
    kept: Mutex<Vec<Kept>>,
}

#[derive(Clone, Debug)]
struct Kept {
    params: Params,
    uniform: wgpu::Buffer,
    down: wgpu::Buffer,
    across: wgpu::Buffer,
}

impl Textures {
    /// The call that makes the image from value `first` of the input on of a texture.
    pub fn resize(
        &self,
        gpu: &Gpu,
        config: &Config,
        [normal, input]: [&wgpu::Buffer; 2],
        first: u32,
        texture: &wgpu::Texture,
    ) -> Result<Dispatch> {
        let encoding = check(texture)?;
        let kept = self.kept(gpu, config, texture, |params| Params { encoding, first, ..params })?;
        let view = gpu.scopes().guarded("a texture's view", 0, || {
            texture.create_view(&wgpu::TextureViewDescriptor {
                label: Some("tome.texture"),
                mip_level_count: Some(1),
                ..Default::default()
            })
        })?;
        let Kept { params, uniform, down, across } = &kept;
        resize_image_by(gpu, *params, uniform, Io::new(&view, down, across, normal, input))
    }

    /// What a texture of this size needs, of what is kept or new.
    fn kept(
        &self,
        gpu: &Gpu,
        config: &Config,
        texture: &wgpu::Texture,
        placed: impl Fn(Params) -> Params,
    ) -> Result<Kept> {
        let size = [texture.height(), texture.width()];
        let of_size = |kept: &Kept| [kept.params.image_height, kept.params.image_width] == size;
        // Nothing panics between two changes.
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |kept: &Kept| of_size(kept) && kept.params == placed(kept.params);
        if let Some(at) = all.iter().position(same) {
            let kept = all.remove(at);
            all.push(kept.clone());
            return Ok(kept);
        }
        let kept = match all.iter().find(|kept| of_size(kept)) {
            Some(other) => {
                let params = placed(other.params);
                Kept { params, uniform: uniform(gpu, &params)?, ..other.clone() }
            }
            None => {
                let taps = Taps::for_network(size, config)?;
                let order = if config.preprocess.bgr { Order::Bgr } else { Order::Rgb };
                let params = placed(Taps::params(&taps, config.in_chans, order));
                let table = |taps: &Taps| gpu.buffer_with("tome.taps", taps.words());
                let [down, across] = [table(&taps[0])?, table(&taps[1])?];
                Kept { params, uniform: uniform(gpu, &params)?, down, across }
            }
        };
        if all.len() == KEPT {
            all.remove(0);
        }
        all.push(kept.clone());
        Ok(kept)
    }
}

/// Whether a texture can be read as a picture, and what its view makes of the bytes that are stored. A view in the format
/// without sRGB would give the bytes at once, but only of textures that were made to be viewed so, which they do not tell.
pub(crate) fn check(texture: &wgpu::Texture) -> Result<Encoding> {
    let wrong = |why: &str| Err(Error::Input(format!("a texture {why}")));
    if texture.dimension() != wgpu::TextureDimension::D2 || texture.depth_or_array_layers() != 1 {
        return wrong("that is no picture; it must have two dimensions and one layer");
    }
    if texture.sample_count() != 1 {
        return wrong("with several samples a pixel; resolve it into one with one");
    }
    if !texture.usage().contains(wgpu::TextureUsages::TEXTURE_BINDING) {
        return wrong("made without TextureUsages::TEXTURE_BINDING, by which it is read");
    }
    match texture.format() {
        wgpu::TextureFormat::Rgba8Unorm | wgpu::TextureFormat::Bgra8Unorm => Ok(Encoding::Plain),
        wgpu::TextureFormat::Rgba8UnormSrgb | wgpu::TextureFormat::Bgra8UnormSrgb => Ok(Encoding::Srgb),
        other => wrong(&format!(
            "of the format {other:?}; draw or copy it into one of rgba8unorm or bgra8unorm, with or without sRGB"
        )),
    }
}

/// Whether a network's images can be made of colours.
pub(crate) fn check_channels(config: &Config) -> Result<()> {
    if config.in_chans == 1 || config.in_chans == 3 {
        return Ok(());
    }
    let why = "textures make 1 or 3 channels; give tensors instead".into();
    Err(Error::Unsupported { field: "in_chans".into(), value: config.in_chans.to_string(), why })
}
