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

/// Waits until a staging buffer can be read.
pub(super) async fn map(device: &wgpu::Device, staging: &wgpu::Buffer, wait: Wait) -> Result<()> {
    let answer = Arc::new(Mutex::new(None));
    let setter = answer.clone();
    staging.slice(..).map_async(wgpu::MapMode::Read, move |result| {
        *setter.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    });
    let lost = |why: String| Error::DeviceLost(why);
    poll_fn(|context| {
        let poll_type = match wait {
            Wait::Block => wgpu::PollType::wait_indefinitely(),
            Wait::Yield => wgpu::PollType::Poll,
        };
        if let Err(e) = device.poll(poll_type) {
            return Poll::Ready(Err(lost(e.to_string())));
        }
        match answer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(Ok(())) => Poll::Ready(Ok(())),
            Some(Err(e)) => Poll::Ready(Err(lost(e.to_string()))),
            // A blocking wait that ends without an answer will never have one.
            None if wait == Wait::Block => Poll::Ready(Err(lost("results could not be read".into()))),
            None => {
                // Nothing else polls the device, so the task asks to be run again.
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    })
    .await
}

/// Copies 4-byte elements out of a mapped staging buffer.
pub(super) fn read<T: bytemuck::Pod>(staging: &wgpu::Buffer, offset: u64, elements: u64) -> Result<Vec<T>> {
    if elements == 0 {
        return Ok(Vec::new());
    }
    let range = staging.slice(offset..offset + elements * 4).get_mapped_range();
    let range = range.map_err(|e| Error::DeviceLost(e.to_string()))?;
    Ok(bytemuck::pod_collect_to_vec(&range))
}
