//! What merges in each block, as far as it does not hang on the data.

use super::config::Config;
use super::options::Options;
use crate::error::{Error, Result};
use crate::matching::Matching;
use crate::partition::Partition;
use crate::schedule::Schedule;

/// The merge of a block; there is none where r is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockMerge {
    /// Tokens that merge, or with a threshold the most that do.
    pub r: u32,
    /// Places of tokens that there are less behind it.
    pub gone: u32,
}

impl Options {
    /// The tokens that enter each block and leave the last. With a threshold these are places: [`Options::least`] alone
    /// takes some away, and an image may leave any of them empty.
    pub fn tokens_per_block(&self, config: &Config) -> Vec<u32> {
        let (tokens, protect, blocks) = (config.tokens(), self.protected(config), config.depth as usize);
        let partition = self.partition_of(config);
        let schedule = match self.threshold {
            None => self.schedule.clone(),
            Some(_) => {
                let both = self.schedule.per_block(blocks).into_iter().zip(self.least.per_block(blocks));
                Schedule::List(both.map(|(r, least)| r.min(least)).collect())
            }
        };
        schedule.tokens_per_block(tokens, protect, partition, blocks)
    }

    /// What merges in each block.
    pub(crate) fn merges(&self, config: &Config) -> Vec<BlockMerge> {
        let tokens = self.tokens_per_block(config);
        let protect = self.protected(config);
        let asked = self.schedule.per_block(config.depth as usize);
        let merge = |(pair, asked): (&[u32], u32)| {
            let gone = pair[0] - pair[1];
            let r = match self.threshold {
                None => gone,
                Some(_) => self.partition.clamp(pair[0], protect, asked),
            };
            BlockMerge { r, gone }
        };
        tokens.windows(2).zip(asked).map(merge).collect()
    }

    /// Whether the threshold is one, and padding behind the tokens leaves everything else as it is.
    pub(super) fn check_threshold(&self, config: &Config) -> Result<()> {
        let Some(threshold) = self.threshold else { return Ok(()) };
        if !threshold.is_finite() {
            return Err(Error::Input(format!("a threshold of {threshold}, which is no number")));
        }
        if let Schedule::Inflected { inflection, .. } = self.least
            && !inflection.is_finite()
        {
            return Err(Error::Input(format!("a schedule's inflection is {inflection}, which is no number")));
        }
        let refused = |field: &str, value: String, why: &str| {
            Err(Error::Unsupported { field: field.into(), value, why: why.into() })
        };
        if self.partition != Partition::Alternating {
            let why = "with a threshold tokens alternate: padding would be parted with the others";
            return refused("partition", self.partition.to_string(), why);
        }
        if self.matching != Matching::Bipartite {
            return refused("matching", self.matching.to_string(), "it knows no threshold");
        }
        if config.norm_eps <= 0.0 {
            let why = "a threshold leaves tokens of nothing but zeros, whose norm needs more than 0";
            return refused("norm_eps", config.norm_eps.to_string(), why);
        }
        Ok(())
    }
}
