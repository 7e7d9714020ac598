//! The places where a forward pass spends its time: timestamps around its kernels.

use std::ops::Range;

use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::kernel::KernelSpec;
use crate::kernels::{
    self, choose_matches, find_matches, key_metric, match_frames, match_lines, matmul, merge_source,
    merge_tokens, rank_matches, split_tokens,
};
use crate::tune::measure::Timer;
use crate::vit::{Options, Plan};

/// A forward pass kernel by kernel, and what the device can do at best.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Profile {
    /// In the order of their first call.
    pub kernels: Vec<KernelTime>,
    /// Operations a second of the crate's own product of two matrices of 2048 x 2048, or of 4096 x 4096 where it is
    /// faster, measured in the same run.
    pub best_flops: f64,
    /// Bytes a second, read and written, of the device's own copy from buffer to buffer, measured in the same run.
    pub best_bytes: f64,
}

/// All calls of a kernel in a forward pass.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct KernelTime {
    /// The kernel's stem.
    pub kernel: &'static str,
    /// Its calls.
    pub calls: usize,
    /// Their time together.
    pub seconds: f64,
    /// Their products, see [`Dispatch::flops`].
    pub flops: u64,
    /// Bytes that they read and write, see [`Dispatch::bytes`].
    pub bytes: u64,
}

/// The kernels of token merging. Merging tokens also brings what it leaves to norm, which counts as merging here.
const MERGING: [&KernelSpec; 9] = [
    &key_metric::SPEC,
    &split_tokens::SPEC,
    &find_matches::SPEC,
    &rank_matches::SPEC,
    &choose_matches::SPEC,
    &match_lines::SPEC,
    &match_frames::SPEC,
    &merge_tokens::SPEC,
    &merge_source::SPEC,
];

/// Passes that are timed; of each call the median counts.
const PASSES: usize = 5;

