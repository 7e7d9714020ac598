//! The number of tokens that each block merges.

use std::fmt;
use std::str::FromStr;

use crate::decimal::decimal;
use crate::error::Error;
use crate::partition::Partition;

/// r for every block. Token counts follow from it alone, never from the data.
///
/// Written as `13` (constant), `16:-1` (r : inflection) or `32,29,26` (a list).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Schedule {
    /// The same r in every block.
    Constant(u32),
    /// Around `r` on average and changing evenly from block to block: an inflection of -1 falls from 2 r to 0 (the
    /// paper's decreasing schedule), 0 is constant, 1 rises from 0 to 2 r. Each r is truncated toward zero; what
    /// would be negative merges nothing.
    Inflected {
        /// The average.
        r: u32,
        /// From -1 to 1 in ordinary use.
        inflection: f64,
    },
    /// One r a block; blocks past its end merge nothing, entries past the last block are ignored.
    List(Vec<u32>),
}

impl Schedule {
    /// No merging.
    pub const NONE: Schedule = Schedule::Constant(0);

    /// The same r in every block.
    pub fn constant(r: u32) -> Self {
        Schedule::Constant(r)
    }

    /// r for each of `blocks` blocks, before it is held against the tokens that are left.
    pub fn per_block(&self, blocks: usize) -> Vec<u32> {
        match self {
            Schedule::Constant(r) => vec![*r; blocks],
            Schedule::List(list) => (0..blocks).map(|i| list.get(i).copied().unwrap_or(0)).collect(),
            Schedule::Inflected { r, inflection } => {
                let least = (f64::from(*r) * (1.0 - inflection)).trunc();
                let most = 2.0 * f64::from(*r) - least;
                // One block has no slope.
                let step = if blocks > 1 { (most - least) / (blocks - 1) as f64 } else { 0.0 };
                // `as` truncates toward zero and takes negatives to zero.
                (0..blocks).map(|i| (least + step * i as f64) as u32).collect()
            }
        }
    }

    /// The tokens that enter block 0, block 1, ... and those that leave the last block: one number more than there
    /// are blocks. In each block r is clamped to what the partition allows. Where it comes in whole lines only, or as
    /// many of each frame group, what is left over is carried to the next block that merges.
    pub fn tokens_per_block(
        &self,
        tokens: u32,
        protect: u32,
        partition: Partition,
        blocks: usize,
    ) -> Vec<u32> {
        let (mut left, mut partition, mut over) = (tokens, partition, 0);
        let after = self.per_block(blocks).into_iter().map(|r| {
            if r > 0 {
                let asked = r.saturating_add(over);
                let r = partition.clamp(left, protect, asked);
                over = asked % partition.step(left, protect);
                partition = partition.after(left, protect, r);
                left -= r;
            }
            left
        });
        std::iter::once(tokens).chain(after).collect()
    }

    /// Whether no block merges anything.
    pub fn is_none(&self, blocks: usize) -> bool {
        self.per_block(blocks).iter().all(|&r| r == 0)
    }
}

impl FromStr for Schedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Schedule { text: text.into(), why: why.into() };
        let count = |part: &str| {
            part.trim().parse::<u32>().map_err(|_| {
                wrong("give a whole number from 0 on (13), r and inflection (16:-1), or a list of numbers (32,29,26)")
            })
        };
        if let Some((r, inflection)) = text.split_once(':') {
            let inflection = decimal(inflection.trim()).ok_or_else(|| {
                wrong(
                    "the inflection after `:` is no number of at most 19 digits, 21 places behind the point",
                )
            })?;
            Ok(Schedule::Inflected { r: count(r)?, inflection })
        } else if text.contains(',') {
            Ok(Schedule::List(text.split(',').map(count).collect::<Result<_, _>>()?))
        } else {
            Ok(Schedule::Constant(count(text)?))
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Schedule::Constant(r) => write!(f, "{r}"),
            Schedule::Inflected { r, inflection } => write!(f, "{r}:{inflection}"),
            Schedule::List(list) => {
                let parts: Vec<_> = list.iter().map(u32::to_string).collect();
                write!(f, "{}", parts.join(","))
            }
        }
    }
}
