//! An engine that handles, streams and queues share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::run::batch::Sent;
use crate::run::engine::{Engine, Prepared};
use crate::vit::{Config, Images, Input, Options, Outputs, VisionTransformer, Want};

/// An [`Engine`] with the answers of the device awaited. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct SharedEngine {
    vit: VisionTransformer,
    queue: wgpu::Queue,
    /// Locked to prepare and to record, never while anything is awaited or submitted: both run others' code.
    engine: Arc<Mutex<Engine>>,
}

impl SharedEngine {
    pub(super) fn new(engine: Engine, queue: wgpu::Queue) -> Self {
        let vit = engine.vit().clone();
        #[allow(clippy::arc_with_non_send_sync, reason = "in a browser, which has one thread")]
        SharedEngine { vit, queue, engine: Arc::new(Mutex::new(engine)) }
    }

    pub fn vit(&self) -> &VisionTransformer {
        &self.vit
    }

    pub fn config(&self) -> &Config {
        self.vit.config()
    }

    /// Submits a batch, as the device has agreed to.
    pub(super) async fn submit(&self, images: Images<'_>, options: &Options, want: Want) -> Result<Sent> {
        let batch = images.count(self.config())? as u32;
        self.prepare(images.input(), batch, options, want).await?;
        let recorded = self.locked().record(images, options, want);
        let sent = recorded.and_then(|recorded| recorded.submit(self.vit.gpu(), &self.queue));
        let mut sent = self.settled(sent).await?;
        self.locked().record_ahead(&mut sent);
        Ok(sent)
    }

    /// The results of a batch that has landed.
    pub(super) fn receive(&self, sent: Sent) -> Result<Outputs> {
        let (outputs, slot) = sent.unpack()?;
        self.locked().put(slot);
        Ok(outputs)
    }

    /// The most images of a batch.
    pub fn at_once(&self, options: &Options, want: Want) -> usize {
        self.locked().at_once(options, want)
    }

    pub fn halve(&self, count: usize) {
        self.locked().halve(count);
    }

    pub fn give_up_plans(&self) {
        self.locked().give_up_plans();
    }

    /// Sees to it that a batch finds a plan that is kept.
    pub async fn prepare(&self, input: Input, batch: u32, options: &Options, want: Want) -> Result<()> {
        if !self.is_prepared(input, batch, options, want) {
            let prepared = self.take(input, batch, options, want).await?;
            self.keep(prepared);
        }
        Ok(())
    }

    /// Whether a batch would find a plan that is kept.
    pub fn is_prepared(&self, input: Input, batch: u32, options: &Options, want: Want) -> bool {
        self.locked().is_prepared(input, batch, options, want)
    }

    /// A plan of those kept, or a new one.
    pub async fn take(&self, input: Input, batch: u32, options: &Options, want: Want) -> Result<Prepared> {
        match self.make(input, batch, options, want).await {
            // What is kept may be in the way.
            Err(Error::OutOfMemory { .. }) => {
                self.give_up_plans();
                self.make(input, batch, options, want).await
            }
            made => made,
        }
    }

    async fn make(&self, input: Input, batch: u32, options: &Options, want: Want) -> Result<Prepared> {
        let (kept, beside) = {
            let mut engine = self.locked();
            (engine.take(input, batch, options), engine.beside(input, batch))
        };
        // Not locked meanwhile: shaders may take long to compile.
        let made = Prepared::new(kept, &self.vit, (input, batch), options, want, beside.as_ref());
        self.settled(made).await
    }

    /// Keeps a plan for later.
    pub fn keep(&self, prepared: Prepared) {
        self.locked().keep(prepared);
    }

    /// The queue that it submits to.
    #[cfg(feature = "blocking")]
    pub fn queue(&self) -> &wgpu::Queue {
        &self.queue
    }

    /// A result, once the device has said everything about it. What turns out broken may be part of a plan that is kept.
    async fn settled<T>(&self, made: Result<T>) -> Result<T> {
        match self.vit.gpu().settle().await {
            Ok(()) => made,
            Err(error) => {
                self.give_up_plans();
                Err(error)
            }
        }
    }

    fn locked(&self) -> MutexGuard<'_, Engine> {
        // What a panic may have left out is a plan or a slot, which are made again.
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
