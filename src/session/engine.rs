//! A network on a GPU with its queue: the only code that submits.

use std::slice::from_ref;

use crate::error::{Error, Result};
use crate::gpu::{Gpu, guarded};
use crate::session::pipeline_file::PipelineFile;
use crate::session::readback::view;
use crate::session::ring::{Flight, Ring};
use crate::session::run::Want;
use crate::vit::{Config, Dense, Images, Options, Outputs, Plan, Tensors, VisionTransformer};

/// Plans kept for later batches, as long as there is memory: comparing schedules takes one each.
const PLANS_KEPT: usize = 8;
/// Bytes of weights that are submitted together.
const UPLOAD: u64 = 64 << 20;

#[derive(Debug)]
pub(super) struct Engine {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub vit: VisionTransformer,
    /// The device as the table of device kinds has it; the network's own may be tuned.
    pub table: Gpu,
    /// The last used comes last.
    plans: Vec<Prepared>,
    ring: Ring,
    pipelines: Option<PipelineFile>,
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
    /// It has run, so that everything is compiled and its input holds images.
    pub warm: bool,
}

/// A batch that has been submitted, and how its results lie in what is read back.
#[derive(Debug)]
pub(super) struct Sent {
    pub flight: Flight,
    /// Elements of each result, in the order of [`Outputs`].
    lengths: [u64; 7],
    batch: usize,
    merged: usize,
    blocks: usize,
}

impl Engine {
    /// With a file, pipelines are kept in it.
    pub fn new(
        gpu: Gpu,
        queue: wgpu::Queue,
        config: Config,
        weights: &dyn Tensors,
        pipelines: Option<PipelineFile>,
    ) -> Result<Self> {
        let device = gpu.device().clone();
        let gpu = match &pipelines {
            Some(file) => gpu.with_pipeline_cache(file.cache.clone()),
            None => gpu,
        };
        let mut submitted = 0;
        let vit = VisionTransformer::load(&gpu, config, weights, |uploaded| {
            // Lets go of the host's copies.
            if uploaded - submitted >= UPLOAD {
                queue.submit([]);
                submitted = uploaded;
            }
        })?;
        if vit.max_batch() == 0 {
            // Says which limit is in the way.
            vit.plan(1, &Options::default())?;
        }
        let at_once = vit.max_batch() as usize;
        Ok(Engine {
            device,
            queue,
            vit,
            table: gpu,
            plans: Vec::new(),
            ring: Ring::default(),
            pipelines,
            at_once,
        })
    }

