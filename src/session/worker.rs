//! A thread that waits and computes on behalf of tasks, so that no executor's thread has to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{OnceLock, mpsc};
use std::thread;

use crate::error::{Error, Result};
use crate::run::{Answer, promise};

type Job = Box<dyn FnOnce() + Send>;

/// A thread that does jobs one after the other: started by the first, ended with its owner.
#[derive(Debug, Default)]
pub(super) struct Worker(OnceLock<mpsc::Sender<Job>>);

impl Worker {
    /// Has a job done. What nobody waits for any more is left out; a job that panics gives nothing.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Answer<T> {
        let (promise, answer) = promise();
        self.post(move || {
            if promise.is_wanted() {
                promise.give(job());
            }
        });
        answer
    }

    /// Has a job done that nobody waits for.
    pub fn post(&self, job: impl FnOnce() + Send + 'static) {
        let jobs = self.0.get_or_init(|| {
            let (sender, receiver) = mpsc::channel::<Job>();
            let work = move || {
                for job in receiver {
                    // The panic has been told by then, and whoever waits is told by the broken promise.
                    _ = catch_unwind(AssertUnwindSafe(job));
                }
            };
            if let Err(error) = thread::Builder::new().name("tome-worker".into()).spawn(work) {
                tracing::warn!("no thread to wait on: {error}");
            }
            sender
        });
        // Where there is no thread the job is dropped, and with it its promise.
        _ = jobs.send(Box::new(job));
    }

    /// Waits for a submission.
    pub fn poll(&self, device: &wgpu::Device, submission: wgpu::SubmissionIndex) -> Answer<Result<()>> {
        let device = device.clone();
        self.run(move || poll(&device, submission))
    }
}

/// Waits for a submission and those before it, on this thread.
pub(crate) fn poll(device: &wgpu::Device, submission: wgpu::SubmissionIndex) -> Result<()> {
    let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
    device.poll(wait).map(drop).map_err(|e| Error::DeviceLost(e.to_string()))
}
