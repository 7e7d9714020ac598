//! Pictures, clips and sounds that are decoded while the device computes, in their order.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use anyhow::{Result, anyhow};
use tome_wgpu::vit::Config;

use crate::inputs::{Images, Seen, gather, load};
use crate::text::shown;

/// Hands out pictures in order; all threads decode those that come next, however long a single one takes.
pub struct Ahead {
    paths: Arc<[PathBuf]>,
    config: Arc<Config>,
    /// Those that are decoded or being decoded and have not been taken.
    coming: VecDeque<Receiver<Result<Seen>>>,
    /// The next to be decoded.
    next: usize,
    /// The most that are ahead, so that memory does not grow with the number of pictures.
    most: usize,
}

impl Ahead {
    /// For batches of so many; nothing is decoded before the first is taken.
    pub fn new(paths: Vec<PathBuf>, config: &Config, batch: usize) -> Self {
        let most = batch.saturating_mul(2).saturating_add(rayon::current_num_threads());
        let config = Arc::new(config.clone());
        Ahead { paths: paths.into(), config, coming: VecDeque::new(), next: 0, most }
    }

    /// All paths, whatever has been taken.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// The next pictures, of which there must be so many.
    pub fn take(&mut self, count: usize) -> Images {
        let mut loaded = Vec::with_capacity(count);
        for _ in 0..count {
            self.refill();
            let coming = self.coming.pop_front().expect("no more are taken than there are");
            loaded.push(wait(&coming));
        }
        self.refill();
        gather(loaded, &self.config)
    }

    fn refill(&mut self) {
        while self.coming.len() < self.most && self.next < self.paths.len() {
            let (paths, config, at) = (self.paths.clone(), self.config.clone(), self.next);
            let (done, coming) = sync_channel(1);
            rayon::spawn_fifo(move || {
                let path = &paths[at];
                // A panic here would end the command, and with it all the other pictures.
                let image = catch_unwind(AssertUnwindSafe(|| load(path, &config)));
                let image = image.unwrap_or_else(|_| Err(anyhow!("{}: the decoder failed", shown(path))));
                // Where nobody waits any more the run has ended.
                _ = done.send(image);
            });
            self.coming.push_back(coming);
            self.next += 1;
        }
    }
}

fn wait(coming: &Receiver<Result<Seen>>) -> Result<Seen> {
    loop {
        match coming.try_recv() {
            // Where the system allows no other thread, this one decodes.
            Err(TryRecvError::Empty) if rayon::yield_now().is_some() => {}
            Err(TryRecvError::Empty) => return coming.recv()?,
            other => return other?,
        }
    }
}
