//! A network on a GPU, ready to run.

use crate::error::Result;
use crate::gpu::Gpu;
use crate::run::answer::polled_by_others;
use crate::run::engine::Engine;
use crate::run::queue::Queue;
use crate::run::shared::SharedEngine;
use crate::run::stream::Stream;
use crate::vit::{Config, Images, Input, Options, Outputs, Tensors, Want};

/// A network on a GPU with its queue, ready to run: a handle, cheap to clone, whose clones share the network, what is
/// prepared for its schedules and batch sizes, and the buffers that batches travel through. Its calls are async and
/// never wait on the thread. In a browser that is all. Natively somebody has to poll the device
/// ([`wgpu::Device::poll`]) while a call is awaited; `Session` does.
///
/// ```
/// # use tome_wgpu::{Gpu, Result, run::Runner, vit::{Config, Options, Want, Tensors}};
/// async fn logits(
///     gpu: Gpu,
///     queue: wgpu::Queue,
///     config: Config,
///     weights: &dyn Tensors,
///     image: &[f32],
/// ) -> Result<Vec<f32>> {
///     let runner = Runner::open(gpu, queue, config, weights).await?;
///     Ok(runner.run(image, &Options::default(), Want::LOGITS).await?.logits)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Runner {
    engine: SharedEngine,
}

impl Runner {
    /// Puts a network on the caller's `Gpu`, with everything set on it: storage type, tiles, matrix units, checks.
    /// Weights are converted and uploaded within the call.
    ///
    /// # Errors
    /// Those of the device, the config and the weights; [`Error::Limit`](crate::Error::Limit) where not even one image
    /// fits.
    pub async fn open(gpu: Gpu, queue: wgpu::Queue, config: Config, weights: &dyn Tensors) -> Result<Self> {
        #[cfg(target_arch = "wasm32")]
        let gpu = gpu.writing_by(&queue);
        let engine = Engine::new(&gpu, &queue, config, weights)?;
        gpu.settle().await?;
        Ok(Runner { engine: SharedEngine::new(engine, queue) })
    }

    /// The network's config.
    pub fn config(&self) -> &Config {
        self.engine.config()
    }

    /// The device that it is on.
    pub fn gpu(&self) -> &Gpu {
        self.engine.vit().gpu()
    }

    /// Makes ready what [`run`](Self::run) needs for a batch of so many images of a kind: compiled pipelines, bound
    /// buffers. Without it the first run does.
    ///
    /// # Errors
    /// [`Error::Limit`](crate::Error::Limit) where the batch does not fit the device at once,
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory), [`Error::Shader`](crate::Error::Shader); those of
    /// [`Options::check`].
    pub async fn prepare(
        &self,
        input: Input,
        batch: u32,
        options: &Options,
        want: impl Into<Want>,
    ) -> Result<()> {
        self.engine.prepare(input, batch, options, want.into()).await
    }

    /// Runs any number of images, as many at once as the device can bind and has memory for. A slice of `f32` holds
    /// them normalised, one of `u8` as pixels, of the shapes that [`Images`] has; one of textures, or a texture, stays on
    /// the device. A NaN in an image makes that image's results NaN and leaves the others alone. The future may be
    /// dropped at any point.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) where `images` is empty or no whole number of images, or a texture
    /// cannot be read; [`Error::OutOfMemory`](crate::Error::OutOfMemory),
    /// [`Error::DeviceLost`](crate::Error::DeviceLost) and the like from the device.
    pub async fn run<'i>(
        &self,
        images: impl Into<Images<'i>>,
        options: &Options,
        want: impl Into<Want>,
    ) -> Result<Outputs> {
        let mut queue = Queue::default();
        queue.push(&self.engine, images.into(), options, want.into(), &polled_by_others).await?;
        queue.pop(&self.engine, &polled_by_others).await.unwrap_or_else(|| Ok(Outputs::default()))
    }

    /// A way to run batch after batch without waiting for each before the next is handed over.
    pub fn stream(&self, options: &Options, want: impl Into<Want>) -> Stream {
        Stream::new(self.engine.clone(), options.clone(), want.into())
    }

    /// The engine that does it, for streams and measurements.
    #[cfg(feature = "blocking")]
    pub(crate) fn engine(&self) -> &SharedEngine {
        &self.engine
    }
}
