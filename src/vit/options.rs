//! How a network is run: what merges, and what merged tokens count for.

use super::config::{Config, Pool};
use crate::kernels::pool::Mode;
use crate::schedule::Schedule;

/// Which tokens never merge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protect {
    /// Every token before the patches.
    #[default]
    Prefix,
    /// The class and distillation tokens only, as in the reference implementation; registers merge like patches.
    Class,
}

/// What a merged token counts for in average pooling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolBy {
    /// Its size, so that every original patch counts once, as in the reference's patch for MAE.
    #[default]
    Size,
    /// One, as in the reference's patch for timm.
    Plain,
}

/// How a network is run.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How many tokens merge in each block.
    pub schedule: Schedule,
    /// Attention counts a token of size s as s tokens (the paper's proportional attention). The paper turns it
    /// off for MAE weights that were not trained with merging.
    pub prop_attn: bool,
    /// What a merged token counts for in average pooling.
    pub pool_by: PoolBy,
    /// Which tokens never merge.
    pub protect: Protect,
}

impl Default for Options {
    fn default() -> Self {
        Options { schedule: Schedule::NONE, prop_attn: true, pool_by: PoolBy::Size, protect: Protect::Prefix }
    }
}

impl Options {
    /// The defaults with a schedule.
    pub fn with_schedule(schedule: Schedule) -> Self {
        Options { schedule, ..Options::default() }
    }

    /// How many tokens at the front are protected.
    pub fn protected(&self, config: &Config) -> u32 {
        match self.protect {
            Protect::Prefix => config.prefix(),
            Protect::Class => u32::from(config.class_token) + u32::from(config.dist_token),
        }
    }

    /// For each pooled row the first token and the mode; empty where attention pools.
    pub(crate) fn pooling(&self, config: &Config) -> Vec<(u32, Mode)> {
        let average = match self.pool_by {
            PoolBy::Plain => (config.prefix(), Mode::MEAN),
            PoolBy::Size => (config.prefix(), Mode::MEAN_BY_SIZE),
        };
        match config.pool {
            Pool::Token => vec![(0, Mode::TOKEN)],
            Pool::Average => vec![average],
            Pool::Distilled => vec![(0, Mode::TOKEN), (1, Mode::TOKEN)],
            Pool::TokenAndAverage => vec![(0, Mode::TOKEN), average],
            Pool::Attention => Vec::new(),
        }
    }

    /// The tokens that enter each block and leave the last.
    pub fn tokens_per_block(&self, config: &Config) -> Vec<u32> {
        self.schedule.tokens_per_block(config.tokens(), self.protected(config), config.depth as usize)
    }

    /// How many times less a forward pass computes than without merging.
    pub fn promised_speedup(&self, config: &Config) -> f64 {
        let plain = vec![config.tokens(); config.depth as usize + 1];
        config.macs(&plain) / config.macs(&self.tokens_per_block(config))
    }
}
