//! A network on WebGPU. Pictures stay there from the browser's decoder on.

use js_sys::Function;
use tome_wgpu::run::Runner;
use tome_wgpu::vit::{Config, Input, Options, Outputs, Tensors, Want};
use tome_wgpu::{Element, Error, Gpu, Result, wanted_device};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{ImageBitmap, ImageData};
use wgpu::{CopyExternalImageSourceInfo, ExternalImageSource};

pub struct Engine {
    device: wgpu::Device,
    queue: wgpu::Queue,
    runner: Runner,
}

impl Engine {
    pub async fn open(
        config: &Config,
        weights: &dyn Tensors,
        precision: &str,
        lost: Function,
    ) -> Result<Self> {
        let element = match precision {
            "f16" => Element::F16,
            _ => Element::F32,
        };
        let mut wanted = wgpu::InstanceDescriptor::new_without_display_handle();
        wanted.backends = wgpu::Backends::BROWSER_WEBGPU;
        let power_preference = wgpu::PowerPreference::HighPerformance;
        let adapter = wgpu::Instance::new(wanted)
            .request_adapter(&wgpu::RequestAdapterOptions { power_preference, ..Default::default() })
            .await
            .map_err(|error| Error::NoAdapter(error.to_string()))?;
        let refused = |message: String| Error::Device { what: "a WebGPU device".into(), message };
        if element == Element::F16 && !adapter.features().contains(wgpu::Features::SHADER_F16) {
            return Err(refused("its adapter has no shader-f16; load the network in f32".into()));
        }
        let mut wanted = wanted_device(&adapter, element);
        // Photographs are larger than WebGPU's default.
        wanted.required_limits.max_texture_dimension_2d = adapter.limits().max_texture_dimension_2d;
        let (device, queue) =
            adapter.request_device(&wanted).await.map_err(|error| refused(error.to_string()))?;
        device.set_device_lost_callback(move |_, message| {
            // Nobody is left to be told of what it throws.
            _ = lost.call1(&JsValue::NULL, &message.into());
        });
        let gpu = Gpu::with_element(&device, element)?;
        let runner = Runner::open(gpu, queue.clone(), config.clone(), weights).await?;
        Ok(Engine { device, queue, runner })
    }

    pub async fn prepare(&self, batch: u32, options: &Options, want: Want) -> Result<()> {
        self.runner.prepare(Input::Textures, batch, options, want).await
    }

    pub async fn run(&self, pictures: &[JsValue], options: &Options, want: Want) -> Result<Outputs> {
        let textures = self.textures(pictures).await?;
        self.runner.run(&textures.0, options, want).await
    }

    pub fn destroy(&self) {
        self.device.destroy();
    }

    /// Textures of pictures' bytes as they are: no colours are converted, no alpha multiplied.
    async fn textures(&self, pictures: &[JsValue]) -> Result<Textures> {
        let sizes = pictures.iter().map(|picture| self.size(picture)).collect::<Result<Vec<_>>>()?;
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let refused = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let textures = Textures(sizes.into_iter().map(|size| self.texture(size)).collect());
        for (texture, picture) in textures.0.iter().zip(pictures) {
            match picture.dyn_ref::<ImageData>() {
                Some(pixels) => self.write(texture, &pixels.data()),
                None => self.copy(texture, picture.unchecked_ref::<ImageBitmap>()),
            }
        }
        let (refused, memory) = (refused.pop(), memory.pop());
        let (what, refused) = ("textures of pictures".to_owned(), refused.await);
        match (memory.await, refused) {
            (Some(_), _) => Err(Error::OutOfMemory { what, bytes: textures.bytes() }),
            (None, Some(error)) => Err(Error::Device { what, message: error.to_string() }),
            (None, None) => Ok(textures),
        }
    }

    /// Width and height of an `ImageData` or an `ImageBitmap`.
    fn size(&self, picture: &JsValue) -> Result<[u32; 2]> {
        let [width, height] = match (picture.dyn_ref::<ImageData>(), picture.dyn_ref::<ImageBitmap>()) {
            (Some(pixels), _) => [pixels.width(), pixels.height()],
            (None, Some(bitmap)) => [bitmap.width(), bitmap.height()],
            (None, None) => return Err(Error::Input("a picture is no ImageData and no ImageBitmap".into())),
        };
        let (limit, have) = ("max_texture_dimension_2d", self.device.limits().max_texture_dimension_2d);
        match width.max(height) {
            _ if width == 0 || height == 0 => Err(Error::Input("a picture has no pixels".into())),
            need if need > have => {
                let what = format!("a picture of {width} x {height} pixels");
                Err(Error::Limit { what, limit, need: need.into(), have: have.into() })
            }
            _ => Ok([width, height]),
        }
    }

    fn texture(&self, [width, height]: [u32; 2]) -> wgpu::Texture {
        self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("tome.picture"),
            size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            // The browser draws into it.
            usage: wgpu::TextureUsages::TEXTURE_BINDING
                | wgpu::TextureUsages::COPY_DST
                | wgpu::TextureUsages::RENDER_ATTACHMENT,
            view_formats: &[],
        })
    }

    fn write(&self, texture: &wgpu::Texture, rgba: &[u8]) {
        let bytes_per_row = Some(4 * texture.width());
        let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row, rows_per_image: None };
        self.queue.write_texture(texture.as_image_copy(), rgba, layout, texture.size());
    }

    fn copy(&self, texture: &wgpu::Texture, picture: &ImageBitmap) {
        let source = ExternalImageSource::ImageBitmap(picture.clone());
        let source = CopyExternalImageSourceInfo { source, origin: wgpu::Origin2d::ZERO, flip_y: false };
        let to = wgpu::CopyExternalImageDestInfo {
            texture,
            mip_level: 0,
            origin: wgpu::Origin3d::ZERO,
            aspect: wgpu::TextureAspect::All,
            color_space: wgpu::PredefinedColorSpace::Srgb,
            premultiplied_alpha: false,
        };
        self.queue.copy_external_image_to_texture(&source, to, texture.size());
    }
}

/// Textures of pictures, whose memory is given back at once where the garbage collector would take its time.
struct Textures(Vec<wgpu::Texture>);

impl Textures {
    fn bytes(&self) -> u64 {
        self.0.iter().map(|texture| 4 * u64::from(texture.width()) * u64::from(texture.height())).sum()
    }
}

impl Drop for Textures {
    fn drop(&mut self) {
        self.0.iter().for_each(wgpu::Texture::destroy);
    }
}
