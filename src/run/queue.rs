//! Batches that have been handed over and not taken back yet.

use std::collections::VecDeque;

use crate::error::{Error, Result};
use crate::run::answer::Wait;
use crate::run::batch::Sent;
use crate::run::ring::SLOTS;
use crate::run::shared::SharedEngine;
use crate::vit::{Images, Options, Outputs, Want};

/// Batches that have been handed over, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    batches: VecDeque<Batch>,
}

/// A batch in as many parts as the device needed.
#[derive(Debug)]
struct Batch {
    /// Of the parts that are back.
    outputs: Result<Outputs>,
    on_their_way: VecDeque<Sent>,
}

impl Default for Batch {
    fn default() -> Self {
        Batch { outputs: Ok(Outputs::default()), on_their_way: VecDeque::new() }
    }
}

impl Queue {
    /// Whether the next batch would wait for the oldest, or its results pile up.
    pub fn is_full(&self) -> bool {
        self.batches.len() >= SLOTS || self.on_their_way() >= SLOTS
    }

    /// Parts of batches.
    fn on_their_way(&self) -> usize {
        self.batches.iter().map(|batch| batch.on_their_way.len()).sum()
    }

    /// Submits a batch, as many images at once as the device can bind and has memory for. Given up, it leaves the others
    /// alone.
    pub async fn push(
        &mut self,
        engine: &SharedEngine,
        mut images: Images<'_>,
        options: &Options,
        want: Want,
        wait: Wait<'_>,
    ) -> Result<()> {
        let per_image = images.per_image(engine.config());
        images.count(engine.config())?;
        let mut batch = Batch::default();
        let mut gave_up = false;
        while !images.is_empty() {
            let on_their_way = self.on_their_way() + batch.on_their_way.len();
            if on_their_way >= SLOTS {
                self.land_oldest(&mut batch, engine, wait).await;
                continue;
            }
            let count = engine.at_once(options, want).min(images.len() / per_image);
            let (now, later) = images.split_at(count * per_image);
            match engine.submit(now, options, want).await {
                Ok(sent) => {
                    batch.on_their_way.push_back(sent);
                    images = later;
                }
                // What is kept may be in the way, and what is on its way holds memory too.
                Err(Error::OutOfMemory { .. }) if !gave_up => {
                    engine.give_up_plans();
                    gave_up = true;
                }
                Err(Error::OutOfMemory { .. }) if on_their_way > 0 => {
                    self.land_oldest(&mut batch, engine, wait).await;
                }
                Err(Error::OutOfMemory { .. }) if count > 1 => engine.halve(count),
                Err(error) => return Err(error),
            }
        }
        self.batches.push_back(batch);
        Ok(())
    }

    /// Appends a batch whose results are there already.
    #[cfg(feature = "blocking")]
    pub fn push_done(&mut self, outputs: Outputs) {
        self.batches.push_back(Batch { outputs: Ok(outputs), ..Batch::default() });
    }

    /// Takes the oldest batch as it is, of which nothing is on its way.
    #[cfg(feature = "blocking")]
    pub fn pop_done(&mut self) -> Option<Result<Outputs>> {
        self.batches.pop_front().map(|batch| batch.outputs)
    }

    /// Waits for the oldest batch. Given up, it may be asked again.
    pub async fn pop(&mut self, engine: &SharedEngine, wait: Wait<'_>) -> Option<Result<Outputs>> {
        let oldest = self.batches.front_mut()?;
        while !oldest.on_their_way.is_empty() {
            oldest.land(engine, wait).await;
        }
        self.batches.pop_front().map(|batch| batch.outputs)
    }

    /// Waits for the oldest part that is on its way, of a batch in the queue or else of one that is to follow.
    async fn land_oldest(&mut self, next: &mut Batch, engine: &SharedEngine, wait: Wait<'_>) {
        let on_its_way = self.batches.iter_mut().find(|batch| !batch.on_their_way.is_empty());
        on_its_way.unwrap_or(next).land(engine, wait).await;
    }
}

impl Batch {
    /// Waits for the oldest part that is on its way. What goes wrong with it is told to who asks for the batch.
    async fn land(&mut self, engine: &SharedEngine, wait: Wait<'_>) {
        let Some(oldest) = self.on_their_way.front_mut() else { return };
        let landed = oldest.flight.landed(wait).await;
        let part = self.on_their_way.pop_front().map(|sent| landed.and_then(|()| engine.receive(sent)));
        match (part, &mut self.outputs) {
            (Some(Ok(part)), Ok(all)) => all.append(part),
            (Some(Err(error)), Ok(_)) => self.outputs = Err(error),
            _ => {}
        }
    }
}
