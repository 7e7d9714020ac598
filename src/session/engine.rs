//! A network on a GPU with its queue: the only code that submits.

use crate::error::{Error, Result};
use crate::gpu::{Gpu, guarded};
use crate::session::readback::{Wait, map, read};
use crate::session::run::Want;
use crate::vit::{Config, Options, Outputs, Plan, VisionTransformer, Weights};

/// Plans kept for later batches: two schedules with a full and a last batch each.
const PLANS_KEPT: usize = 4;

#[derive(Debug)]
pub(super) struct Engine {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub vit: VisionTransformer,
    /// The last used comes last.
    plans: Vec<Prepared>,
}

/// A plan with the buffer that its results are read through.
#[derive(Debug)]
pub(super) struct Prepared {
    pub plan: Plan,
    options: Options,
    staging: wgpu::Buffer,
}

impl Engine {
    pub fn new(device: wgpu::Device, queue: wgpu::Queue, config: Config, weights: &Weights) -> Result<Self> {
        let gpu = Gpu::new(&device)?;
        let vit = VisionTransformer::new(&gpu, config, weights)?;
        if vit.max_batch() == 0 {
            // Says which limit is in the way.
            vit.plan(1, &Options::default())?;
        }
        Ok(Engine { device, queue, vit, plans: Vec::new() })
    }

    /// Runs as many images at once as the device can bind.
    pub async fn run(
        &mut self,
        images: &[f32],
        options: &Options,
        want: Want,
        wait: Wait,
    ) -> Result<Outputs> {
        let per_image = self.vit.config().image_values();
        let mut all = Outputs::default();
        for chunk in images.chunks(per_image * self.vit.max_batch() as usize) {
            all.append(self.run_batch(chunk, options, want, wait).await?);
        }
        Ok(all)
    }

    async fn run_batch(
        &mut self,
        images: &[f32],
        options: &Options,
        want: Want,
        wait: Wait,
    ) -> Result<Outputs> {
        let batch = images.len() / self.vit.config().image_values();
        let index = self.prepare(batch as u32, options)?;
        let Prepared { plan, staging, .. } = &self.plans[index];
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
        let outputs = unpack(staging, parts.map(|(_, elements)| elements), plan);
        staging.unmap();
        outputs
    }

    /// The place of a plan among those kept.
    pub fn prepare(&mut self, batch: u32, options: &Options) -> Result<usize> {
        let same = |p: &Prepared| p.plan.batch() == batch && p.options == *options;
        let prepared = match self.plans.iter().position(same) {
            Some(at) => self.plans.remove(at),
            None => {
                if self.plans.len() == PLANS_KEPT {
                    self.plans.remove(0);
                }
                let plan = self.vit.plan(batch, options)?;
                let elements: u64 = parts(&plan, self.vit.config(), Want::ALL).iter().map(|(_, n)| n).sum();
                let size = elements * 4;
                let have = self.vit.gpu().caps().limits.max_buffer_size;
                if size > have {
                    return Err(Error::Limit {
                        what: "reading results".into(),
                        limit: "max_buffer_size",
                        need: size,
                        have,
                    });
                }
                let staging = guarded(&self.device, "the readback buffer", size, || {
                    self.device.create_buffer(&wgpu::BufferDescriptor {
                        label: Some("tome.readback"),
                        size,
                        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
                        mapped_at_creation: false,
                    })
                })?;
                Prepared { plan, options: options.clone(), staging }
            }
        };
        self.plans.push(prepared);
        Ok(self.plans.len() - 1)
    }

    pub fn prepared(&self, index: usize) -> &Prepared {
        &self.plans[index]
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

fn unpack(
    staging: &wgpu::Buffer,
    [logits, features, tokens, size, source]: [u64; 5],
    plan: &Plan,
) -> Result<Outputs> {
    let mut offset = 0;
    let mut next = |elements: u64| {
        let from = offset;
        offset += elements * 4;
        from
    };
    Ok(Outputs {
        batch: plan.batch() as usize,
        merged: plan.tokens_per_block().last().copied().unwrap_or_default() as usize,
        logits: read(staging, next(logits), logits)?,
        features: read(staging, next(features), features)?,
        tokens: read(staging, next(tokens), tokens)?,
        size: read(staging, next(size), size)?,
        source: read(staging, next(source), source)?,
    })
}