impl Timer<'_> {
    /// The part of the kernels' time that goes into matching and merging; none where the device has no timestamps.
    pub fn merge_share(&self, inputs: &[f32], options: &Options) -> Result<Option<f64>> {
        let prepared = self.warm(inputs, options)?;
        let plan = &prepared.plan;
        // Cut into passes at the ends of merging only: a pass of its own costs a call more than in a real run.
        let merging = |i: usize| MERGING.iter().any(|spec| spec.name == plan.steps()[i].dispatch.kernel());
        let mut runs: Vec<Range<usize>> = Vec::new();
        for i in 0..plan.steps().len() {
            match runs.last_mut() {
                Some(run) if merging(run.start) == merging(i) => run.end = i + 1,
                _ => runs.push(i..i + 1),
            }
        }
        let share = self.timestamps(plan, &runs)?.and_then(|seconds| {
            // Not `sum`, which makes -0 of nothing.
            let timed = runs.iter().zip(&seconds).filter(|(run, _)| merging(run.start));
            let merge = timed.fold(0.0, |sum, (_, seconds)| sum + seconds);
            let all: f64 = seconds.iter().sum();
            // A driver that reports no time has no answer.
            (all > 0.0).then(|| merge / all)
        });
        self.keep(prepared);
        Ok(share)
    }

    /// Each kernel's part of a forward pass; none where the device has no timestamps.
    pub fn profile(&self, inputs: &[f32], options: &Options) -> Result<Option<Profile>> {
        let prepared = self.warm(inputs, options)?;
        let steps = prepared.plan.steps();
        let runs: Vec<Range<usize>> = (0..steps.len()).map(|i| i..i + 1).collect();
        let mut passes = Vec::new();
        for _ in 0..PASSES {
            match self.timestamps(&prepared.plan, &runs)? {
                Some(seconds) => passes.push(seconds),
                None => {
                    self.keep(prepared);
                    return Ok(None);
                }
            }
        }
        let mut kernels: Vec<KernelTime> = Vec::new();
        for (i, step) in steps.iter().enumerate() {
            let mut seconds: Vec<f64> = passes.iter().map(|pass| pass[i]).collect();
            seconds.sort_by(f64::total_cmp);
            let Dispatch { kernel, flops, bytes, .. } = step.dispatch;
            let at = kernels.iter().position(|time| time.kernel == kernel).unwrap_or_else(|| {
                kernels.push(KernelTime { kernel, calls: 0, seconds: 0.0, flops: 0, bytes: 0 });
                kernels.len() - 1
            });
            let time = &mut kernels[at];
            time.calls += 1;
            time.seconds += seconds[PASSES / 2];
            time.flops += flops;
            time.bytes += bytes;
        }
        self.keep(prepared);
        let (best_flops, best_bytes) = (self.best_flops()?, self.best_bytes()?);
        Ok(Some(Profile { kernels, best_flops, best_bytes }))
    }

    /// Runs the plan, cut into passes, and says how long each took, in seconds.
    fn timestamps(&self, plan: &Plan, runs: &[Range<usize>]) -> Result<Option<Vec<f64>>> {
        if !self.gpu().device().features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Ok(None);
        }
        let mut seconds = Vec::with_capacity(runs.len());
        // A query set holds 4096 timestamps.
        for runs in runs.chunks(wgpu::QUERY_SET_MAX_QUERIES as usize / 2) {
            seconds.extend(self.timestamps_of(plan, runs)?);
        }
        Ok(Some(seconds))
    }

    fn timestamps_of(&self, plan: &Plan, runs: &[Range<usize>]) -> Result<Vec<f64>> {
        let count = 2 * runs.len() as u32;
        let bytes = u64::from(count) * 8;
        let device = self.gpu().device();
        let (queries, resolved) = self.gpu().scopes().guarded("timestamps", bytes, || {
            let label = Some("tome.timestamps");
            let queries = device.create_query_set(&wgpu::QuerySetDescriptor {
                label,
                ty: wgpu::QueryType::Timestamp,
                count,
            });
            let resolved = device.create_buffer(&wgpu::BufferDescriptor {
                label,
                size: bytes,
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            });
            (queries, resolved)
        })?;
        let ticks: Vec<u64> = self.read(&resolved, bytes, |encoder| {
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
        })?;
        let tick = f64::from(self.queue.get_timestamp_period()) * 1e-9;
        Ok(ticks.chunks_exact(2).map(|t| t[1].saturating_sub(t[0]) as f64 * tick).collect())
    }

    /// Operations a second of a large product of matrices in the network's variant: of 4096 x 4096 where smaller ones
    /// leave a device half empty.
    fn best_flops(&self) -> Result<f64> {
        // Past a product of 2048 x 2048 in 10 ms.
        const FAST: f64 = 1.7e12;
        let flops = self.flops(2048)?;
        Ok(if flops < FAST { flops } else { flops.max(self.flops(4096)?) })
    }

    /// Operations a second of the product of two matrices of n x n.
    fn flops(&self, n: u32) -> Result<f64> {
        let gpu = self.gpu();
        let elements = u64::from(n) * u64::from(n);
        let (x, w) = (gpu.elem_buffer("x", elements)?, gpu.weight_buffer("w", elements)?);
        let y = gpu.elem_buffer("y", elements)?;
        let params = matmul::Params::new(n, n, n);
        let io = matmul::Io::new(&x, &w, &y);
        let product = kernels::matmul(gpu, params, io)?;
        let seconds =
            self.fastest(|encoder| product.encode(&mut encoder.begin_compute_pass(&Default::default())))?;
        Ok(product.flops() as f64 / seconds)
    }

    /// Bytes a second, read and written, of a copy of 64 MiB.
    fn best_bytes(&self) -> Result<f64> {
        const BYTES: u64 = 64 << 20;
        let gpu = self.gpu();
        let (from, to) = (gpu.buffer("from", BYTES / 4)?, gpu.buffer("to", BYTES / 4)?);
        let seconds = self.fastest(|encoder| encoder.copy_buffer_to_buffer(&from, 0, &to, 0, BYTES))?;
        Ok(2.0 * BYTES as f64 / seconds)
    }

    /// The least time of a few runs, by the clock, of as many calls in a submission as take about a tenth of a second.
    fn fastest(&self, encode: impl Fn(&mut wgpu::CommandEncoder)) -> Result<f64> {
        let run = |calls: u32| -> Result<f64> {
            let encode = |encoder: &mut wgpu::CommandEncoder| (0..calls).for_each(|_| encode(encoder));
            Ok(self.seconds("a measurement", encode)? / f64::from(calls))
        };
        run(1)?;
        let calls = (0.1 / run(1)?).clamp(1.0, 1000.0) as u32;
        let mut fastest = f64::INFINITY;
        for _ in 0..3 {
            fastest = fastest.min(run(calls)?);
        }
        Ok(fastest)
    }
}
