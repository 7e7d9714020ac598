//! `Session`: a network ready to run, wherever that is.

use std::sync::Arc;

use crate::cpu;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::run::Queue;
use crate::session::device::{DeviceChoice, DeviceReport, candidates};
use crate::session::shared::{Backend, OnGpu, Shared};
use crate::session::stream::Stream;
use crate::session::worker::Worker;
use crate::store::Store;
use crate::variant::{Element, Tile};
use crate::vit::{Config, Images, Input, Options, Outputs, Scores, Tensors, Want};

/// A network ready to run, on a GPU or on the CPU path: a handle, cheap to clone, that any number of threads may use at
/// once. Schedules and batch sizes can differ from call to call; what is prepared for them is kept for the next.
///
/// Its async calls never block the thread, and are polled again only when there is something to do: a thread of the
/// session's own, started by the first of them, waits for the device or computes on the CPU path.
#[derive(Clone, Debug)]
pub struct Session(Arc<Shared>);

impl Session {
    /// Chooses a device and prepares the network on it in 32-bit floats, waiting for the driver. Where the driver hands
    /// out what it has compiled (Vulkan), that is kept for the next start in the [user's store](Store::user).
    ///
    /// # Errors
    /// [`Error::NoAdapter`] where no adapter is what was asked for; those of the device, the config and the weights.
    pub fn new(config: Config, weights: &dyn Tensors, device: &DeviceChoice) -> Result<Self> {
        Self::with_element(config, weights, device, Element::F32)
    }

    /// [`Session::new`] with another storage type of activations and weights. Results come in 32 bits all the same.
    ///
    /// # Errors
    /// As [`Session::new`], and [`Error::Device`] where the device does not have the type; the CPU path has 32 bits
    /// only.
    pub fn with_element(
        config: Config,
        weights: &dyn Tensors,
        device: &DeviceChoice,
        element: Element,
    ) -> Result<Self> {
        pollster::block_on(Self::open(config, weights, device, element, &Store::user()))
    }

    /// [`Session::with_element`] without waiting for the driver on the thread, and with a store of the caller's. The
    /// weights are converted within the call.
    ///
    /// # Errors
    /// As [`Session::with_element`].
    pub async fn open(
        config: Config,
        weights: &dyn Tensors,
        device: &DeviceChoice,
        element: Element,
        store: &Store,
    ) -> Result<Self> {
        cpu::make_threads();
        let (adapters, mut why) = candidates(device).await?;
        for adapter in &adapters {
            let opened = OnGpu::open(adapter, element, config.clone(), weights, store).await;
            match opened {
                Ok((gpu, tuning)) => {
                    if let Tile::Cooperative { .. } = gpu.table.variant().tile {
                        why.push_str(", by its matrix units");
                    }
                    if gpu.table.caps().fxc {
                        why.push_str(
                            ", by FXC: dxcompiler.dll beside the program gives f16, subgroups and larger tiles to drivers of \
                             shader model 6",
                        );
                    }
                    let report = DeviceReport::gpu(&adapter.get_info(), element, why);
                    let report = DeviceReport { tuning, ..report };
                    return Ok(Self::from_backend(Backend::Gpu(Arc::new(gpu)), report, store.clone()));
                }
                // Whatever is wrong with a GPU that nobody asked for, the CPU path works.
                Err(error) if *device == DeviceChoice::Auto => {
                    why = format!("{} cannot be used: {error}", adapter.get_info().name);
                }
                Err(error) => return Err(error),
            }
        }
        if element != Element::F32 {
            let message = format!("the CPU path computes in 32-bit floats ({why})");
            return Err(Error::Device { what: format!("{} storage", element.name()), message });
        }
        let backend = Backend::Cpu(Arc::new(cpu::VisionTransformer::new(config, weights)?));
        Ok(Self::from_backend(backend, DeviceReport::cpu(why), store.clone()))
    }

    /// Prepares the network on the caller's `Gpu`, with everything set on it: storage type, tiles, matrix units, checks.
    /// Its device may be a software driver. Nothing is kept from run to run.
    ///
    /// ```no_run
    /// # use tome_wgpu::{Element, Gpu, Result, Session, vit::{Config, Tensors}};
    /// # fn half(device: &wgpu::Device, queue: wgpu::Queue, config: Config, weights: &dyn Tensors) -> Result<Session> {
    /// Session::on(Gpu::with_element(device, Element::F16)?, queue, config, weights)
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of the device, the config and the weights.
    pub fn on(gpu: Gpu, queue: wgpu::Queue, config: Config, weights: &dyn Tensors) -> Result<Self> {
        let (info, element) = (gpu.device().adapter_info(), gpu.variant().element);
        let report = DeviceReport::gpu(&info, element, "the caller's device".into());
        let backend = Backend::Gpu(Arc::new(OnGpu::new(gpu, queue, config, weights)?));
        Ok(Self::from_backend(backend, report, Store::Nothing))
    }

