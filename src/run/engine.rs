//! A network on a GPU: what is kept for later batches, and the only code that records and submits them.

use std::slice::from_ref;

use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::run::ring::{Flight, Ring, Slot};
use crate::vit::{
    Config, Dense, Images, Input, Options, Output, Outputs, Plan, Tensors, VisionTransformer, Want,
};

/// Plans kept for later batches, as long as there is memory: comparing schedules takes one each.
const PLANS_KEPT: usize = 8;
/// Bytes of weights that are submitted together.
const UPLOAD: u64 = 64 << 20;

#[derive(Debug)]
pub(super) struct Engine {
    vit: VisionTransformer,
    /// The last used comes last.
    plans: Vec<Prepared>,
    ring: Ring,
    /// The most images at once: what the device can bind, less where it has turned out to lack the memory.
    at_once: usize,
}

/// A plan with what has been wanted of it so far.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub plan: Plan,
    options: Options,
    /// Only once it has been wanted.
    dense: Option<Dense>,
    /// It has run, so that its input holds images.
    pub warm: bool,
}

/// A batch that is to be submitted.
#[derive(Debug)]
pub(super) struct Recorded {
    commands: wgpu::CommandBuffer,
    slot: Slot,
    layout: Layout,
}

/// A batch that has been submitted.
#[derive(Debug)]
pub(super) struct Sent {
    pub flight: Flight,
    layout: Layout,
}

/// How a batch's results lie in what is read back.
#[derive(Debug)]
struct Layout {
    want: Want,
    batch: usize,
    merged: usize,
    /// Bytes of each result that is wanted, an image.
    bytes: Vec<usize>,
    blocks: usize,
}

impl Engine {
    pub fn new(gpu: &Gpu, queue: &wgpu::Queue, config: Config, weights: &dyn Tensors) -> Result<Self> {
        let mut submitted = 0;
        let vit = VisionTransformer::load(gpu, config, weights, |uploaded| {
            // Lets go of the host's copies.
            if uploaded - submitted >= UPLOAD {
                queue.submit([]);
                submitted = uploaded;
            }
        })?;
        // Says which limit is in the way where not one image fits.
        vit.check_batch(1)?;
        let at_once = vit.max_batch() as usize;
        Ok(Engine { vit, plans: Vec::new(), ring: Ring::default(), at_once })
    }

    pub fn vit(&self) -> &VisionTransformer {
        &self.vit
    }

    /// Records what computes as many images as go into one batch, by a plan that is kept. Batches may be submitted in
    /// any order, since each brings its images and takes its results along.
    pub fn record(&mut self, images: Images<'_>, options: &Options, want: Want) -> Result<Recorded> {
        let batch = images.len() / images.per_image(self.vit.config());
        let (input, count) = (images.input(), batch as u32);
        let kept = self.take(input, count, options);
        let beside = self.beside(input, count);
        let mut prepared = Prepared::new(kept, &self.vit, (input, count), options, want, beside.as_ref())?;
        let bytes = sizes(self.vit.config(), options, want);
        let (results, image_bytes) = (bytes.iter().sum::<usize>() * batch, images.bytes());
        // Copies are of whole words, and so is the input.
        let words = (image_bytes.len() as u64).next_multiple_of(4);
        let mut slot = self.ring.take(self.vit.gpu(), words, results as u64)?;
        slot.write(image_bytes)?;
        let Prepared { plan, dense, .. } = &prepared;
        let resized: Vec<Dispatch> = match images {
            Images::Textures(all) => {
                let resize = |(image, texture)| plan.resize_image(image, texture);
                (0..).zip(all).map(resize).collect::<Result<_>>()?
            }
            _ => Vec::new(),
        };
        let gpu = self.vit.gpu();
        let commands = gpu.scopes().guarded("a batch", 0, || {
            let label = Some("tome");
            let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor { label });
            if words > 0 {
                encoder.copy_buffer_to_buffer(&slot.upload, 0, plan.input(), 0, words);
            }
            let mut pass =
                encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label, timestamp_writes: None });
            resized.iter().for_each(|dispatch| dispatch.encode(&mut pass));
            plan.encode_in(&mut pass);
            drop(pass);
            if let (true, Some(dense)) = (want.has(Output::Dense), dense) {
                dense.encode(&mut encoder);
            }
            for (output, bytes) in want.outputs().zip(&bytes) {
                let buffers = prepared.buffers(output);
                for buffer in buffers {
                    slot.readback.copy(&mut encoder, buffer, (bytes * batch / buffers.len()) as u64);
                }
            }
            encoder.finish()
        })?;
        let blocks = plan.source_per_block().len();
        let merged = plan.tokens_left() as usize;
        let layout = Layout { want, batch, merged, bytes, blocks };
        prepared.warm = true;
        self.keep(prepared);
        Ok(Recorded { commands, slot, layout })
    }

    /// Takes back the slot of a batch whose results have been unpacked.
    pub fn put(&mut self, slot: Slot) {
        self.ring.put(slot);
    }

    /// The most images of a batch.
    pub fn at_once(&self, options: &Options, want: Want) -> usize {
        let result: usize = sizes(self.vit.config(), options, want).iter().sum();
        let readable = self.vit.gpu().caps().limits.max_buffer_size / (result as u64).max(1);
        self.at_once.min(usize::try_from(readable.max(1)).unwrap_or(usize::MAX))
    }

    /// For so many images there was no memory.
    pub fn halve(&mut self, count: usize) {
        self.at_once = self.at_once.min(count / 2).max(1);
    }

    /// Gives up the plans that are kept, whose memory may be in the way or which may be broken.
    pub fn give_up_plans(&mut self) {
        self.plans.clear();
        self.ring.clear();
    }

    /// Whether a plan is kept that has everything that is wanted.
    pub fn is_prepared(&self, input: Input, batch: u32, options: &Options, want: Want) -> bool {
        let lacks = |p: &Prepared| want.has(Output::Dense) && p.dense.is_none();
        self.plans.iter().any(|p| p.is_for(input, batch, options) && !lacks(p))
    }

    /// Takes a plan out of those kept.
    pub fn take(&mut self, input: Input, batch: u32, options: &Options) -> Option<Prepared> {
        let at = self.plans.iter().position(|p| p.is_for(input, batch, options))?;
        Some(self.plans.remove(at))
    }

    /// A plan on whose activations another can be made: batches of one engine never overlap on the device.
    pub fn beside(&self, input: Input, batch: u32) -> Option<Plan> {
        let same = |plan: &&Plan| plan.input_kind() == input && plan.batch() == batch;
        self.plans.iter().rev().map(|prepared| &prepared.plan).find(same).cloned()
    }

    /// Keeps a plan for later.
    pub fn keep(&mut self, prepared: Prepared) {
        // Somebody else may have made the same.
        self.take(prepared.plan.input_kind(), prepared.plan.batch(), &prepared.options);
        if self.plans.len() == PLANS_KEPT {
            self.plans.remove(0);
        }
        self.plans.push(prepared);
    }
}

