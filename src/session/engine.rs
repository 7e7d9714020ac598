//! A network on a GPU with its queue: the only code that submits.

use std::slice::from_ref;

use crate::caps::Element;
use crate::error::{Error, Result};
use crate::gpu::{Gpu, guarded};
use crate::session::readback::{Wait, map, view};
use crate::session::run::Want;
use crate::vit::{Config, Dense, Options, Outputs, Plan, VisionTransformer, Weights};

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

/// A plan with what has been wanted of it so far.
#[derive(Debug)]
pub(super) struct Prepared {
    pub plan: Plan,
    options: Options,
    /// Only once it has been wanted.
    dense: Option<Dense>,
    /// What results are read through; large enough for the most that have been wanted at once.
    staging: wgpu::Buffer,
    /// It has run, so that everything is compiled and its input holds images.
    pub warm: bool,
}

impl Engine {
    pub fn new(
        device: wgpu::Device,
        queue: wgpu::Queue,
        config: Config,
        weights: &Weights,
        element: Element,
    ) -> Result<Self> {
        let gpu = Gpu::with_element(&device, element)?;
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
        let result: u64 = lengths(self.vit.config(), options, want).iter().sum();
        let readable = self.vit.gpu().caps().limits.max_buffer_size / (4 * result).max(1);
        let at_most = usize::try_from(readable.max(1)).unwrap_or(usize::MAX);
        let mut all = Outputs::default();
        let mut rest = images;
        while !rest.is_empty() {
            let count = self.at_once.min(at_most).min(rest.len() / per_image);
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
        let mut prepared = self.take(batch as u32, options, want)?;
        let Prepared { plan, dense, staging, .. } = &prepared;
        let lengths = lengths(self.vit.config(), options, want).map(|length| length * batch as u64);
        guarded(&self.device, "a batch", 0, || {
            self.queue.write_buffer(plan.input(), 0, bytemuck::cast_slice(images));
            let mut encoder =
                self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("tome") });
            plan.encode(&mut encoder);
            if let (true, Some(dense)) = (want.dense, dense) {
                dense.encode(&mut encoder);
            }
            let mut offset = 0;
            for (buffers, length) in prepared.results().into_iter().zip(lengths) {
                for buffer in buffers {
                    let bytes = length * 4 / buffers.len() as u64;
                    encoder.copy_buffer_to_buffer(buffer, 0, staging, offset, bytes);
                    offset += bytes;
                }
            }
            self.queue.submit([encoder.finish()]);
        })?;
        map(&self.device, staging, wait).await?;
        let outputs = unpack(&view(staging)?, lengths, plan);
        staging.unmap();
        prepared.warm = true;
        self.keep(prepared);
        Ok(outputs)
    }

    /// Takes a plan from those kept, or makes it, with what it lacks for what is wanted.
    pub fn take(&mut self, batch: u32, options: &Options, want: Want) -> Result<Prepared> {
        let same = |p: &Prepared| p.plan.batch() == batch && p.options == *options;
        let kept = self.plans.iter().position(same).map(|at| self.plans.remove(at));
        match self.prepare(kept, batch, options, want) {
            // What was kept may be in the way.
            Err(Error::OutOfMemory { .. }) if !self.plans.is_empty() => {
                self.plans.clear();
                self.prepare(None, batch, options, want)
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

    fn prepare(&self, kept: Option<Prepared>, batch: u32, options: &Options, want: Want) -> Result<Prepared> {
        let (plan, dense, staging, warm) = match kept {
            Some(Prepared { plan, dense, staging, warm, .. }) => (plan, dense, Some(staging), warm),
            None => (self.vit.plan(batch, options)?, None, None, false),
        };
        let dense = match dense {
            None if want.dense => Some(plan.dense()?),
            made => made,
        };
        let elements: u64 = lengths(self.vit.config(), options, want).iter().sum();
        let size = u64::from(batch) * elements * 4;
        let staging = match staging {
            Some(staging) if staging.size() >= size => staging,
            _ => self.staging(size)?,
        };
        Ok(Prepared { plan, options: options.clone(), dense, staging, warm })
    }

    /// A buffer to read results through.
    fn staging(&self, size: u64) -> Result<wgpu::Buffer> {
        let have = self.vit.gpu().caps().limits.max_buffer_size;
        if size > have {
            let what = "reading results".into();
            return Err(Error::Limit { what, limit: "max_buffer_size", need: size, have });
        }
        guarded(&self.device, "the readback buffer", size, || {
            self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("tome.readback"),
                // Nothing at all cannot be mapped.
                size: size.max(4),
                usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
                mapped_at_creation: false,
            })
        })
    }

    /// Bytes of device memory for a plan: weights, activations, results.
    pub fn bytes(&self, prepared: &Prepared) -> u64 {
        let dense = prepared.dense.as_ref().map_or(0, Dense::bytes);
        self.vit.bytes() + prepared.plan.bytes() + dense + prepared.staging.size()
    }
}

impl Prepared {
    /// Where each result stands, in the order of [`Outputs`].
    fn results(&self) -> [&[wgpu::Buffer]; 7] {
        let plan = &self.plan;
        [
            from_ref(plan.logits()),
            from_ref(plan.features()),
            from_ref(plan.tokens()),
            from_ref(plan.size()),
            from_ref(plan.source()),
            self.dense.as_ref().map_or(&[], |dense| from_ref(dense.features())),
            plan.source_per_block(),
        ]
    }
}

/// Elements an image of each result, in the order of [`Outputs`]; 0 for what is not wanted.
fn lengths(config: &Config, options: &Options, want: Want) -> [u64; 7] {
    let merged = options.tokens_per_block(config).last().copied().unwrap_or_default();
    let [m, n, c] = [merged, config.tokens(), config.embed_dim].map(u64::from);
    [
        (want.logits, config.outputs().into()),
        (want.features, c),
        (want.tokens, m * c),
        (want.size, m),
        (want.source, n),
        (want.dense, u64::from(config.patches()) * c),
        (want.source_per_block, u64::from(config.depth) * n),
    ]
    .map(|(wanted, length)| if wanted { length } else { 0 })
}

/// Cuts a batch's results, one after the other in the order of [`Outputs`], out of what was read back.
fn unpack(bytes: &[u8], lengths: [u64; 7], plan: &Plan) -> Outputs {
    let mut rest = bytes;
    let [logits, features, tokens, size, source, dense, maps] = lengths.map(|length| {
        let (part, behind) = rest.split_at(length as usize * 4);
        rest = behind;
        part
    });
    let floats = bytemuck::pod_collect_to_vec::<u8, f32>;
    let indices = bytemuck::pod_collect_to_vec::<u8, u32>;
    let (batch, blocks) = (plan.batch() as usize, plan.source_per_block().len());
    // The device has the maps of the whole batch block by block.
    let bytes_a_map = maps.len() / (batch * blocks);
    let map = |image, block| &maps[(block * batch + image) * bytes_a_map..][..bytes_a_map];
    let by_image = (0..batch).flat_map(|image| (0..blocks).flat_map(move |block| indices(map(image, block))));
    Outputs {
        batch,
        merged: plan.tokens_left() as usize,
        logits: floats(logits),
        features: floats(features),
        tokens: floats(tokens),
        size: floats(size),
        source: indices(source),
        dense: floats(dense),
        source_per_block: by_image.collect(),
    }
}
