//! Batches of pictures on their way: some are decoded while the device computes others.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tome_wgpu::Error;
use tome_wgpu::vit::{Config, Want};

use crate::arrays::outputs;
use crate::errors::{Broken, Raised, named, raised};
use crate::pictures::{Loaded, Picture, load};
use crate::process::Own;

/// How often Python's signals are looked after while pictures are decoded.
const LOOK: Duration = Duration::from_millis(50);

#[pyclass(frozen, module = "tome_wgpu._native")]
pub struct Stream {
    inner: Own<Mutex<Inner>>,
    config: Config,
    want: Want,
}

struct Inner {
    device: tome_wgpu::Stream,
    /// Pictures so far.
    count: usize,
    decoding: VecDeque<Receiver<Loaded>>,
    /// Of each batch the pictures that could not be read.
    running: VecDeque<Vec<(usize, Error)>>,
}

impl Stream {
    pub fn new(device: tome_wgpu::Stream, config: Config, want: Want) -> Self {
        let inner = Inner { device, count: 0, decoding: VecDeque::new(), running: VecDeque::new() };
        Stream { inner: Own::new(Mutex::new(inner)), config, want }
    }

    /// For this thread alone.
    fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Inner>> {
        let inner = self.inner.get(py)?;
        inner
            .try_lock()
            .map_err(|_| named(py, "InputError", "a stream is read by one thread at a time".into()))
    }
}

/// A batch of results with its errors.
type Batch<'py> = (Bound<'py, PyDict>, Broken<'py>);

#[pymethods]
impl Stream {
    /// Batches that have been handed over and not taken back.
    #[getter]
    fn pending(&self, py: Python<'_>) -> PyResult<usize> {
        let inner = self.lock(py)?;
        Ok(inner.decoding.len() + inner.running.len())
    }

    /// Hands a batch of pictures over.
    fn push(&self, py: Python<'_>, items: Vec<Bound<'_, PyAny>>) -> PyResult<()> {
        let pictures = Picture::all(&items)?;
        let mut inner = self.lock(py)?;
        let (first, config) = (inner.count, self.config.clone());
        inner.count += pictures.len();
        let (sender, receiver) = channel();
        // Where nobody waits any more, nobody is told.
        rayon::spawn(move || _ = sender.send(load(&pictures, first, &config)));
        inner.decoding.push_back(receiver);
        Ok(())
    }

    /// Waits for the oldest batch; none where nothing is on its way.
    fn pop<'py>(&self, py: Python<'py>) -> PyResult<Option<Batch<'py>>> {
        let mut inner = self.lock(py)?;
        let inner = &mut *inner;
        while !inner.device.is_full() && !inner.decoding.is_empty() {
            let loaded = match inner.decoding[0].try_recv() {
                Ok(loaded) => loaded,
                // The device has something to do meanwhile.
                Err(TryRecvError::Empty) if !inner.running.is_empty() => break,
                Err(_) => wait(py, &mut inner.decoding[0])?,
            };
            inner.decoding.pop_front();
            let device = &mut inner.device;
            py.detach(|| device.push(loaded.images())).raised(py)?;
            inner.running.push_back(loaded.broken);
        }
        let Some(broken) = inner.running.pop_front() else { return Ok(None) };
        let device = &mut inner.device;
        let popped = py.detach(|| device.pop()).raised(py)?;
        py.check_signals()?;
        let Some(popped) = popped else { return Ok(None) };
        Ok(Some((outputs(py, popped, &self.config, self.want)?, raised(py, broken))))
    }
}

/// Waits for a batch to be decoded, with an eye on Ctrl-C.
fn wait(py: Python<'_>, decoding: &mut Receiver<Loaded>) -> PyResult<Loaded> {
    loop {
        let receiver = &mut *decoding;
        match py.detach(move || receiver.recv_timeout(LOOK)) {
            Ok(loaded) => return Ok(loaded),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => {
                let why = "a batch of pictures was given up: a panic while decoding";
                return Err(named(py, "DeviceError", why.into()));
            }
        }
    }
}