impl Recorded {
    /// Submits the batch, without waiting for it. Callbacks of what the device has done by now may run within the call.
    pub fn submit(self, gpu: &Gpu, queue: &wgpu::Queue) -> Result<Sent> {
        let Recorded { commands, slot, layout } = self;
        let submission = gpu.scopes().guarded("a batch", 0, || queue.submit([commands]))?;
        Ok(Sent { flight: slot.submitted(submission), layout })
    }
}

impl Sent {
    /// The results, once the batch has landed, and the slot that it was in.
    pub fn unpack(self) -> Result<(Outputs, Slot)> {
        let Layout { want, batch, merged, bytes, blocks } = self.layout;
        let mut slot = self.flight.slot;
        let outputs = slot.readback.take(|mut rest| {
            let mut outputs = Outputs::default();
            (outputs.batch, outputs.merged) = (batch, merged);
            for (output, bytes) in want.outputs().zip(bytes) {
                let (part, behind) = rest.split_at(bytes * batch);
                rest = behind;
                unpack(&mut outputs, output, part, blocks);
            }
            outputs
        })?;
        Ok((outputs, slot))
    }
}

impl Prepared {
    /// A plan, new or kept, with what it lacks for what is wanted.
    pub fn new(
        kept: Option<Prepared>,
        vit: &VisionTransformer,
        (input, batch): (Input, u32),
        options: &Options,
        want: Want,
        beside: Option<&Plan>,
    ) -> Result<Self> {
        let mut prepared = match kept {
            Some(kept) => kept,
            None => {
                let plan = match beside {
                    Some(other) => vit.plan_beside(other, input, options)?,
                    None => vit.plan_for(input, batch, options)?,
                };
                Prepared { plan, options: options.clone(), dense: None, warm: false }
            }
        };
        if want.has(Output::Dense) && prepared.dense.is_none() {
            prepared.dense = Some(prepared.plan.dense()?);
        }
        Ok(prepared)
    }

    fn is_for(&self, input: Input, batch: u32, options: &Options) -> bool {
        let Prepared { plan, options: of, .. } = self;
        plan.input_kind() == input && plan.batch() == batch && of == options
    }

    /// Where a result stands.
    fn buffers(&self, output: Output) -> &[wgpu::Buffer] {
        let plan = &self.plan;
        match output {
            Output::Logits => from_ref(plan.logits()),
            Output::Features => from_ref(plan.features()),
            Output::Tokens => from_ref(plan.tokens()),
            Output::Size => from_ref(plan.size()),
            Output::Source => from_ref(plan.source()),
            Output::Dense => self.dense.as_ref().map_or(&[], |dense| from_ref(dense.features())),
            Output::SourcePerBlock => plan.source_per_block(),
        }
    }

    /// Bytes of device memory of its activations and results.
    #[cfg(feature = "blocking")]
    pub fn bytes(&self) -> u64 {
        self.plan.bytes() + self.dense.as_ref().map_or(0, Dense::bytes)
    }
}

/// Bytes an image of each result that is wanted.
fn sizes(config: &Config, options: &Options, want: Want) -> Vec<usize> {
    let merged = options.tokens_per_block(config).last().copied().unwrap_or_default();
    want.outputs().map(|output| output.values(config, merged) * 4).collect()
}

/// Takes a result of a whole batch as the device wrote it.
fn unpack(outputs: &mut Outputs, output: Output, bytes: &[u8], blocks: usize) {
    if output != Output::SourcePerBlock {
        return outputs.get_mut(output).extend_from_bytes(bytes);
    }
    // The device has the maps of the whole batch block by block.
    let batch = outputs.batch;
    let bytes_a_map = bytes.len() / (batch * blocks);
    for (image, block) in (0..batch).flat_map(|image| (0..blocks).map(move |block| (image, block))) {
        let map = &bytes[(block * batch + image) * bytes_a_map..][..bytes_a_map];
        outputs.get_mut(output).extend_from_bytes(map);
    }
}
