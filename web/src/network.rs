//! A network that JavaScript holds.

use std::rc::Rc;

use js_sys::{Function, Promise};
use tome_wgpu::vit::{Config, Options};
use tome_wgpu::{Error, files};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::future_to_promise;
use web_sys::ImageData;

#[cfg(feature = "cpu")]
use crate::cpu::Engine;
use crate::errors::thrown;
use crate::files::Files;
#[cfg(feature = "gpu")]
use crate::gpu::Engine;
use crate::{about, merging, pixels, results};

/// A network, ready to run. Its calls may overlap, and it may be freed while they last.
#[wasm_bindgen]
pub struct Network(Rc<Shared>);

struct Shared {
    config: Config,
    warnings: Vec<String>,
    fitted: Option<Options>,
    engine: Engine,
}

#[wasm_bindgen]
impl Network {
    /// Opens a network in `f32` or `f16`. `lost` is called with the reason when its device is lost.
    pub async fn open(files: Files, precision: String, lost: Function) -> Result<Network, JsValue> {
        let shared = Shared::open(files, &precision, lost).await.map_err(thrown)?;
        Ok(Network(Rc::new(shared)))
    }

    /// What it is, as JSON.
    pub fn about(&self) -> String {
        let Shared { config, warnings, fitted, .. } = &*self.0;
        about::network(config, warnings, fitted.is_some()).to_string()
    }

    /// A picture resized and cropped, as RGBA pixels.
    pub fn fit(&self, picture: &ImageData) -> Result<Vec<u8>, JsValue> {
        pixels::fit(picture, &self.0.config).map_err(thrown)
    }

    /// Runs pictures: each an `ImageData`, on a GPU also an `ImageBitmap`.
    pub fn run(&self, pictures: Vec<JsValue>, merging: String, want: String) -> Promise {
        let shared = self.0.clone();
        future_to_promise(async move {
            let run = async {
                let (options, want) = (shared.options(&merging)?, merging::want(&want)?);
                let outputs = shared.engine.run(&pictures, &options, want).await?;
                Ok(results::object(&outputs, want))
            };
            run.await.map_err(thrown)
        })
    }

    /// Makes ready what a batch of so many pictures needs, and says as JSON what it is.
    pub fn plan(&self, merging: String, batch: u32, want: String) -> Promise {
        let shared = self.0.clone();
        future_to_promise(async move {
            let plan = async {
                let options = shared.options(&merging)?;
                options.check(&shared.config)?;
                shared.engine.prepare(batch, &options, merging::want(&want)?).await?;
                Ok(about::plan(&shared.config, &options).to_string().into())
            };
            plan.await.map_err(thrown)
        })
    }

    /// Gives up the device and its memory at once. Calls that are on their way end with an error.
    pub fn destroy(&self) {
        self.0.engine.destroy();
    }
}

impl Shared {
    async fn open(files: Files, precision: &str, lost: Function) -> Result<Self, Error> {
        let Files { model, fitted } = files;
        let (config, checkpoint) = files::load_files(model)?;
        if config.frames > 1 {
            let why = "pictures are one frame; the command runs networks of films".into();
            let (field, value) = ("num_frames".into(), config.frames.to_string());
            return Err(Error::Unsupported { field, value, why });
        }
        if config.packed.is_some() {
            let why = "its pictures have any shape (NaFlex); the command runs it".into();
            return Err(Error::Unsupported { field: "model_type".into(), value: config.name, why });
        }
        if config.sound.is_some() {
            let why = "it hears; the command runs networks of sounds".into();
            return Err(Error::Unsupported { field: "model_type".into(), value: config.name, why });
        }
        let mut warnings = checkpoint.warnings().to_vec();
        let fitted = match fitted {
            Some(text) => {
                let (options, guess) = merging::fitted(&text, &config)?;
                warnings.extend(guess);
                Some(options)
            }
            None => None,
        };
        let engine = Engine::open(&config, &checkpoint, precision, lost).await?;
        Ok(Shared { config, warnings, fitted, engine })
    }

    fn options(&self, merging: &str) -> Result<Options, Error> {
        merging::options(merging, &self.config, self.fitted.as_ref())
    }
}
