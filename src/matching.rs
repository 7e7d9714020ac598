//! The way in which the tokens that merge are found.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::kernels::find_matches::Similarity;
use crate::kernels::split_tokens::pcg;

/// The way in which the tokens that merge are found: the paper's, or what its Table 2 holds it against. The others are
/// there to be compared with and run on the CPU path only; they know no [`Partition`](crate::Partition), and r is
/// clamped as where tokens alternate.
///
/// Written as `bipartite`, `greedy`, `kmeans:5`, `prune-random:7` or `prune-attention`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Matching {
    /// Bipartite soft matching, as [`Partition`](crate::Partition) says.
    #[default]
    Bipartite,
    /// r times the most similar two of all unprotected tokens become one, whose metric is the mean of its members'.
    Greedy,
    /// Clusters, as many as tokens are to be left, at first around tokens evenly spaced.
    KMeans {
        /// How often tokens are assigned to the most similar centre; in between, centres become the means of their
        /// tokens. From 1 to [`Matching::MOST_ITERATIONS`].
        iterations: u32,
    },
    /// r random tokens are dropped, others in each block and image.
    PruneRandom {
        /// The number that the choice starts from.
        seed: u32,
    },
    /// The r tokens are dropped that the class token attends to the least, over all heads together.
    PruneAttention,
}

/// Sizes of a matching other than the bipartite one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Params {
    /// Images.
    pub batch: u32,
    /// Tokens an image.
    pub tokens: u32,
    /// Values of a metric.
    pub width: u32,
    /// Tokens that disappear; at most half of the unprotected ones.
    pub r: u32,
    /// Tokens at the front that stay as they are.
    pub protect: u32,
    /// The measure by which two metrics are alike.
    pub similarity: Similarity,
}

impl Params {
    /// Elements of an image's plan, as [`rank_matches`](crate::kernels::rank_matches()) says.
    pub fn plan_len(&self) -> u32 {
        3 * self.tokens - self.r
    }
}

impl Matching {
    /// More change nothing that anybody waits for.
    pub const MOST_ITERATIONS: u32 = 1000;

    /// That of a block of a network.
    pub(crate) fn in_block(self, block: u32) -> Self {
        match self {
            Matching::PruneRandom { seed } => Matching::PruneRandom { seed: pcg(block ^ pcg(seed)) },
            other => other,
        }
    }

    /// Whether it makes sense.
    ///
    /// # Errors
    /// [`Error::Input`] for k-means without an iteration or with too many.
    pub fn check(&self) -> Result<()> {
        match *self {
            Matching::KMeans { iterations } if !(1..=Self::MOST_ITERATIONS).contains(&iterations) => {
                let most = Self::MOST_ITERATIONS;
                Err(Error::Input(format!("matching: {iterations} iterations of k-means; give 1 to {most}")))
            }
            _ => Ok(()),
        }
    }
}

impl FromStr for Matching {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, number) = text.split_once(':').map_or((text, None), |(name, number)| (name, Some(number)));
        let matching = match (name, number.map(str::parse)) {
            ("bipartite", None) => Matching::Bipartite,
            ("greedy", None) => Matching::Greedy,
            ("kmeans", Some(Ok(iterations))) => Matching::KMeans { iterations },
            ("prune-random", Some(Ok(seed))) => Matching::PruneRandom { seed },
            ("prune-attention", None) => Matching::PruneAttention,
            _ => {
                return Err(Error::Input(format!(
                    "matching `{text}`; give bipartite, greedy, kmeans:ITERATIONS, prune-random:SEED or prune-attention"
                )));
            }
        };
        matching.check()?;
        Ok(matching)
    }
}

impl fmt::Display for Matching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Matching::Bipartite => write!(f, "bipartite"),
            Matching::Greedy => write!(f, "greedy"),
            Matching::KMeans { iterations } => write!(f, "kmeans:{iterations}"),
            Matching::PruneRandom { seed } => write!(f, "prune-random:{seed}"),
            Matching::PruneAttention => write!(f, "prune-attention"),
        }
    }
}
