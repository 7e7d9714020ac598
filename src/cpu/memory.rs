//! What an image's kernels read and write on its way through a network.

use std::mem::take;

use crate::error::Result;
use crate::vit::engine::{Ends, Place};
use crate::vit::merges::BlockMerge;
use crate::vit::{Config, Options, Outputs};

/// The slices of one image, as long as the first block needs; merging leaves their ends unused.
pub(super) struct Memory {
    /// By [`slot`]; those of sizes come last, one more for each merge.
    pub floats: Vec<Vec<f32>>,
    /// By [`slot`]; those of source maps come last, one more for each merge.
    pub indices: Vec<Vec<u32>>,
}

/// Floats before the sizes, and indices before the source maps.
const SIZES: usize = 15;
const SOURCES: usize = 4;

/// Where a place's values stand among all of their type.
pub(super) fn slot(place: Place) -> usize {
    match place {
        Place::X(i) => i,
        Place::Normed | Place::Attended => 2,
        Place::Qkv | Place::Hidden => 3,
        Place::Gate | Place::Branch => 4,
        Place::Metric => 5,
        Place::Score | Place::Energy => 6,
        Place::Pooled => 7,
        Place::Features(i) => 8 + i,
        Place::Logits(i) => 10 + i,
        Place::Mask => 12,
        // Only the last is read again.
        Place::Position(merges) => 13 + merges % 2,
        Place::Size(merges) => SIZES + merges,
        Place::Split => 0,
        Place::Best => 1,
        Place::Rank => 2,
        Place::Plan => 3,
        Place::Source(merges) => SOURCES + merges,
    }
}

impl Memory {
    pub fn new(config: &Config, options: &Options) -> Self {
        let n = config.tokens() as usize;
        let rows = |width: u32| vec![0.0; n * width as usize];
        let row = || vec![0.0; config.embed_dim as usize];
        let classes = || vec![0.0; config.num_classes as usize];
        let gate = config.beside_width();
        let position = config.positions().unwrap_or_default();
        Memory {
            floats: vec![
                rows(config.embed_dim),
                rows(config.embed_dim),
                rows(config.embed_dim),
                rows(config.widest()),
                rows(gate),
                rows(options.metric_width(config)),
                rows(1),
                row(),
                row(),
                row(),
                classes(),
                classes(),
                rows(1),
                position.clone(),
                position,
                vec![1.0; n],
            ],
            indices: vec![vec![0; n], vec![0; n], vec![0; n], vec![0; 3 * n], (0..config.tokens()).collect()],
        }
    }

    /// What stands in its places when a network is through.
    pub fn outputs(self, config: &Config, merges: &[BlockMerge], ends: Ends) -> Outputs {
        let Memory { mut floats, mut indices } = self;
        let gone: u32 = merges.iter().map(|merge| merge.gone).sum();
        let merged = (config.tokens() - gone) as usize;
        let mut done = 0;
        let last = indices.len() - 1;
        let maps = merges.iter().flat_map(|merge| {
            done += usize::from(merge.r > 0);
            indices[(SOURCES + done).min(last)].iter().copied()
        });
        let source_per_block = maps.collect();
        let logits = floats[slot(ends.logits)].clone();
        let mut tokens = take(&mut floats[slot(ends.tokens)]);
        tokens.truncate(merged * config.embed_dim as usize);
        Outputs {
            batch: 1,
            merged,
            logits,
            features: take(&mut floats[slot(Place::Features(0))]),
            tokens,
            size: take(&mut floats[slot(ends.size)]),
            source: take(&mut indices[last]),
            dense: Vec::new(),
            source_per_block,
        }
    }

    pub fn floats(&self, place: Place) -> &[f32] {
        &self.floats[slot(place)]
    }

    pub fn indices(&self, place: Place) -> &[u32] {
        &self.indices[slot(place)]
    }

    pub fn list(&self, listed: bool) -> Option<&[u32]> {
        listed.then(|| self.indices(Place::Split))
    }

    /// Writes floats while the others are read.
    pub fn write(&mut self, place: Place, work: impl FnOnce(&Self, &mut [f32])) -> Result<()> {
        let mut y = take(&mut self.floats[slot(place)]);
        work(self, &mut y);
        self.floats[slot(place)] = y;
        Ok(())
    }

    /// Writes indices while the others are read.
    pub fn write_indices(&mut self, place: Place, work: impl FnOnce(&mut Self, &mut [u32])) -> Result<()> {
        let mut y = take(&mut self.indices[slot(place)]);
        work(self, &mut y);
        self.indices[slot(place)] = y;
        Ok(())
    }
}
