//! The buffers that batches travel through: one is uploaded while the next is computed and a third is read.

use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::run::answer::Wait;
use crate::run::batch::{Ahead, Layout};
use crate::run::readback::{Mapping, Readback, done, host_buffer};

/// The most batches on their way at once.
pub(crate) const SLOTS: usize = 3;

/// The slots that no batch is in. A slot whose batch fails or is given up is not put back, and another is made.
#[derive(Debug, Default)]
pub(super) struct Ring {
    free: Vec<Slot>,
}

/// Buffers that a batch's images and results pass through between host and device.
#[derive(Debug)]
pub(super) struct Slot {
    /// Mapped as long as no batch is in the slot.
    pub upload: wgpu::Buffer,
    pub readback: Readback,
    /// Commands of the next batch in the slot.
    pub ahead: Option<Ahead>,
}

/// A slot whose batch has been submitted.
#[derive(Debug)]
pub(super) struct Flight {
    pub slot: Slot,
    submission: wgpu::SubmissionIndex,
    results: Mapping,
    upload: Mapping,
}

impl Ring {
    /// A slot with room for a batch, and perhaps with its commands.
    pub fn take(&mut self, gpu: &Gpu, layout: &Layout) -> Result<Slot> {
        let recorded = |slot: &Slot| slot.ahead.as_ref().is_some_and(|ahead| ahead.kind == layout.kind);
        if let Some(at) = self.free.iter().rposition(recorded) {
            return Ok(self.free.remove(at));
        }
        let (images, results) = (layout.images, layout.results() as u64);
        // The last that was put back, so that batches one by one stay in one slot; rather one without others' commands.
        let plain = self.free.iter().rposition(|slot| slot.ahead.is_none());
        let taken = plain.or(self.free.len().checked_sub(1)).map(|at| self.free.remove(at));
        Ok(match taken {
            None => Slot { upload: upload(gpu, images)?, readback: readback(gpu, results)?, ahead: None },
            Some(mut slot) => {
                slot.ahead = None;
                if slot.upload.size() < images {
                    slot.upload = upload(gpu, images)?;
                }
                if slot.readback.room() < results {
                    slot.readback = readback(gpu, results)?;
                }
                slot
            }
        })
    }

    /// Gives up commands.
    pub fn forget(&mut self, which: impl Fn(&Ahead) -> bool) {
        for slot in &mut self.free {
            slot.ahead.take_if(|ahead| which(ahead));
        }
    }

    /// Takes back a slot that is done with. More than travel at once are not kept.
    pub fn put(&mut self, slot: Slot) {
        if self.free.len() < SLOTS {
            self.free.push(slot);
        }
    }

    /// Gives up the memory of the slots that no batch is in.
    pub fn clear(&mut self) {
        self.free.clear();
    }
}

impl Slot {
    /// Puts a batch's images where the device can copy them from.
    pub fn write(&self, images: &[u8]) -> Result<()> {
        let mapped = self.upload.slice(..).get_mapped_range_mut();
        let mut mapped = mapped.map_err(|e| Error::DeviceLost(e.to_string()))?;
        mapped.slice(..images.len()).copy_from_slice(images);
        drop(mapped);
        self.upload.unmap();
        Ok(())
    }

    /// Starts waiting for a submission that reads `upload` and writes `readback`.
    pub fn submitted(self, submission: wgpu::SubmissionIndex) -> Flight {
        let results = self.readback.ask();
        let upload = Mapping::new(&self.upload, wgpu::MapMode::Write);
        Flight { slot: self, submission, results, upload }
    }
}

impl Flight {
    /// Waits until the results can be read and images can be written again. Later submissions are not waited for. May
    /// be given up and asked again.
    pub async fn landed(&mut self, wait: Wait<'_>) -> Result<()> {
        done(self.submission.clone(), wait).await?;
        self.results.landed().await?;
        self.upload.landed().await
    }
}

fn upload(gpu: &Gpu, size: u64) -> Result<wgpu::Buffer> {
    host_buffer(gpu, "tome.upload", size, wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC)
}

fn readback(gpu: &Gpu, size: u64) -> Result<Readback> {
    Readback::new(gpu, "tome.readback", size)
}
