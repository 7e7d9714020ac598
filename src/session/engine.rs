//! A network on a GPU with its queue: the only code that submits.

use crate::error::{Error, Result};
use crate::gpu::{Gpu, guarded};
use crate::session::readback::{Wait, map, view};
use crate::session::run::Want;
use crate::vit::{Config, Options, Outputs, Plan, VisionTransformer, Weights};

/// Plans kept for later batches, as long as there is memory: comparing schedules takes one each.
const PLANS_KEPT: usize = 8;

#[derive(Debug)]
pub(super) struct Engine {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub vit: VisionTransformer,
    /// The last used comes last.
    plans: Vec<Prepared>,
    /// The most images at once: what the device can bind, less where it has turned out to lack the memory.
    at_once: usize,
}

/// A plan with the buffer that its results are read through.
#[derive(Debug)]
pub(super) struct Prepared {
    pub plan: Plan,
    options: Options,
    staging: wgpu::Buffer,
    /// It has run, so that everything is compiled and its input holds images.
    pub warm: bool,
}

impl Engine {
    pub fn new(device: wgpu::Device, queue: wgpu::Queue, config: Config, weights: &Weights) -> Result<Self> {
        let gpu = Gpu::new(&device)?;
        let vit = VisionTransformer::new(&gpu, config, weights)?;
        if vit.max_batch() == 0 {
            // Says which limit is in the way.
            vit.plan(1, &Options::default())?;
        }
        let at_once = vit.max_batch() as usize;
        Ok(Engine { device, queue, vit, plans: Vec::new(), at_once })
    }

    pub async fn run(
        &mut self,
        images: &[f32],
        options: &Options,
        want: Want,
        wait: Wait,
    ) -> Result<Outputs> {
        let per_image = self.vit.config().image_values();
        let mut all = Outputs::default();
        let mut rest = images;
        while !rest.is_empty() {
            let count = self.at_once.min(rest.len() / per_image);
            let (now, later) = rest.split_at(count * per_image);
            match self.run_batch(now, options, want, wait).await {
                Ok(outputs) => {
                    all.append(outputs);
                    rest = later;
                }
                Err(Error::OutOfMemory { .. }) if count > 1 => self.at_once = count / 2,
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// Runs one batch. A plan whose run fails, or is dropped half way, is not kept.
    pub async fn run_batch(
        &mut self,
        images: &[f32],
        options: &Options,
        want: Want,
        wait: Wait,
    ) -> Result<Outputs> {
        let batch = images.len() / self.vit.config().image_values();
        let mut prepared = self.take(batch as u32, options)?;
        let Prepared { plan, staging, .. } = &prepared;
        let parts = parts(plan, self.vit.config(), want);
        guarded(&self.device, "a batch", 0, || {
            self.queue.write_buffer(plan.input(), 0, bytemuck::cast_slice(images));
            let mut encoder =
                self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("tome") });
            plan.encode(&mut encoder);
            let mut offset = 0;
            for (buffer, elements) in parts {
                encoder.copy_buffer_to_buffer(buffer, 0, staging, offset, elements * 4);
                offset += elements * 4;
            }
            self.queue.submit([encoder.finish()]);
        })?;
        map(&self.device, staging, wait).await?;
        let outputs = unpack(&view(staging)?, parts.map(|(_, elements)| elements), plan);
        staging.unmap();
        prepared.warm = true;
        self.keep(prepared);
        Ok(outputs)
    }

    /// Takes a plan from those kept, or makes it.
    pub fn take(&mut self, batch: u32, options: &Options) -> Result<Prepared> {
        let same = |p: &Prepared| p.plan.batch() == batch && p.options == *options;
        if let Some(at) = self.plans.iter().position(same) {
            return Ok(self.plans.remove(at));
        }
        match self.prepare(batch, options) {
            // What was kept may be in the way.
            Err(Error::OutOfMemory { .. }) if !self.plans.is_empty() => {
                self.plans.clear();
                self.prepare(batch, options)
            }
            made => made,
        }
    }

    /// Keeps a plan for later.
    pub fn keep(&mut self, prepared: Prepared) {
        if self.plans.len() == PLANS_KEPT {
            self.plans.remove(0);
        }
        self.plans.push(prepared);
    }

    fn prepare(&self, batch: u32, options: &Options) -> Result<Prepared> {
        let plan = self.vit.plan(batch, options)?;
        let elements: u64 = parts(&plan, self.vit.config(), Want::ALL).iter().map(|(_, n)| n).sum();
        let size = elements * 4;
        let have = self.vit.gpu().caps().limits.max_buffer_size;
        if size > have {
            let what = "reading results".into();
            return Err(Error::Limit { what, limit: "max_buffer_size", need: size, have });
        }
        let staging = guarded(&self.device, "the readback buffer", size, || {
            self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("tome.readback"),
                size,
                usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
                mapped_at_creation: false,
            })
        })?;
        Ok(Prepared { plan, options: options.clone(), staging, warm: false })
    }

    /// Bytes of device memory for a plan: weights, activations, readback.
    pub fn bytes(&self, prepared: &Prepared) -> u64 {
        self.vit.bytes() + prepared.plan.bytes() + prepared.staging.size()
    }
}

/// The result buffers with how much of each is wanted, in the order of [`Outputs`].
fn parts<'a>(plan: &'a Plan, config: &Config, want: Want) -> [(&'a wgpu::Buffer, u64); 5] {
    let b = u64::from(plan.batch());
    let m = u64::from(plan.tokens_per_block().last().copied().unwrap_or_default());
    let c = u64::from(config.embed_dim);
    [
        (want.logits, plan.logits(), u64::from(config.outputs())),
        (want.features, plan.features(), c),
        (want.tokens, plan.tokens(), m * c),
        (want.size, plan.size(), m),
        (want.source, plan.source(), config.tokens().into()),
    ]
    .map(|(wanted, buffer, per_image)| (buffer, if wanted { b * per_image } else { 0 }))
}

/// Cuts results, one after the other in the order of [`Outputs`], out of what was read back.
fn unpack(bytes: &[u8], [logits, features, tokens, size, source]: [u64; 5], plan: &Plan) -> Outputs {
    let mut rest = bytes;
    let mut next = |elements: u64| {
        let (part, behind) = rest.split_at(elements as usize * 4);
        rest = behind;
        part
    };
    Outputs {
        batch: plan.batch() as usize,
        merged: plan.tokens_per_block().last().copied().unwrap_or_default() as usize,
        logits: bytemuck::pod_collect_to_vec(next(logits)),
        features: bytemuck::pod_collect_to_vec(next(features)),
        tokens: bytemuck::pod_collect_to_vec(next(tokens)),
        size: bytemuck::pod_collect_to_vec(next(size)),
        source: bytemuck::pod_collect_to_vec(next(source)),
    }
}
