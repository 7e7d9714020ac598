//! A network on WebGPU.

use js_sys::Function;
use tome_wgpu::run::Runner;
use tome_wgpu::vit::{Config, Input, Options, Outputs, Tensors, Want};
use tome_wgpu::{Element, Error, Gpu, Result, wanted_device};
use wasm_bindgen::JsValue;

pub struct Engine {
    device: wgpu::Device,
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
        let opened = adapter.request_device(&wanted_device(&adapter, element)).await;
        let (device, queue) = opened.map_err(|error| refused(error.to_string()))?;
        device.set_device_lost_callback(move |_, message| {
            // Nobody is left to be told of what it throws.
            _ = lost.call1(&JsValue::NULL, &message.into());
        });
        let gpu = Gpu::with_element(&device, element)?;
        let runner = Runner::open(gpu, queue, config.clone(), weights).await?;
        Ok(Engine { device, runner })
    }

    pub async fn prepare(&self, batch: u32, options: &Options, want: Want) -> Result<()> {
        self.runner.clone().prepare(Input::Pixels, batch, options, want).await
    }

    pub async fn run(&self, pixels: &[u8], options: &Options, want: Want) -> Result<Outputs> {
        self.runner.clone().run(pixels, options, want).await
    }

    pub fn destroy(&self) {
        self.device.destroy();
    }
}
