//! Batches one after the other, each handed over before those ahead of it are done.

use std::collections::VecDeque;

use crate::error::{Error, Result};
use crate::session::engine::{Engine, Sent};
use crate::session::readback::Wait;
use crate::session::ring::SLOTS;
use crate::session::run::{Session, Want};
use crate::vit::{Images, Options, Outputs};

/// Batches of any size on their way through a [`Session`]: while the device computes one, the next is prepared and
/// uploaded. Results come in the order of the batches, the same as from [`Session::run`]. It may be dropped at any
/// point; what is on its way is then given up.
///
/// ```no_run
/// # fn batches() -> Vec<Vec<f32>> { Vec::new() }
/// # fn run(session: &mut tome_wgpu::Session, options: &tome_wgpu::vit::Options) -> tome_wgpu::Result<()> {
/// let mut stream = session.stream(options, tome_wgpu::Want::LOGITS);
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
pub struct Stream<'a> {
    session: &'a mut Session,
    options: Options,
    want: Want,
    queue: Queue,
}

impl<'a> Stream<'a> {
    pub(super) fn new(session: &'a mut Session, options: Options, want: Want) -> Self {
        Stream { session, options, want, queue: Queue::default() }
    }

    /// Whether as many batches are on their way as can be: the next would wait for the oldest.
    pub fn is_full(&self) -> bool {
        self.queue.batches.len() >= SLOTS
    }

    /// Hands over a batch. Waits only where the stream [is full](Self::is_full) or the batch is more than the device
    /// takes at once. The CPU path computes within the call.
    ///
    /// # Errors
    /// As [`Session::run`]; the batches before it are unharmed.
    pub fn push<'i>(&mut self, images: impl Into<Images<'i>>) -> Result<()> {
        let Stream { session, options, want, queue } = self;
        pollster::block_on(session.push(queue, images.into(), options, *want, Wait::Block))
    }

    /// Waits for the oldest batch and takes its results; none where nothing is on its way.
    ///
    /// # Errors
    /// As [`Session::run`]; the batch is then given up and the others are unharmed.
    pub fn pop(&mut self) -> Result<Option<Outputs>> {
        pollster::block_on(self.session.pop(&mut self.queue, Wait::Block)).transpose()
    }
}

/// Batches that have been handed over, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    batches: VecDeque<Batch>,
}

/// A batch in as many parts as the device needed.
#[derive(Debug)]
struct Batch {
    /// Of the parts that are back.
    outputs: Result<Outputs>,
    on_their_way: VecDeque<Sent>,
}

impl Queue {
    /// Appends a batch whose results are there already.
    pub fn push_done(&mut self, outputs: Outputs) {
        self.batches.push_back(Batch { outputs: Ok(outputs), on_their_way: VecDeque::new() });
    }

    /// Submits a batch, as many images at once as the device can bind and has memory for.
    pub async fn push(
        &mut self,
        engine: &mut Engine,
        images: Images<'_>,
        options: &Options,
        want: Want,
        wait: Wait,
    ) -> Result<()> {
        self.push_done(Outputs::default());
        let sent = self.send(engine, images, options, want, wait).await;
        if sent.is_err() {
            self.batches.pop_back();
        }
        sent
    }

    async fn send(
        &mut self,
        engine: &mut Engine,
        mut images: Images<'_>,
        options: &Options,
        want: Want,
        wait: Wait,
    ) -> Result<()> {
        let per_image = engine.vit.config().image_values();
        while !images.is_empty() {
            let on_their_way: usize = self.batches.iter().map(|batch| batch.on_their_way.len()).sum();
            if on_their_way == SLOTS {
                self.land(engine, wait).await;
                continue;
            }
            let count = engine.at_once(options, want).min(images.len() / per_image);
            let (now, later) = images.split_at(count * per_image);
            match engine.submit(now, options, want) {
                Ok(sent) => {
                    // It was appended at the start.
                    if let Some(batch) = self.batches.back_mut() {
                        batch.on_their_way.push_back(sent);
                    }
                    images = later;
                }
                // What is on its way holds memory too.
                Err(Error::OutOfMemory { .. }) if on_their_way > 0 => self.land(engine, wait).await,
                Err(Error::OutOfMemory { .. }) if count > 1 => engine.halve(count),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits for the oldest batch.
    pub async fn pop(&mut self, engine: &mut Engine, wait: Wait) -> Option<Result<Outputs>> {
        while !self.batches.front()?.on_their_way.is_empty() {
            self.land(engine, wait).await;
        }
        self.pop_done()
    }

    /// The oldest batch, of which nothing is on its way.
    pub fn pop_done(&mut self) -> Option<Result<Outputs>> {
        self.batches.pop_front().map(|batch| batch.outputs)
    }

    /// Waits for the oldest part that is on its way. What goes wrong with it is told to who asks for its batch.
    async fn land(&mut self, engine: &mut Engine, wait: Wait) {
        let Some(batch) = self.batches.iter_mut().find(|batch| !batch.on_their_way.is_empty()) else {
            return;
        };
        let Some(oldest) = batch.on_their_way.front() else { return };
        let landed = oldest.flight.landed(&engine.device, wait).await;
        let part = batch.on_their_way.pop_front().map(|sent| landed.and_then(|()| engine.receive(sent)));
        match (part, &mut batch.outputs) {
            (Some(Ok(part)), Ok(all)) => all.append(part),
            (Some(Err(error)), Ok(_)) => batch.outputs = Err(error),
            _ => {}
        }
    }
}
