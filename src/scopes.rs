//! A device's reports about single calls, which would otherwise go to the uncaptured-error handler, and by default
//! end the program. Everywhere but in a browser the answer is there at once; in a browser it comes later, and is kept
//! until somebody awaits it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::mem::take;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::error::{Error, Result};

/// A device's answers about the calls made on it. Cloning shares them.
#[derive(Clone, Debug)]
pub(crate) struct Scopes {
    device: wgpu::Device,
    /// In the order of the calls.
    unsettled: Arc<Mutex<Vec<Arc<Unsettled>>>>,
}

/// A device's report about a call.
pub(crate) enum Reported {
    NoMemory,
    Refused(String),
}

/// A future of wgpu's, which browsers do not let out of their thread.
pub(crate) trait Later<T>: Future<Output = T> + wgpu::WasmNotSend {}

impl<T, F: Future<Output = T> + wgpu::WasmNotSend> Later<T> for F {}

type Pinned<T> = Pin<Box<dyn Later<T>>>;

impl Scopes {
    pub fn new(device: &wgpu::Device) -> Self {
        Scopes { device: device.clone(), unsettled: Arc::default() }
    }

    /// Makes something on the device and turns what the device reports meanwhile into an [`Error`].
    pub fn guarded<T>(&self, what: &str, bytes: u64, make: impl FnOnce() -> T) -> Result<T> {
        let (made, reported) = self.watched(make);
        let what = what.to_owned();
        self.answered(async move {
            match reported.await {
                None => Ok(()),
                Some(Reported::NoMemory) => Err(Error::OutOfMemory { what, bytes }),
                Some(Reported::Refused(message)) => Err(Error::Device { what, message }),
            }
        })?;
        Ok(made)
    }

    /// Makes something on the device and catches what the device reports meanwhile.
    pub fn watched<T>(&self, make: impl FnOnce() -> T) -> (T, Pinned<Option<Reported>>) {
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let made = make();
        let (refused, failed, no_memory) = (validation.pop(), internal.pop(), memory.pop());
        let reported = async move {
            let (refused, failed, no_memory) = (refused.await, failed.await, no_memory.await);
            match (no_memory, failed.or(refused)) {
                (Some(_), _) => Some(Reported::NoMemory),
                (None, Some(error)) => Some(Reported::Refused(error.to_string())),
                (None, None) => None,
            }
        };
        (made, Box::pin(reported))
    }

    /// An answer that is there at once. Another counts as good until it is [settled](Self::settle).
    pub fn answered(&self, answer: impl Later<Result<()>> + 'static) -> Result<()> {
        let mut answer: Pinned<Result<()>> = Box::pin(answer);
        match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(known) => known,
            Poll::Pending => {
                let unsettled = Unsettled { state: State::Awaited(answer).into(), waiting: Arc::default() };
                #[allow(clippy::arc_with_non_send_sync, reason = "in a browser, which has one thread")]
                lock(&self.unsettled).push(Arc::new(unsettled));
                Ok(())
            }
        }
    }

    /// Waits for every answer that is still to come and gives the first error. Of tasks that wait at the same time each
    /// is told.
    pub async fn settle(&self) -> Result<()> {
        let all = lock(&self.unsettled).clone();
        let mut settled = Ok(());
        for one in &all {
            settled = settled.and(poll_fn(|context| one.poll(context)).await);
        }
        lock(&self.unsettled).retain(|one| !all.iter().any(|other| Arc::ptr_eq(one, other)));
        settled
    }
}

/// An answer that any number of tasks may wait for.
struct Unsettled {
    state: Mutex<State>,
    waiting: Arc<Waiting>,
}

enum State {
    Awaited(Pinned<Result<()>>),
    Known(Result<()>),
}

/// The tasks that wait for an answer.
#[derive(Default)]
struct Waiting(Mutex<Vec<Waker>>);

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        take(&mut *lock(&self.0)).into_iter().for_each(Waker::wake);
    }
}

impl Unsettled {
    fn poll(&self, context: &Context<'_>) -> Poll<Result<()>> {
        let mut state = lock(&self.state);
        if let State::Awaited(answer) = &mut *state {
            let mut waiting = lock(&self.waiting.0);
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            drop(waiting);
            let waker = self.waiting.clone().into();
            match answer.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(known) => *state = State::Known(known),
                Poll::Pending => return Poll::Pending,
            }
        }
        match &*state {
            State::Known(known) => Poll::Ready(known.clone()),
            State::Awaited(_) => Poll::Pending,
        }
    }
}

impl fmt::Debug for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unsettled")
    }
}

/// Nothing panics between two changes, so that a poisoned lock still guards what is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
