//! A value that comes later, from a callback or another thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::error::Result;

/// How somebody sees to it that the device looks whether a submission is done, and says so: wgpu's callbacks come from
/// there. In a browser nobody has to.
pub(crate) type Wait<'a> = &'a (dyn Fn(wgpu::SubmissionIndex) -> Answer<Result<()>> + Sync);

/// A value to be awaited; none where who owed it is gone.
#[derive(Debug)]
pub(crate) struct Answer<T>(Arc<Mutex<State<T>>>);

/// Who owes an [`Answer`].
#[derive(Debug)]
pub(crate) struct Promise<T>(Arc<Mutex<State<T>>>);

#[derive(Debug)]
enum State<T> {
    Owed(Option<Waker>),
    Given(Option<T>),
}

/// An answer and who owes it.
pub(crate) fn promise<T>() -> (Promise<T>, Answer<T>) {
    let state = Arc::new(Mutex::new(State::Owed(None)));
    (Promise(state.clone()), Answer(state))
}

impl<T> Answer<T> {
    /// One that is there.
    pub fn known(value: T) -> Self {
        Answer(Arc::new(Mutex::new(State::Given(Some(value)))))
    }
}

impl<T> Promise<T> {
    /// Gives the value and wakes who awaits it.
    pub fn give(self, value: T) {
        self.settle(Some(value));
    }

    /// Whether anybody still awaits it.
    #[cfg(feature = "blocking")]
    pub fn is_wanted(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    fn settle(&self, value: Option<T>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State::Owed(waker) = &mut *state else { return };
        let waker = waker.take();
        *state = State::Given(value);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.settle(None);
    }
}

impl<T> Future for Answer<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Given(value) => Poll::Ready(value.take()),
            State::Owed(waker) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// As in a browser, or where the caller polls the device.
pub(crate) fn polled_by_others(_: wgpu::SubmissionIndex) -> Answer<Result<()>> {
    Answer::known(Ok(()))
}