    /// Submits as many images as go into one batch, without waiting for any.
    pub fn submit(&mut self, images: Images<'_>, options: &Options, want: Want) -> Result<Sent> {
        let batch = images.len() / self.vit.config().image_values();
        let mut prepared = self.take(batch as u32, options, want)?;
        let lengths = lengths(self.vit.config(), options, want).map(|length| length * batch as u64);
        let (results, bytes) = (lengths.iter().sum::<u64>() * 4, images.bytes());
        // Copies are of whole words, and so is the input.
        let words = (bytes.len() as u64).next_multiple_of(4);
        let slot = self.ring.take(self.vit.gpu(), words, results)?;
        slot.write(bytes)?;
        let Prepared { plan, dense, .. } = &prepared;
        let submission = guarded(&self.device, "a batch", 0, || {
            let mut encoder =
                self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("tome") });
            encoder.copy_buffer_to_buffer(&slot.upload, 0, plan.input(), 0, words);
            match images {
                Images::Normalised(_) => plan.encode(&mut encoder),
                Images::Pixels(_) => plan.encode_pixels(&mut encoder),
            }
            if let (true, Some(dense)) = (want.dense, dense) {
                dense.encode(&mut encoder);
            }
            let mut offset = 0;
            for (buffers, length) in prepared.results().into_iter().zip(lengths) {
                for buffer in buffers {
                    let bytes = length * 4 / buffers.len() as u64;
                    encoder.copy_buffer_to_buffer(buffer, 0, &slot.readback, offset, bytes);
                    offset += bytes;
                }
            }
            self.queue.submit([encoder.finish()])
        })?;
        let blocks = plan.source_per_block().len();
        let merged = plan.tokens_left() as usize;
        let sent = Sent { flight: slot.submitted(submission), lengths, batch, merged, blocks };
        prepared.warm = true;
        self.keep(prepared);
        Ok(sent)
    }

    /// The results of a batch that has landed.
    pub fn receive(&mut self, sent: Sent) -> Result<Outputs> {
        let outputs = sent.unpack(&view(&sent.flight.slot.readback)?);
        sent.flight.slot.readback.unmap();
        self.ring.put(sent.flight.slot);
        Ok(outputs)
    }

    /// The most images of a batch.
    pub fn at_once(&self, options: &Options, want: Want) -> usize {
        let result: u64 = lengths(self.vit.config(), options, want).iter().sum();
        let readable = self.vit.gpu().caps().limits.max_buffer_size / (4 * result).max(1);
        self.at_once.min(usize::try_from(readable.max(1)).unwrap_or(usize::MAX))
    }

    /// For so many images there was no memory.
    pub fn halve(&mut self, count: usize) {
        self.at_once = count / 2;
    }

    /// Takes a plan from those kept, or makes it, with what it lacks for what is wanted.
    pub fn take(&mut self, batch: u32, options: &Options, want: Want) -> Result<Prepared> {
        let same = |p: &Prepared| p.plan.batch() == batch && p.options == *options;
        let kept = self.plans.iter().position(same).map(|at| self.plans.remove(at));
        let mut made = self.prepare(kept, batch, options, want);
        // What was kept may be in the way.
        if matches!(made, Err(Error::OutOfMemory { .. })) && !self.plans.is_empty() {
            self.plans.clear();
            self.ring.clear();
            made = self.prepare(None, batch, options, want);
        }
        if let Some(file) = &mut self.pipelines {
            file.save(self.vit.gpu().compiled());
        }
        made
    }

    /// Keeps a plan for later.
    pub fn keep(&mut self, prepared: Prepared) {
        if self.plans.len() == PLANS_KEPT {
            self.plans.remove(0);
        }
        self.plans.push(prepared);
    }

    fn prepare(&self, kept: Option<Prepared>, batch: u32, options: &Options, want: Want) -> Result<Prepared> {
        let (plan, dense, warm) = match kept {
            Some(Prepared { plan, dense, warm, .. }) => (plan, dense, warm),
            None => (self.vit.plan(batch, options)?, None, false),
        };
        let dense = match dense {
            None if want.dense => Some(plan.dense()?),
            made => made,
        };
        Ok(Prepared { plan, options: options.clone(), dense, warm })
    }

    /// Bytes of device memory for a plan: weights, activations and results.
    pub fn bytes(&self, prepared: &Prepared) -> u64 {
        let dense = prepared.dense.as_ref().map_or(0, Dense::bytes);
        self.vit.bytes() + prepared.plan.bytes() + dense
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

impl Sent {
    /// Cuts the results, one after the other in the order of [`Outputs`], out of what was read back.
    fn unpack(&self, bytes: &[u8]) -> Outputs {
        let &Sent { lengths, batch, merged, blocks, .. } = self;
        let mut rest = bytes;
        let [logits, features, tokens, size, source, dense, maps] = lengths.map(|length| {
            let (part, behind) = rest.split_at(length as usize * 4);
            rest = behind;
            part
        });
        let floats = bytemuck::pod_collect_to_vec::<u8, f32>;
        let indices = bytemuck::pod_collect_to_vec::<u8, u32>;
        // The device has the maps of the whole batch block by block.
        let bytes_a_map = maps.len() / (batch * blocks);
        let map = |image, block| &maps[(block * batch + image) * bytes_a_map..][..bytes_a_map];
        let by_image =
            (0..batch).flat_map(|image| (0..blocks).flat_map(move |block| indices(map(image, block))));
        Outputs {
            batch,
            merged,
            logits: floats(logits),
            features: floats(features),
            tokens: floats(tokens),
            size: floats(size),
            source: indices(source),
            dense: floats(dense),
            source_per_block: by_image.collect(),
        }
    }
}
