//! `Session`: a network ready to run, wherever that is.

use std::path::PathBuf;
use std::time::Instant;

use crate::caps::{Element, Tile};
use crate::cpu;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::session::device::{DeviceChoice, DeviceReport, candidates, open};
use crate::session::engine::Engine;
use crate::session::measure::Measured;
use crate::session::pipeline_file::PipelineFile;
use crate::session::profile::Profile;
use crate::session::readback::Wait;
use crate::session::stream::{Queue, Stream};
use crate::session::tuning::{Tuned, Tuning};
use crate::vit::{Config, Images, Options, Outputs, Tensors};

/// Which results are read back, by the names of [`Outputs`]; the others are left empty. `dense` is only
/// computed where it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// `[batch, classes]`
    pub logits: bool,
    /// `[batch, channels]`
    pub features: bool,
    /// `[batch, merged tokens, channels]`
    pub tokens: bool,
    /// `[batch, merged tokens]`
    pub size: bool,
    /// `[batch, original tokens]`
    pub source: bool,
    /// `[batch, rows, columns, channels]`
    pub dense: bool,
    /// `[batch, blocks, original tokens]`
    pub source_per_block: bool,
}

impl Want {
    /// Everything.
    pub const ALL: Want = Want {
        logits: true,
        features: true,
        tokens: true,
        size: true,
        source: true,
        dense: true,
        source_per_block: true,
    };
    /// Nothing; for `Want { size: true, ..Want::NONE }`.
    pub const NONE: Want = Want {
        logits: false,
        features: false,
        tokens: false,
        size: false,
        source: false,
        dense: false,
        source_per_block: false,
    };
    /// Logits alone.
    pub const LOGITS: Want = Want { logits: true, ..Want::NONE };
    /// Features alone.
    pub const FEATURES: Want = Want { features: true, ..Want::NONE };
}

/// A network ready to run, on a GPU or on the CPU path. Schedules and batch sizes can differ from call to call; what
/// is prepared for them is kept for the next.
#[derive(Debug)]
pub struct Session {
    backend: Backend,
    report: DeviceReport,
    /// What [`Session::measure`] runs on: a batch of the network's inputs.
    inputs: Vec<f32>,
}

/// Images after which the CPU path drops what is not wanted.
const CPU_CHUNK: usize = 64;

#[derive(Debug)]
enum Backend {
    Cpu(Box<cpu::VisionTransformer>),
    Gpu(Box<Engine>),
}

