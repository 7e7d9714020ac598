//! Batches one after the other, each handed over before those ahead of it are done.

use std::sync::Arc;

use crate::error::Result;
use crate::run::Queue;
use crate::session::shared::Shared;
use crate::vit::{Images, Options, Outputs, Want};

/// Batches of any size on their way through a [`Session`](crate::Session): while the device computes one, the next is
/// prepared and uploaded. Results come in the order of the batches, the same as from
/// [`Session::run`](crate::Session::run). It holds a handle of its own, and may be dropped at any point; what is on its
/// way is then given up.
///
/// ```no_run
/// # use tome_wgpu::{Session, vit::{Options, Want}};
/// # fn batches() -> Vec<Vec<f32>> { Vec::new() }
/// # fn run(session: &Session, options: &Options) -> tome_wgpu::Result<()> {
/// let mut stream = session.stream(options, Want::LOGITS);
/// for images in batches() {
///     if stream.is_full() {
///         println!("{:?}", stream.pop()?);
///     }
///     stream.push(&images)?;
/// }
/// while let Some(outputs) = stream.pop()? {
///     println!("{outputs:?}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Stream {
    session: Arc<Shared>,
    options: Options,
    want: Want,
    queue: Queue,
}

impl Stream {
    pub(super) fn new(session: Arc<Shared>, options: Options, want: Want) -> Self {
        Stream { session, options, want, queue: Queue::default() }
    }

    /// Whether as many batches are on their way as can be, or parts of those that the device did not take at once: the
    /// next would wait for the oldest.
    pub fn is_full(&self) -> bool {
        self.queue.is_full()
    }

    /// Hands over a batch. Waits only where the stream [is full](Self::is_full) or the batch is more than the device
    /// takes at once. The CPU path computes within the call.
    ///
    /// # Errors
    /// As [`Session::run`](crate::Session::run); the batches before it are unharmed.
    pub fn push<'i>(&mut self, images: impl Into<Images<'i>>) -> Result<()> {
        self.session.push(&mut self.queue, images.into(), &self.options, self.want)
    }

    /// Waits for the oldest batch and takes its results; none where nothing is on its way.
    ///
    /// # Errors
    /// As [`Session::run`](crate::Session::run); the batch is then given up and the others are unharmed.
    pub fn pop(&mut self) -> Result<Option<Outputs>> {
        self.session.pop(&mut self.queue).transpose()
    }

    /// [`push`](Self::push) without blocking the thread. Dropped, its batch is given up.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub async fn push_async<'i>(&mut self, images: impl Into<Images<'i>>) -> Result<()> {
        self.session.push_async(&mut self.queue, images.into(), &self.options, self.want).await
    }

    /// [`pop`](Self::pop) without blocking the thread. Dropped, it may be called again.
    ///
    /// # Errors
    /// As [`pop`](Self::pop).
    pub async fn pop_async(&mut self) -> Result<Option<Outputs>> {
        self.session.pop_async(&mut self.queue).await.transpose()
    }
}
