//! Reading a device's buffers, blocking or not.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use crate::error::{Error, Result};

/// How a call waits for the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// On this thread.
    Block,
    /// By yielding to the executor and looking again when it comes back.
    Yield,
}

/// A buffer on its way to the host.
#[derive(Debug)]
pub(super) struct Mapping(Arc<Mutex<Option<Result<(), wgpu::BufferAsyncError>>>>);

impl Mapping {
    /// Asks for a whole buffer once everything submitted is done with it.
    pub fn start(buffer: &wgpu::Buffer, mode: wgpu::MapMode) -> Self {
        let answer = Arc::new(Mutex::new(None));
        let setter = answer.clone();
        buffer.slice(..).map_async(mode, move |result| {
            *setter.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        });
        Mapping(answer)
    }

    /// Waits until it is there, for `submission` and those before it or else for all.
    pub async fn done(
        &self,
        device: &wgpu::Device,
        submission: Option<&wgpu::SubmissionIndex>,
        wait: Wait,
    ) -> Result<()> {
        let lost = |why: String| Poll::Ready(Err(Error::DeviceLost(why)));
        poll_fn(|context| {
            let answered = || self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let polled = match (wait, answered()) {
                (_, Some(_)) => Ok(wgpu::PollStatus::Poll),
                (Wait::Block, None) => {
                    device.poll(wgpu::PollType::Wait { submission_index: submission.cloned(), timeout: None })
                }
                (Wait::Yield, None) => device.poll(wgpu::PollType::Poll),
            };
            if let Err(e) = polled {
                return lost(e.to_string());
            }
            match answered() {
                Some(Ok(())) => Poll::Ready(Ok(())),
                Some(Err(e)) => lost(e.to_string()),
                // A blocking wait that ends without an answer will never have one.
                None if wait == Wait::Block => lost("a buffer could not be mapped".into()),
                None => {
                    // Nothing else polls the device, so the task asks to be run again.
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// Waits until a staging buffer can be read.
pub(super) async fn map(device: &wgpu::Device, staging: &wgpu::Buffer, wait: Wait) -> Result<()> {
    Mapping::start(staging, wgpu::MapMode::Read).done(device, None, wait).await
}

/// The bytes of a mapped staging buffer.
pub(super) fn view(staging: &wgpu::Buffer) -> Result<wgpu::BufferView> {
    staging.slice(..).get_mapped_range().map_err(|e| Error::DeviceLost(e.to_string()))
}
