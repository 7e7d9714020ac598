//! Forks: a child has neither its parent's threads nor its devices.

use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::prelude::*;

use crate::errors::named;

/// The process that started what the child of a fork lacks; 0 for none.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// Refuses in the child of a fork what would wait for threads for ever.
pub fn enter(py: Python<'_>) -> PyResult<()> {
    let here = std::process::id();
    match STARTED.compare_exchange(0, here, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => Ok(()),
        Err(started) if started == here => Ok(()),
        Err(started) => Err(named(
            py,
            "ForkError",
            format!(
                "process {started} has used tome_wgpu and was then forked: its threads and its device are not in this process, \
                 {here}. Start workers by spawning (multiprocessing.get_context(\"spawn\") or \"forkserver\"), or load networks \
                 in the workers only"
            ),
        )),
    }
}

/// Something that is given up and not taken apart in the child of a fork, where its threads are missing.
pub struct Own<T> {
    inner: Option<T>,
    process: u32,
}

impl<T> Own<T> {
    pub fn new(inner: T) -> Self {
        Own { inner: Some(inner), process: std::process::id() }
    }

    /// It, in the process that made it.
    pub fn get(&self, py: Python<'_>) -> PyResult<&T> {
        enter(py)?;
        // It is there until the drop.
        self.inner.as_ref().ok_or_else(|| named(py, "DeviceError", "the network is gone".into()))
    }
}

impl<T> Drop for Own<T> {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            std::mem::forget(self.inner.take());
        }
    }
}
