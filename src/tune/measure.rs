//! Timing a forward pass.

use std::time::Instant;

use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::run::{Answer, Prepared, read};
use crate::session::{OnGpu, poll};
use crate::vit::{Input, Options, Plan, VisionTransformer, Want};

/// One timed forward pass.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Measured {
    /// Encoding, submission and every kernel; for the CPU path the whole call.
    pub seconds: f64,
    /// Device memory of weights and of this batch's activations and results; for the CPU path the weights.
    pub peak_bytes: u64,
}

/// A network on a GPU with its queue and a clock.
pub(super) struct Timer<'a> {
    network: &'a OnGpu,
    pub queue: wgpu::Queue,
}

impl<'a> Timer<'a> {
    pub fn new(network: &'a OnGpu) -> Self {
        Timer { network, queue: network.runner.engine().queue().clone() }
    }

    pub fn vit(&self) -> &VisionTransformer {
        self.network.runner.engine().vit()
    }

    /// The network's device.
    pub fn gpu(&self) -> &Gpu {
        self.network.runner.gpu()
    }

    /// The same as the table of device kinds has it.
    pub fn table(&self) -> &Gpu {
        &self.network.table
    }

    /// Times a plan on `inputs`, running it once before where it has not run yet.
    pub fn measure(&self, inputs: &[f32], options: &Options) -> Result<Measured> {
        let prepared = self.warm(inputs, options)?;
        let peak_bytes = self.vit().bytes() + prepared.bytes();
        let measured = Measured { seconds: self.time(&prepared.plan)?, peak_bytes };
        self.keep(prepared);
        Ok(measured)
    }

    /// A plan that has run.
    pub fn warm(&self, inputs: &[f32], options: &Options) -> Result<Prepared> {
        let batch = (inputs.len() / self.vit().config().image_values()) as u32;
        let engine = self.network.runner.engine();
        let taken = pollster::block_on(engine.take(Input::Floats, batch, options, Want::LOGITS));
        self.network.save_pipelines();
        let mut prepared = taken?;
        if !prepared.warm {
            self.write(&prepared.plan, inputs)?;
            self.time(&prepared.plan)?;
            prepared.warm = true;
        }
        Ok(prepared)
    }

    /// Gives back what [`warm`](Self::warm) gave.
    pub fn keep(&self, prepared: Prepared) {
        self.network.runner.engine().keep(prepared);
    }

    /// Puts inputs where a plan reads them.
    pub fn write(&self, plan: &Plan, inputs: &[f32]) -> Result<()> {
        self.gpu().scopes().guarded("inputs", 0, || {
            self.queue.write_buffer(plan.input(), 0, bytemuck::cast_slice(inputs));
        })
    }

    pub fn time(&self, plan: &Plan) -> Result<f64> {
        self.seconds("a batch", |encoder| plan.encode(encoder))
    }

    /// From recording to the end of what is recorded, by the clock.
    pub fn seconds(&self, what: &str, encode: impl FnOnce(&mut wgpu::CommandEncoder)) -> Result<f64> {
        self.wait()?;
        let start = Instant::now();
        self.gpu().scopes().guarded(what, 0, || {
            let mut encoder = self.gpu().device().create_command_encoder(&Default::default());
            encode(&mut encoder);
            self.queue.submit([encoder.finish()]);
        })?;
        self.wait()?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// The first bytes of a buffer behind what is recorded.
    pub fn read<T: bytemuck::Pod>(
        &self,
        buffer: &wgpu::Buffer,
        bytes: u64,
        encode: impl FnOnce(&mut wgpu::CommandEncoder),
    ) -> Result<Vec<T>> {
        let wait = |submission| Answer::known(poll(self.gpu().device(), submission));
        let bytes = pollster::block_on(read(self.gpu(), &self.queue, buffer, bytes, encode, &wait))?;
        Ok(bytemuck::pod_collect_to_vec(&bytes))
    }

    fn wait(&self) -> Result<()> {
        let idle = self.gpu().device().poll(wgpu::PollType::wait_indefinitely());
        idle.map(drop).map_err(|e| Error::DeviceLost(e.to_string()))
    }
}
