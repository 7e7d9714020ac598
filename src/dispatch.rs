//! One prepared kernel call.

use std::fmt;
use std::sync::Arc;

use crate::pipelines::Pipeline;

/// A kernel with its buffers bound and its workgroups counted: three calls to encode, nothing to allocate,
/// nothing that can fail. It keeps its pipeline and buffers alive; it may be encoded any number of times.
#[derive(Clone, Debug)]
pub struct Dispatch {
    pub(crate) kernel: &'static str,
    pub(crate) shape: String,
    /// Compiled once the dispatch is out of the crate's hands.
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) bind_group: wgpu::BindGroup,
    pub(crate) workgroups: [u32; 2],
    pub(crate) flops: u64,
    pub(crate) bytes: u64,
}

impl Dispatch {
    /// Records the call into a compute pass of the same device.
    pub fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        let Some(pipeline) = self.pipeline.get() else { return };
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        pass.dispatch_workgroups(self.workgroups[0], self.workgroups[1], 1);
    }

    /// The kernel's stem: its shader, its function on the GPU, on the CPU path and in the reference have the same name.
    pub fn kernel(&self) -> &'static str {
        self.kernel
    }

    /// Floating-point operations of its products, an addition and a multiplication counting as two; 0 for kernels that
    /// mostly move data.
    pub fn flops(&self) -> u64 {
        self.flops
    }

    /// Bytes of its buffers that it reads or writes, each counted once however often it is touched.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The same with so many operations in its products.
    pub(crate) fn of_flops(self, flops: u64) -> Self {
        Dispatch { flops, ..self }
    }

    /// The same with so many bytes in its views that it steps over.
    pub(crate) fn skipping(self, bytes: u64) -> Self {
        Dispatch { bytes: self.bytes.saturating_sub(bytes), ..self }
    }

    /// The number of workgroups that it starts, in x and y.
    pub fn workgroups(&self) -> [u32; 2] {
        self.workgroups
    }
}

impl fmt::Display for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [x, y] = self.workgroups;
        write!(f, "{:<14} {:<40} {x} x {y} workgroups", self.kernel, self.shape)
    }
}
