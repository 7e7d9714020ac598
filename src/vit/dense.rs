//! One feature for every patch, whatever has merged.

use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::kernels::{self, unmerge};

/// A plan's last tokens copied back to the places of the patches that they hold: a call that follows the plan, with a
/// buffer of its own. See [`Plan::dense`](super::Plan::dense).
#[derive(Clone, Debug)]
pub struct Dense {
    dispatch: Dispatch,
    features: wgpu::Buffer,
}

impl Dense {
    pub(super) fn new(
        gpu: &Gpu,
        params: unmerge::Params,
        tokens: &wgpu::Buffer,
        source: &wgpu::Buffer,
    ) -> Result<Self> {
        let patches = u64::from(params.sources - params.first_source);
        let elements = u64::from(params.batch) * patches * u64::from(params.channels);
        let features = gpu.buffer("tome.dense", elements)?;
        let io = unmerge::Io::new(tokens, source, &features);
        Ok(Dense { dispatch: kernels::unmerge(gpu, params, io)?, features })
    }

    /// Records the call into the caller's encoder, behind the plan, as a compute pass of its own.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        let label = Some("tome.dense");
        let mut pass =
            encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label, timestamp_writes: None });
        self.encode_in(&mut pass);
    }

    /// Records the call into a compute pass, behind the plan.
    pub fn encode_in(&self, pass: &mut wgpu::ComputePass<'_>) {
        self.dispatch.encode(pass);
    }

    /// `[batch, rows, columns, channels]` over the grid of patches: to be read after each batch.
    pub fn features(&self) -> &wgpu::Buffer {
        &self.features
    }

    /// Bytes of device memory of its features.
    pub fn bytes(&self) -> u64 {
        self.features.size()
    }
}
