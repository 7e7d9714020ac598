//! Timing a forward pass.

use std::time::Instant;

use crate::error::{Error, Result};
use crate::gpu::guarded;
use crate::session::engine::{Engine, Prepared};
use crate::session::readback::{Wait, map, view};
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

/// The kernels of token merging.
const MERGING: [&str; 5] = ["key_metric", "split_tokens", "find_matches", "rank_matches", "merge_tokens"];

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

    /// The part of the kernels' time that goes into matching and merging.
    pub(super) fn merge_share(&mut self, inputs: &[f32], options: &Options) -> Result<Option<f64>> {
        let batch = (inputs.len() / self.vit.config().image_values()) as u32;
        let prepared = self.warm(batch, inputs, options)?;
        let share = self.share(&prepared.plan)?;
        self.keep(prepared);
        Ok(share)
    }

    /// A plan that has run.
    fn warm(&mut self, batch: u32, inputs: &[f32], options: &Options) -> Result<Prepared> {
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

    fn time(&self, plan: &Plan) -> Result<f64> {
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

    fn wait(&self) -> Result<()> {
        self.device
            .poll(wgpu::PollType::wait_indefinitely())
            .map_err(|e| Error::DeviceLost(e.to_string()))?;
        Ok(())
    }

    /// Runs the plan, cut into passes at the ends of merging, with a timestamp at both ends of each.
    fn share(&self, plan: &Plan) -> Result<Option<f64>> {
        if !self.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Ok(None);
        }
        let merging = |i: usize| MERGING.contains(&plan.steps()[i].dispatch.kernel());
        let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
        for i in 0..plan.steps().len() {
            match runs.last_mut() {
                Some(run) if merging(run.start) == merging(i) => run.end = i + 1,
                _ => runs.push(i..i + 1),
            }
        }
        let count = 2 * runs.len() as u32;
        let bytes = u64::from(count) * 8;
        let staging = guarded(&self.device, "timestamps", bytes, || {
            let queries = self.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("tome.timestamps"),
                ty: wgpu::QueryType::Timestamp,
                count,
            });
            let buffer = |usage| {
                let label = Some("tome.timestamps");
                self.device.create_buffer(&wgpu::BufferDescriptor {
                    label,
                    size: bytes,
                    usage,
                    mapped_at_creation: false,
                })
            };
            let resolved = buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC);
            let staging = buffer(wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ);
            let mut encoder = self.device.create_command_encoder(&Default::default());
            for (i, run) in runs.iter().enumerate() {
                let at = 2 * i as u32;
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                    label: Some("tome"),
                    timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                        query_set: &queries,
                        beginning_of_pass_write_index: Some(at),
                        end_of_pass_write_index: Some(at + 1),
                    }),
                });
                plan.steps()[run.clone()].iter().for_each(|step| step.dispatch.encode(&mut pass));
            }
            encoder.resolve_query_set(&queries, 0..count, &resolved, 0);
            encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, bytes);
            self.queue.submit([encoder.finish()]);
            staging
        })?;
        pollster::block_on(map(&self.device, &staging, Wait::Block))?;
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&view(&staging)?);
        let spent = |wanted: bool| -> f64 {
            let of_kind =
                runs.iter().zip(ticks.chunks_exact(2)).filter(|(run, _)| merging(run.start) == wanted);
            of_kind.map(|(_, t)| t[1].saturating_sub(t[0])).sum::<u64>() as f64
        };
        let (merge, rest) = (spent(true), spent(false));
        // A driver that reports no time has no answer.
        Ok((merge + rest > 0.0).then(|| merge / (merge + rest)))
    }
}