    fn from_backend(backend: Backend, report: DeviceReport, store: Store) -> Self {
        Session(Arc::new(Shared { backend, report, store, worker: Worker::default() }))
    }

    /// The network's config.
    pub fn config(&self) -> &Config {
        self.0.config()
    }

    /// The device that it runs on, and why that.
    pub fn device(&self) -> &DeviceReport {
        &self.0.report
    }

    /// The place of what is kept from run to run.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.0.backend
    }

    /// The calls of kernels that run a batch of pictures, a line each; none on the CPU path, which makes none.
    ///
    /// # Errors
    /// As [`VisionTransformer::plan`](crate::vit::VisionTransformer::plan).
    pub fn calls(&self, batch: u32, options: &Options) -> Result<Option<String>> {
        match &self.0.backend {
            Backend::Cpu(_) => options.check(self.config()).map(|()| None),
            Backend::Gpu(gpu) => {
                let config = self.config();
                // Spectrograms and pictures of any shape come as floats.
                let floats = config.sound.is_some() || config.packed.is_some();
                let input = if floats { Input::Floats } else { Input::Pixels };
                let plan = gpu.runner.engine().vit().plan_for(input, batch, options)?;
                Ok(Some(plan.to_string()))
            }
        }
    }

    /// Runs any number of images, as many at once as the device can bind and has memory for. A slice of `f32` holds
    /// them normalised, one of `u8` as pixels, of the shapes that [`Images`] has; one of textures, or a texture, stays on
    /// the device, which has to be the session's: [`Session::on`]. A NaN in an image makes that image's results NaN and
    /// leaves the others alone.
    ///
    /// # Errors
    /// [`Error::Input`] where `images` is empty or no whole number of images, or a texture cannot be read, as on the CPU
    /// path; [`Error::OutOfMemory`],
    /// [`Error::DeviceLost`] and the like from the device.
    pub fn run<'i>(
        &self,
        images: impl Into<Images<'i>>,
        options: &Options,
        want: impl Into<Want>,
    ) -> Result<Outputs> {
        let mut queue = Queue::default();
        self.0.push(&mut queue, images.into(), options, want.into())?;
        self.0.pop(&mut queue).unwrap_or_else(|| Ok(Outputs::default()))
    }

    /// [`Session::run`] without blocking the thread. The future may be dropped at any point.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn run_async<'i>(
        &self,
        images: impl Into<Images<'i>>,
        options: &Options,
        want: impl Into<Want>,
    ) -> Result<Outputs> {
        let (images, want, mut queue) = (images.into(), want.into(), Queue::default());
        self.0.push_async(&mut queue, images, options, want).await?;
        self.0.pop_async(&mut queue).await.unwrap_or_else(|| Ok(Outputs::default()))
    }

    /// A way to run batch after batch without waiting for each before the next is handed over.
    pub fn stream(&self, options: &Options, want: impl Into<Want>) -> Stream {
        Stream::new(self.0.clone(), options.clone(), want.into())
    }

    /// The `top` most probable classes of each image with their probabilities, best first: softmax over all, or sigmoid of
    /// each where they do not exclude each other ([`Config::scores`]).
    ///
    /// # Errors
    /// [`Error::Input`] for a network without classes, and where a logit is NaN; those of [`Session::run`].
    pub fn classify<'i>(
        &self,
        images: impl Into<Images<'i>>,
        options: &Options,
        top: usize,
    ) -> Result<Vec<Vec<(usize, f32)>>> {
        let scores = self.config().scores;
        if scores == Scores::None {
            return Err(Error::Input("the network has no classes; its features can be had".into()));
        }
        let outputs = self.run(images, options, Want::LOGITS)?;
        (0..outputs.batch).map(|image| outputs.classes_of(image, scores, top)).collect()
    }

    /// The pooled features of each image, `[batch, channels]`.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn features<'i>(&self, images: impl Into<Images<'i>>, options: &Options) -> Result<Vec<f32>> {
        Ok(self.run(images, options, Want::FEATURES)?.features)
    }
}
