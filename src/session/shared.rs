//! The part of a session that its handles share, and their calls.

use std::sync::{Arc, Mutex, PoisonError};

use crate::cpu;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::run::{Answer, Queue, Runner};
use crate::session::cpu_path;
use crate::session::device::{DeviceReport, open};
use crate::session::saved_pipelines::SavedPipelines;
use crate::session::tuning::{Tuning, taken_up};
use crate::session::worker::{Worker, poll};
use crate::store::Store;
use crate::variant::Element;
use crate::vit::{Config, Images, Options, Outputs, Tensors, Want};

/// The part of a session that its handles share.
#[derive(Debug)]
pub(super) struct Shared {
    pub backend: Backend,
    pub report: DeviceReport,
    pub store: Store,
    pub worker: Worker,
}

#[derive(Debug)]
pub(crate) enum Backend {
    Cpu(Arc<cpu::VisionTransformer>),
    Gpu(Arc<OnGpu>),
}

/// A network on a GPU.
#[derive(Debug)]
pub(crate) struct OnGpu {
    pub runner: Runner,
    /// The device as the table of device kinds has it; the network's own may be tuned.
    pub table: Gpu,
    pipelines: Option<Mutex<SavedPipelines>>,
}

impl Shared {
    pub fn config(&self) -> &Config {
        match &self.backend {
            Backend::Cpu(vit) => vit.config(),
            Backend::Gpu(gpu) => gpu.runner.config(),
        }
    }

    /// Appends a batch to a queue.
    pub fn push(&self, queue: &mut Queue, images: Images<'_>, options: &Options, want: Want) -> Result<()> {
        match &self.backend {
            Backend::Cpu(vit) => queue.push_done(cpu_path::run(vit, images, options, want)?),
            Backend::Gpu(gpu) => {
                let wait = |submission| Answer::known(poll(gpu.table.device(), submission));
                let pushed =
                    pollster::block_on(queue.push(gpu.runner.engine(), images, options, want, &wait));
                gpu.save_pipelines();
                pushed?;
            }
        }
        Ok(())
    }

    /// Takes the oldest batch off a queue.
    pub fn pop(&self, queue: &mut Queue) -> Option<Result<Outputs>> {
        match &self.backend {
            Backend::Cpu(_) => queue.pop_done(),
            Backend::Gpu(gpu) => {
                let wait = |submission| Answer::known(poll(gpu.table.device(), submission));
                pollster::block_on(queue.pop(gpu.runner.engine(), &wait))
            }
        }
    }

    /// [`push`](Self::push), with all that takes long done by the worker.
    pub async fn push_async(
        &self,
        queue: &mut Queue,
        images: Images<'_>,
        options: &Options,
        want: Want,
    ) -> Result<()> {
        let Shared { backend, worker, .. } = self;
        match backend {
            Backend::Cpu(vit) => {
                let (vit, images, options) = (vit.clone(), OwnedImages::from(images), options.clone());
                let outputs = worker.run(move || cpu_path::run(&vit, images.as_images(), &options, want));
                queue.push_done(outputs.await.unwrap_or_else(|| Err(ended()))?);
            }
            Backend::Gpu(gpu) => {
                self.prepare(gpu, images, options, want).await?;
                let wait = |submission| worker.poll(gpu.table.device(), submission);
                queue.push(gpu.runner.engine(), images, options, want, &wait).await?;
            }
        }
        Ok(())
    }

    /// [`pop`](Self::pop), with the worker waiting.
    pub async fn pop_async(&self, queue: &mut Queue) -> Option<Result<Outputs>> {
        let Shared { backend, worker, .. } = self;
        match backend {
            Backend::Cpu(_) => queue.pop_done(),
            Backend::Gpu(gpu) => {
                let wait = |submission| worker.poll(gpu.table.device(), submission);
                queue.pop(gpu.runner.engine(), &wait).await
            }
        }
    }

    /// Has the worker compile what a batch needs.
    async fn prepare(
        &self,
        gpu: &Arc<OnGpu>,
        images: Images<'_>,
        options: &Options,
        want: Want,
    ) -> Result<()> {
        let count = images.count(self.config())?;
        let input = images.input();
        let at_once = gpu.runner.engine().at_once(options, want);
        // Whole parts of a batch that is too large, and what is left of it.
        let parts =
            [at_once.min(count), if count > at_once { count % at_once } else { 0 }].map(|part| part as u32);
        let prepared = |part: u32| part == 0 || gpu.runner.engine().is_prepared(input, part, options, want);
        if parts.into_iter().all(prepared) {
            return Ok(());
        }
        let gpu = gpu.clone();
        let options = options.clone();
        let prepared = self.worker.run(move || {
            for part in parts.into_iter().filter(|&part| part > 0) {
                // What goes wrong goes wrong again where it can be helped: with fewer images, or after others.
                _ = pollster::block_on(gpu.runner.prepare(input, part, &options, want));
            }
            gpu.save_pipelines();
        });
        prepared.await.ok_or_else(ended)
    }
}

impl OnGpu {
    /// A network on the caller's device, of which nothing is kept.
    pub fn new(gpu: Gpu, queue: wgpu::Queue, config: Config, weights: &dyn Tensors) -> Result<Self> {
        let runner = pollster::block_on(Runner::open(gpu.clone(), queue, config, weights))?;
        Ok(OnGpu { runner, table: gpu, pipelines: None })
    }

    /// Opens an adapter, with what is kept for it; says what tuning was.
    pub async fn open(
        adapter: &wgpu::Adapter,
        element: Element,
        config: Config,
        weights: &dyn Tensors,
        store: &Store,
    ) -> Result<(Self, Option<Tuning>)> {
        let (gpu, queue) = open(adapter, element, store).await?;
        let (table, pipelines) = SavedPipelines::open(gpu, store);
        let (tuned, tuning) = taken_up(&table, store);
        let runner = Runner::open(tuned, queue, config, weights).await?;
        Ok((OnGpu { runner, table, pipelines: pipelines.map(Mutex::new) }, tuning))
    }

    /// Keeps what has been compiled since.
    pub fn save_pipelines(&self) {
        if let Some(pipelines) = &self.pipelines {
            let mut pipelines = pipelines.lock().unwrap_or_else(PoisonError::into_inner);
            pipelines.save(self.table.compiled());
        }
    }
}

/// Images that the worker may keep.
enum OwnedImages {
    Floats(Vec<f32>),
    Pixels(Vec<u8>),
    Textures(Vec<wgpu::Texture>),
}

impl From<Images<'_>> for OwnedImages {
    fn from(images: Images<'_>) -> Self {
        match images {
            Images::Normalised(values) => OwnedImages::Floats(values.to_vec()),
            Images::Pixels(pixels) => OwnedImages::Pixels(pixels.to_vec()),
            Images::Textures(textures) => OwnedImages::Textures(textures.to_vec()),
        }
    }
}

impl OwnedImages {
    fn as_images(&self) -> Images<'_> {
        match self {
            OwnedImages::Floats(values) => values.into(),
            OwnedImages::Pixels(pixels) => pixels.into(),
            OwnedImages::Textures(textures) => textures.into(),
        }
    }
}

fn ended() -> Error {
    let message = "a panic, or no thread could be had".into();
    Error::Device { what: "a call on the session's own thread".into(), message }
}
