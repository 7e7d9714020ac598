//! Batches one after the other, each handed over before those ahead of it are done.

use crate::error::Result;
use crate::run::answer::polled_by_others;
use crate::run::queue::Queue;
use crate::run::shared::SharedEngine;
use crate::vit::{Images, Options, Outputs, Want};

/// Batches of any size on their way through a [`Runner`](crate::run::Runner): while the device computes one, the next
/// is prepared and uploaded. Results come in the order of the batches, the same as from
/// [`Runner::run`](crate::run::Runner::run). It and the futures of its calls may be dropped at any point; what is on
/// its way with them is then given up.
#[derive(Debug)]
pub struct Stream {
    engine: SharedEngine,
    options: Options,
    want: Want,
    queue: Queue,
}

impl Stream {
    pub(super) fn new(engine: SharedEngine, options: Options, want: Want) -> Self {
        Stream { engine, options, want, queue: Queue::default() }
    }

    /// Whether as many batches are on their way as can be, or parts of those that the device did not take at once: the
    /// next would wait for the oldest.
    pub fn is_full(&self) -> bool {
        self.queue.is_full()
    }

    /// Hands over a batch. Waits only where the stream [is full](Self::is_full) or the batch is more than the device
    /// takes at once.
    ///
    /// # Errors
    /// As [`Runner::run`](crate::run::Runner::run); the batches before it are unharmed.
    pub async fn push<'i>(&mut self, images: impl Into<Images<'i>>) -> Result<()> {
        let Stream { engine, options, want, queue } = self;
        queue.push(engine, images.into(), options, *want, &polled_by_others).await
    }

    /// Waits for the oldest batch and takes its results; none where nothing is on its way.
    ///
    /// # Errors
    /// As [`Runner::run`](crate::run::Runner::run); the batch is then given up and the others are unharmed.
    pub async fn pop(&mut self) -> Result<Option<Outputs>> {
        self.queue.pop(&self.engine, &polled_by_others).await.transpose()
    }
}
