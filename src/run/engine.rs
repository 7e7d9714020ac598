//! A network on a GPU: what is kept for later batches, and the only code that records and submits them.

use std::slice::from_ref;
use std::sync::Arc;

use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::run::batch::{Ahead, Kind, Layout, Recorded, Sent};
use crate::run::ring::{Ring, Slot};
use crate::vit::{Config, Dense, Images, Input, Options, Output, Plan, Tensors, VisionTransformer, Want};

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
    /// Its own, to be known by.
    id: Arc<()>,
    options: Options,
    /// Only once it has been wanted.
    dense: Option<Dense>,
    /// It has run, so that its input holds images.
    pub warm: bool,
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
        let batch = (images.len() / images.per_image(self.vit.config())) as u32;
        let kind = Kind { input: images.input(), batch, options: options.clone(), want };
        let kept = self.take(kind.input, batch, options);
        let beside = self.beside(kind.input, batch);
        let mut prepared =
            Prepared::new(kept, &self.vit, (kind.input, batch), options, want, beside.as_ref())?;
        let (gpu, plan) = (self.vit.gpu(), &prepared.plan);
        let layout = Layout {
            // Copies are of whole words, and so is the input.
            images: (images.bytes().len() as u64).next_multiple_of(4),
            merged: plan.tokens_left() as usize,
            bytes: sizes(self.vit.config(), options, want),
            blocks: plan.source_per_block().len(),
            kind,
        };
        let mut slot = self.ring.take(gpu, &layout)?;
        slot.write(images.bytes())?;
        let commands = match (slot.ahead.take(), images) {
            (Some(ahead), _) => ahead.commands,
            (None, Images::Textures(all)) => {
                let resize = |(image, texture)| plan.resize_image(image, texture);
                let resized = (0..).zip(all).map(resize).collect::<Result<Vec<_>>>()?;
                prepared.encode(gpu, &slot, &resized, &layout)?
            }
            (None, _) => prepared.encode(gpu, &slot, &[], &layout)?,
        };
        prepared.warm = true;
        self.keep(prepared);
        Ok(Recorded { commands, slot, layout })
    }

    /// Records what the next batch of the kind will need while the device computes one: the calls do not depend on the
    /// images. Textures are part of the calls, and others each time.
    pub fn record_ahead(&self, sent: &mut Sent) {
        let kind = &sent.layout.kind;
        let kept = self.kept(kind.input, kind.batch, &kind.options, kind.want);
        let Some(prepared) = kept.filter(|_| kind.input != Input::Textures) else { return };
        let slot = &mut sent.flight.slot;
        // What goes wrong here goes wrong again when the batch comes, and is told then.
        let commands = prepared.encode(self.vit.gpu(), slot, &[], &sent.layout).ok();
        let plan = prepared.id.clone();
        slot.ahead = commands.map(|commands| Ahead { commands, kind: kind.clone(), plan });
    }

    /// Takes back the slot of a batch whose results have been unpacked.
    pub fn put(&mut self, slot: Slot) {
        self.ring.put(slot);
        self.forget();
    }

    /// Gives up commands of plans that are not kept any more, whose memory they hold.
    fn forget(&mut self) {
        let plans = &self.plans;
        self.ring.forget(|ahead| !plans.iter().any(|kept| Arc::ptr_eq(&kept.id, &ahead.plan)));
    }

    /// A plan that has everything that is wanted.
    fn kept(&self, input: Input, batch: u32, options: &Options, want: Want) -> Option<&Prepared> {
        self.plans.iter().find(|prepared| prepared.is_for(input, batch, options) && prepared.has(want))
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
        self.kept(input, batch, options, want).is_some()
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
        self.forget();
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
                Prepared { plan, id: Arc::default(), options: options.clone(), dense: None, warm: false }
            }
        };
        if !prepared.has(want) {
            prepared.dense = Some(prepared.plan.dense()?);
        }
        Ok(prepared)
    }

    fn is_for(&self, input: Input, batch: u32, options: &Options) -> bool {
        let Prepared { plan, options: of, .. } = self;
        plan.input_kind() == input && plan.batch() == batch && of == options
    }

    /// Whether it has everything that is wanted.
    fn has(&self, want: Want) -> bool {
        !want.has(Output::Dense) || self.dense.is_some()
    }

    /// Records a batch whose images are in a slot, behind those that are `resized` into place.
    fn encode(
        &self,
        gpu: &Gpu,
        slot: &Slot,
        resized: &[Dispatch],
        layout: &Layout,
    ) -> Result<wgpu::CommandBuffer> {
        let (batch, want) = (layout.kind.batch as usize, layout.kind.want);
        gpu.scopes().guarded("a batch", 0, || {
            let label = Some("tome");
            let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor { label });
            if layout.images > 0 {
                encoder.copy_buffer_to_buffer(&slot.upload, 0, self.plan.input(), 0, layout.images);
            }
            let mut pass =
                encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label, timestamp_writes: None });
            resized.iter().for_each(|dispatch| dispatch.encode(&mut pass));
            self.plan.encode_in(&mut pass);
            drop(pass);
            if let (true, Some(dense)) = (want.has(Output::Dense), &self.dense) {
                dense.encode(&mut encoder);
            }
            let mut at = 0;
            for (output, bytes) in want.outputs().zip(&layout.bytes) {
                let buffers = self.buffers(output);
                for buffer in buffers {
                    let bytes = (bytes * batch / buffers.len()) as u64;
                    slot.readback.copy(&mut encoder, buffer, at, bytes);
                    at += bytes;
                }
            }
            encoder.finish()
        })
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
