//! Timing a forward pass.

use std::time::Instant;

use crate::error::{Error, Result};
use crate::gpu::guarded;
use crate::session::engine::{Engine, Prepared};
use crate::session::run::Want;
use crate::vit::{Options, Plan};

/// One timed forward pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Encoding, submission and every kernel; for the CPU path the whole call.
    pub seconds: f64,
    /// Device memory of weights and of this batch's activations and results; for the CPU path the weights.
    pub peak_bytes: u64,
}

impl Engine {
    /// Whether a batch can be bound at all.
    pub(super) fn fits(&self, batch: u32) -> Result<()> {
        self.vit.check_batch(batch)
    }

    /// Times a plan on `inputs`, running it once before where it has not run yet.
    pub(super) fn measure(&mut self, inputs: &[f32], options: &Options) -> Result<Measured> {
        let batch = (inputs.len() / self.vit.config().image_values()) as u32;
        let prepared = self.warm(batch, inputs, options)?;
        let measured = Measured { seconds: self.time(&prepared.plan)?, peak_bytes: self.bytes(&prepared) };
        self.keep(prepared);
        Ok(measured)
    }

    /// A plan that has run.
    pub(super) fn warm(&mut self, batch: u32, inputs: &[f32], options: &Options) -> Result<Prepared> {
        let mut prepared = self.take(batch, options, Want::LOGITS)?;
        if !prepared.warm {
            guarded(&self.device, "inputs", 0, || {
                self.queue.write_buffer(prepared.plan.input(), 0, bytemuck::cast_slice(inputs));
            })?;
            self.time(&prepared.plan)?;
            prepared.warm = true;
        }
        Ok(prepared)
    }

    pub(super) fn time(&self, plan: &Plan) -> Result<f64> {
        self.wait()?;
        let start = Instant::now();
        guarded(&self.device, "a batch", 0, || {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            plan.encode(&mut encoder);
            self.queue.submit([encoder.finish()]);
        })?;
        self.wait()?;
        Ok(start.elapsed().as_secs_f64())
    }

    pub(super) fn wait(&self) -> Result<()> {
        self.device
            .poll(wgpu::PollType::wait_indefinitely())
            .map_err(|e| Error::DeviceLost(e.to_string()))?;
        Ok(())
    }
}
