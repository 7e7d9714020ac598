//! A network on a device.

use std::sync::Arc;

use super::buffers::Buffers;
use super::config::{Config, Wiring};
use super::images::Input;
use super::options::Options;
use super::parameters::{Parameters, Storage};
use super::plan::Plan;
use super::tensors::Tensors;
use crate::error::{Error, Result};
use crate::gpu::Gpu;

/// A network whose weights are on a device. Cloning is cheap and shares them.
#[derive(Clone, Debug)]
pub struct VisionTransformer {
    gpu: Gpu,
    config: Config,
    parameters: Arc<Parameters<wgpu::Buffer>>,
    bytes: u64,
}

/// The device in the storage type that the network can have.
fn for_network(gpu: &Gpu, config: &Config) -> Gpu {
    if config.wiring == Wiring::PostNorm { gpu.in_f32() } else { gpu.clone() }
}

impl VisionTransformer {
    /// Checks config and weights and puts the weights on the device, one tensor after the other.
    ///
    /// # Errors
    /// Those of [`Parameters::load`] and of [`Gpu::buffer`].
    pub fn new(gpu: &Gpu, config: Config, weights: &dyn Tensors) -> Result<Self> {
        Self::load(gpu, config, weights, |_| ())
    }

    /// [`new`](Self::new) that tells `uploaded`, after each tensor, the bytes that the device has been given so far. wgpu
    /// keeps a copy of them in host memory until something is submitted: for a large network the owner of the queue
    /// calls `queue.submit([])` now and then.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn load(
        gpu: &Gpu,
        config: Config,
        weights: &dyn Tensors,
        mut uploaded: impl FnMut(u64),
    ) -> Result<Self> {
        let gpu = &for_network(gpu, &config);
        let mut bytes = 0;
        let parameters = Parameters::load(&config, weights, |name, storage, data| {
            let buffer = match storage {
                Storage::Elem => gpu.weight_buffer_with(name, &data)?,
                Storage::F32 => gpu.buffer_with(name, &data)?,
            };
            bytes += buffer.size();
            uploaded(bytes);
            Ok(buffer)
        })?;
        Ok(VisionTransformer { gpu: gpu.clone(), config, parameters: Arc::new(parameters), bytes })
    }

    /// The same network, sharing the weights, by other kernels of the same device and storage type.
    #[cfg(feature = "blocking")]
    pub(crate) fn on(&self, gpu: Gpu) -> Self {
        VisionTransformer { gpu: for_network(&gpu, &self.config), ..self.clone() }
    }

    /// The network's config.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The device it is on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Bytes of device memory of its weights.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The network for batches of `batch` images, normalised floats, as a list of dispatches with its own activations.
    /// Costs memory and time; make it once and encode it for every batch.
    ///
    /// # Errors
    /// [`Error::Input`] for a batch of 0, [`Error::Limit`] for one larger
    /// than [`max_batch`](Self::max_batch), [`Error::OutOfMemory`].
    pub fn plan(&self, batch: u32, options: &Options) -> Result<Plan> {
        self.plan_for(Input::Floats, batch, options)
    }

    /// [`plan`](Self::plan) for another kind of images.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub fn plan_for(&self, input: Input, batch: u32, options: &Options) -> Result<Plan> {
        if self.config.packed.is_some() && input != Input::Floats {
            return Err(Error::Input("pictures of any shape are packed into floats: `Config::pack`".into()));
        }
        self.check_batch(batch)?;
        options.check(&self.config)?;
        let buffers = Arc::new(Buffers::new(&self.gpu, &self.config, batch, options)?);
        Plan::new(&self.gpu, &self.config, self.parameters.clone(), buffers, (input, batch), options)
    }

    /// A plan for batches of the same size as another's, on its activations: it costs next to no memory, and the two
    /// are encoded one after the other, never for batches that are on their way at the same time. Where the other's
    /// activations have no room for what the options ask, it has its own.
    ///
    /// # Errors
    /// [`Error::Input`] where the other is no plan of this network; as [`plan`](Self::plan).
    pub fn plan_beside(&self, other: &Plan, input: Input, options: &Options) -> Result<Plan> {
        if !Arc::ptr_eq(&other.parameters, &self.parameters) {
            return Err(Error::Input("a plan beside that of another network".into()));
        }
        if !other.buffers.suit(&self.config, options) {
            return self.plan_for(input, other.batch(), options);
        }
        options.check(&self.config)?;
        let (p, buffers) = (self.parameters.clone(), other.buffers.clone());
        Plan::new(&self.gpu, &self.config, p, buffers, (input, other.batch()), options)
    }

    /// Whether a batch is one and its buffers can be bound.
    pub(crate) fn check_batch(&self, batch: u32) -> Result<()> {
        if batch == 0 {
            return Err(Error::Input("a batch of 0 images".into()));
        }
        let most = self.max_batch();
        if batch <= most {
            return Ok(());
        }
        let per_image = Buffers::largest_per_image(&self.config) * 4;
        Err(Error::Limit {
            what: format!("a batch of {} (the most that fits is {most})", self.config.name),
            limit: "max_storage_buffer_binding_size",
            need: u64::from(batch).saturating_mul(per_image),
            have: self.largest_buffer(),
        })
    }

    /// Bytes of the largest buffer that can be bound.
    fn largest_buffer(&self) -> u64 {
        let limits = &self.gpu.caps().limits;
        limits.max_buffer_size.min(limits.max_storage_buffer_binding_size)
    }

    /// The most images a batch whose buffers this device can still bind; 0 where not even one fits.
    pub fn max_batch(&self) -> u32 {
        let elements = self.largest_buffer() / 4;
        let most = elements.min(u64::from(u32::MAX)) / Buffers::largest_per_image(&self.config);
        most.min(u64::from(u32::MAX)) as u32
    }
}
