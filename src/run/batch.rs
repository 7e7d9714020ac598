//! A batch on its way: recorded, sent, unpacked.

use std::sync::Arc;

use crate::error::Result;
use crate::gpu::Gpu;
use crate::run::ring::{Flight, Slot};
use crate::vit::{Input, Options, Output, Outputs, Want};

/// What tells batches apart that are computed by different calls.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kind {
    pub input: Input,
    pub batch: u32,
    pub options: Options,
    pub want: Want,
}

/// Commands of a batch that is still to come: of whatever images are in its slot then.
#[derive(Debug)]
pub(super) struct Ahead {
    pub commands: wgpu::CommandBuffer,
    pub kind: Kind,
    /// The plan's own, whose memory the commands hold.
    pub plan: Arc<()>,
}

/// A batch that is to be submitted.
#[derive(Debug)]
pub(super) struct Recorded {
    pub commands: wgpu::CommandBuffer,
    pub slot: Slot,
    pub layout: Layout,
}

/// A batch that has been submitted.
#[derive(Debug)]
pub(super) struct Sent {
    pub flight: Flight,
    pub layout: Layout,
}

/// What passes between host and device for a batch.
#[derive(Debug)]
pub(super) struct Layout {
    pub kind: Kind,
    /// Bytes of its images, of textures none.
    pub images: u64,
    pub merged: usize,
    /// Bytes of each result that is wanted, an image.
    pub bytes: Vec<usize>,
    pub blocks: usize,
}

impl Recorded {
    /// Submits the batch, without waiting for it. Callbacks of what the device has done by now may run within the call.
    pub fn submit(self, gpu: &Gpu, queue: &wgpu::Queue) -> Result<Sent> {
        let Recorded { commands, slot, layout } = self;
        let submission = gpu.scopes().guarded("a batch", 0, || queue.submit([commands]))?;
        Ok(Sent { flight: slot.submitted(submission), layout })
    }
}

impl Layout {
    /// Bytes of all results.
    pub fn results(&self) -> usize {
        self.kind.batch as usize * self.bytes.iter().sum::<usize>()
    }
}

impl Sent {
    /// The results, once the batch has landed, and the slot that it was in.
    pub fn unpack(self) -> Result<(Outputs, Slot)> {
        let results = self.layout.results();
        let Layout { kind: Kind { want, batch, .. }, merged, bytes, blocks, .. } = self.layout;
        let (slot, batch) = (self.flight.slot, batch as usize);
        let outputs = slot.readback.take(results, |mut rest| {
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
