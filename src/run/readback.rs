//! Reading a device's buffers.

use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::run::answer::{Answer, Wait, promise};

/// A buffer that results are copied to and read from on the host.
#[derive(Debug)]
pub(crate) struct Readback {
    staging: wgpu::Buffer,
}

impl Readback {
    /// With room for so many bytes.
    pub fn new(gpu: &Gpu, label: &str, bytes: u64) -> Result<Self> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        Ok(Readback { staging: host_buffer(gpu, label, bytes, usage)? })
    }

    /// Bytes that it has room for.
    pub fn room(&self) -> u64 {
        self.staging.size()
    }

    /// Records the copy of a buffer's first bytes to a place in it.
    pub fn copy(&self, encoder: &mut wgpu::CommandEncoder, buffer: &wgpu::Buffer, at: u64, bytes: u64) {
        encoder.copy_buffer_to_buffer(buffer, 0, &self.staging, at, bytes);
    }

    /// Asks for the bytes, once what copies them has been submitted.
    pub fn ask(&self) -> Mapping {
        Mapping::new(&self.staging, wgpu::MapMode::Read)
    }

    /// Hands over the first bytes, once they are there, and lets the device write again.
    pub fn take<T>(&self, bytes: usize, read: impl FnOnce(&[u8]) -> T) -> Result<T> {
        let view = self.staging.slice(..).get_mapped_range();
        let view = view.map_err(|e| Error::DeviceLost(e.to_string()))?;
        let read = read(&view[..bytes]);
        drop(view);
        self.staging.unmap();
        Ok(read)
    }
}

/// A buffer on its way to the host.
#[derive(Debug)]
pub(crate) struct Mapping(Option<Answer<Result<(), wgpu::BufferAsyncError>>>);

impl Mapping {
    /// Asks for a whole buffer once everything submitted is done with it.
    pub fn new(buffer: &wgpu::Buffer, mode: wgpu::MapMode) -> Self {
        let (promise, answer) = promise();
        buffer.slice(..).map_async(mode, |result| promise.give(result));
        Mapping(Some(answer))
    }

    /// Waits until it is there. May be given up and asked again.
    pub async fn landed(&mut self) -> Result<()> {
        let Some(answer) = &mut self.0 else { return Ok(()) };
        let answered = answer.await;
        self.0 = None;
        match answered {
            Some(Ok(())) => Ok(()),
            Some(Err(e)) => Err(Error::DeviceLost(e.to_string())),
            None => Err(Error::DeviceLost("a buffer could not be mapped".into())),
        }
    }
}

/// A buffer that the host maps. Nothing at all cannot be mapped, so that it has room for something.
pub(crate) fn host_buffer(
    gpu: &Gpu,
    label: &str,
    bytes: u64,
    usage: wgpu::BufferUsages,
) -> Result<wgpu::Buffer> {
    let (size, have) = (bytes.max(4), gpu.caps().limits.max_buffer_size);
    if size > have {
        return Err(Error::Limit { what: label.into(), limit: "max_buffer_size", need: size, have });
    }
    let mapped_at_creation = usage.contains(wgpu::BufferUsages::MAP_WRITE);
    gpu.scopes().guarded(label, size, || {
        gpu.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation,
        })
    })
}

/// Waits until somebody has seen that a submission is done.
pub(crate) async fn done(submission: wgpu::SubmissionIndex, wait: Wait<'_>) -> Result<()> {
    let gone = || Err(Error::DeviceLost("nobody waits for the device any more".into()));
    wait(submission).await.unwrap_or_else(gone)
}

/// Submits what `encode` records and reads a buffer's first bytes behind it.
#[cfg(feature = "blocking")]
pub(crate) async fn read(
    gpu: &Gpu,
    queue: &wgpu::Queue,
    buffer: &wgpu::Buffer,
    bytes: u64,
    encode: impl FnOnce(&mut wgpu::CommandEncoder),
    wait: Wait<'_>,
) -> Result<Vec<u8>> {
    let readback = Readback::new(gpu, "tome.readback", bytes)?;
    let submission = gpu.scopes().guarded("a call", 0, || {
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        encode(&mut encoder);
        readback.copy(&mut encoder, buffer, 0, bytes);
        queue.submit([encoder.finish()])
    })?;
    let mut mapping = readback.ask();
    done(submission, wait).await?;
    mapping.landed().await?;
    readback.take(bytes as usize, <[u8]>::to_vec)
}