impl Session {
    /// Chooses a device and prepares the network on it in 32-bit floats, waiting for the driver. Where the driver hands
    /// out what it has compiled (Vulkan), that is kept for the next start in the user's cache folder (`tome-wgpu` in
    /// `~/.cache` on Linux); the environment variable `TOME_CACHE_DIR` names another, or none if it is empty.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] where no adapter is what was asked for; what the device, the config and the weights say.
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
        pollster::block_on(Self::new_async(config, weights, device, element))
    }

    /// [`Session::with_element`] without blocking on the driver.
    ///
    /// # Errors
    /// As [`Session::with_element`].
    pub async fn new_async(
        config: Config,
        weights: &dyn Tensors,
        device: &DeviceChoice,
        element: Element,
    ) -> Result<Self> {
        let (adapters, mut why) = candidates(device).await?;
        for adapter in &adapters {
            let engine = match open(adapter, element).await {
                Ok((gpu, queue)) => {
                    if let Tile::Cooperative { .. } = gpu.variant().tile {
                        why.push_str(", by its matrix units");
                    }
                    let pipelines = PipelineFile::open(gpu.device());
                    Engine::new(gpu, queue, config.clone(), weights, pipelines)
                }
                Err(error) => Err(error),
            };
            match engine {
                Ok(mut engine) => {
                    let tuning = engine.take_up_tuning();
                    let report =
                        DeviceReport { tuning, ..DeviceReport::gpu(&adapter.get_info(), element, why) };
                    return Ok(Self::from_backend(Backend::Gpu(Box::new(engine)), report));
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
        let vit = cpu::VisionTransformer::new(config, weights)?;
        Ok(Self::from_backend(Backend::Cpu(Box::new(vit)), DeviceReport::cpu(why)))
    }

    /// Prepares the network on the caller's device, which may be a software driver, in 32-bit floats. Nothing is kept on
    /// disk.
    ///
    /// # Errors
    /// What the device, the config and the weights say.
    pub fn with_device(
        device: wgpu::Device,
        queue: wgpu::Queue,
        config: Config,
        weights: &dyn Tensors,
    ) -> Result<Self> {
        let why = "the caller's device".into();
        let report = DeviceReport::gpu(&device.adapter_info(), Element::F32, why);
        let engine = Engine::new(Gpu::new(&device)?, queue, config, weights, None)?;
        Ok(Self::from_backend(Backend::Gpu(Box::new(engine)), report))
    }

    fn from_backend(backend: Backend, report: DeviceReport) -> Self {
        Session { backend, report, inputs: Vec::new() }
    }

    /// What the network is.
    pub fn config(&self) -> &Config {
        match &self.backend {
            Backend::Cpu(vit) => vit.config(),
            Backend::Gpu(engine) => engine.vit.config(),
        }
    }

    /// What it runs on, and why.
    pub fn device(&self) -> &DeviceReport {
        &self.report
    }

    /// Runs any number of images, as many at once as the device can bind and has memory for. A slice of `f32` holds
    /// them normalised, `[batch, in_chans, height, width]`, one of `u8` as pixels, see [`Images`]. A NaN in an image makes
    /// that image's results NaN and leaves the others alone.
    ///
    /// # Errors
    /// [`Error::Input`] where `images` is empty or no whole number of images; [`Error::OutOfMemory`],
    /// [`Error::DeviceLost`] and the like from the device.
    pub fn run<'i>(
        &mut self,
        images: impl Into<Images<'i>>,
        options: &Options,
        want: Want,
    ) -> Result<Outputs> {
        pollster::block_on(self.run_waiting(images.into(), options, want, Wait::Block))
    }

    /// [`Session::run`] that yields to the executor while the device works, asking to be polled again at once. It may
    /// be dropped at any point. The CPU path computes within the call.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn run_async<'i>(
        &mut self,
        images: impl Into<Images<'i>>,
        options: &Options,
        want: Want,
    ) -> Result<Outputs> {
        self.run_waiting(images.into(), options, want, Wait::Yield).await
    }

    /// A way to run batch after batch without waiting for each before the next is handed over.
    pub fn stream(&mut self, options: &Options, want: Want) -> Stream<'_> {
        Stream::new(self, options.clone(), want)
    }

    async fn run_waiting(
        &mut self,
        images: Images<'_>,
        options: &Options,
        want: Want,
        wait: Wait,
    ) -> Result<Outputs> {
        let mut queue = Queue::default();
        self.push(&mut queue, images, options, want, wait).await?;
        self.pop(&mut queue, wait).await.unwrap_or_else(|| Ok(Outputs::default()))
    }

    /// Appends a batch to a queue.
    pub(super) async fn push(
        &mut self,
        queue: &mut Queue,
        images: Images<'_>,
        options: &Options,
        want: Want,
        wait: Wait,
    ) -> Result<()> {
        let per_image = self.config().image_values();
        if images.is_empty() || !images.len().is_multiple_of(per_image) {
            let given = images.len();
            return Err(Error::Input(format!("{given} values are no whole number of images of {per_image}")));
        }
        match &mut self.backend {
            Backend::Cpu(vit) => {
                let mut all = Outputs::default();
                let mut rest = images;
                while !rest.is_empty() {
                    let (chunk, others) = rest.split_at(rest.len().min(per_image * CPU_CHUNK));
                    let mut outputs = vit.forward(&chunk.normalised(vit.config()), options)?;
                    if want.dense {
                        outputs.dense = vit.dense(&outputs);
                    }
                    all.append(keep(outputs, want));
                    rest = others;
                }
                queue.push_done(all);
                Ok(())
            }
            Backend::Gpu(engine) => queue.push(engine, images, options, want, wait).await,
        }
    }

    /// Takes the oldest batch off a queue.
    pub(super) async fn pop(&mut self, queue: &mut Queue, wait: Wait) -> Option<Result<Outputs>> {
        match &mut self.backend {
            Backend::Cpu(_) => queue.pop_done(),
            Backend::Gpu(engine) => queue.pop(engine, wait).await,
        }
    }

    /// The `top` most probable classes of each image with their probabilities, best first.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn classify<'i>(
        &mut self,
        images: impl Into<Images<'i>>,
        options: &Options,
        top: usize,
    ) -> Result<Vec<Vec<(usize, f32)>>> {
        let outputs = self.run(images, options, Want::LOGITS)?;
        Ok((0..outputs.batch).map(|image| outputs.top(image, top)).collect())
    }

    /// The pooled features of each image, `[batch, channels]`.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn features<'i>(&mut self, images: impl Into<Images<'i>>, options: &Options) -> Result<Vec<f32>> {
        Ok(self.run(images, options, Want::FEATURES)?.features)
    }

    /// Times one forward pass of `batch` images that are already on the device. On a GPU the first call for a batch
    /// and options also compiles and warms up, untimed.
    ///
    /// # Errors
    /// [`Error::Limit`] where the batch does not fit the device at once; as [`Session::run`] otherwise.
    pub fn measure(&mut self, batch: usize, options: &Options) -> Result<Measured> {
        let values = self.make_inputs(batch)?;
        let inputs = &self.inputs[..values];
        match &mut self.backend {
            Backend::Gpu(engine) => engine.measure(inputs, options),
            Backend::Cpu(vit) => {
                let start = Instant::now();
                vit.forward(inputs, options)?;
                Ok(Measured { seconds: start.elapsed().as_secs_f64(), peak_bytes: vit.bytes() })
            }
        }
    }

    /// The part of a forward pass's kernel time that goes into matching and merging, by timestamps; none where the
    /// adapter has none, and for the CPU path. The LayerNorm that follows merging is part of it, as one kernel does
    /// both.
    ///
    /// # Errors
    /// As [`Session::measure`].
    pub fn merge_share(&mut self, batch: usize, options: &Options) -> Result<Option<f64>> {
        let values = self.make_inputs(batch)?;
        match &mut self.backend {
            Backend::Gpu(engine) => engine.merge_share(&self.inputs[..values], options),
            Backend::Cpu(_) => Ok(None),
        }
    }

    /// Where a forward pass spends its time, kernel by kernel, by timestamps; none where the adapter has none, and for
    /// the CPU path.
    ///
    /// # Errors
    /// As [`Session::measure`].
    pub fn profile(&mut self, batch: usize, options: &Options) -> Result<Option<Profile>> {
        let values = self.make_inputs(batch)?;
        match &mut self.backend {
            Backend::Gpu(engine) => engine.profile(&self.inputs[..values], options),
            Backend::Cpu(_) => Ok(None),
        }
    }

    /// Times a forward pass without merging for every way of cutting matrix products into tiles that makes a difference
    /// for these batches: kinds of tile, and how their size is chosen. All take turns for so many rounds (at least one),
    /// as devices drift, and count only where their logits agree with those of the table's choice. Nothing changes by
    /// it, see [`Session::save_tuning`].
    ///
    /// # Errors
    /// [`Error::NoAdapter`] on the CPU path, [`Error::Input`] without batches; as [`Session::measure`].
    pub fn tune(&mut self, batches: &[usize], rounds: usize) -> Result<Tuned> {
        self.engine()?;
        let Some(&most) = batches.iter().max() else {
            return Err(Error::Input("no batches to tune for".into()));
        };
        if batches.contains(&0) {
            return Err(Error::Input("a batch of 0 images".into()));
        }
        let values = self.make_inputs(most)?;
        let batches: Vec<u32> = batches.iter().map(|&batch| batch as u32).collect();
        self.engine()?.tune(&self.inputs[..values], &batches, rounds.max(1))
    }

    /// Keeps a tuning for this device, its driver and the storage type in the user's cache folder (see
    /// [`Session::new`]), and says where. Sessions take it up when they are made, unless they are made with
    /// [`Session::with_device`].
    ///
    /// # Errors
    /// [`Error::NoAdapter`] on the CPU path; [`Error::File`] where there is no folder or it cannot be written.
    pub fn save_tuning(&self, tuning: Tuning) -> Result<PathBuf> {
        self.engine()?.save_tuning(tuning)
    }

    /// Removes what [`Session::save_tuning`] has kept for this device, driver and storage type; says whether there was
    /// anything.
    ///
    /// # Errors
    /// As [`Session::save_tuning`].
    pub fn forget_tuning(&self) -> Result<bool> {
        self.engine()?.forget_tuning()
    }

    /// The device, where it is one that can be tuned.
    fn engine(&self) -> Result<&Engine> {
        match &self.backend {
            Backend::Gpu(engine) => Ok(engine),
            Backend::Cpu(_) => {
                Err(Error::NoAdapter(format!("the CPU path has nothing to tune ({})", self.report.why)))
            }
        }
    }

    /// Inputs for a batch; says how many values they are.
    fn make_inputs(&mut self, batch: usize) -> Result<usize> {
        let per_image = self.config().image_values();
        let wrong = || Error::Input(format!("a batch of {batch} images"));
        let count = u32::try_from(batch).ok().filter(|&count| count > 0).ok_or_else(wrong)?;
        if let Backend::Gpu(engine) = &mut self.backend {
            // Says so where it does not fit, before inputs are made for it.
            engine.fits(count)?;
        }
        let values = batch.checked_mul(per_image).ok_or_else(wrong)?;
        if self.inputs.len() < values {
            // Not the same for any two patches or images: equal tokens would make merging trivial.
            self.inputs = (0..values).map(|i| ((i as f32 * 0.618_034).fract() - 0.5) * 2.0).collect();
        }
        Ok(values)
    }
}

/// What is wanted of results that have everything.
fn keep(all: Outputs, want: Want) -> Outputs {
    fn part<T>(wanted: bool, values: Vec<T>) -> Vec<T> {
        if wanted { values } else { Vec::new() }
    }
    Outputs {
        batch: all.batch,
        merged: all.merged,
        logits: part(want.logits, all.logits),
        features: part(want.features, all.features),
        tokens: part(want.tokens, all.tokens),
        size: part(want.size, all.size),
        source: part(want.source, all.source),
        dense: part(want.dense, all.dense),
        source_per_block: part(want.source_per_block, all.source_per_block),
    }
}
