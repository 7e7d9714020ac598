//! The tokens that may merge, and those they merge into.

use std::fmt;
use std::str::FromStr;

use crate::decimal::decimal;
use crate::error::{Error, Result};
use crate::kernels::Similarity;
use crate::kernels::split_tokens::{Params, SplitMode, pcg};

/// Tokens are either sources, which may merge, or destinations, which they merge into (the sets A and B in section 3 of
/// the paper). Protected tokens, those at the front, are neither. Token counts follow from the partition and r alone.
///
/// Written as `alternating`, `sequential`, `every:3`, `random:7`, `lines`, `lines:14x14`, `frames`, `frames:8`, `energy` or
/// `energy:0.45`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Partition {
    /// Even positions are sources, odd ones destinations, counted from the very first token.
    #[default]
    Alternating,
    /// The first half of the unprotected tokens, rounded up, are sources, the second half destinations.
    Sequential,
    /// Of each k unprotected tokens the last is a destination. Those behind the last whole group are sources; ToMe's
    /// `kth_bipartite_soft_matching` drops them.
    EveryKth(u32),
    /// r random unprotected tokens are sources, so that all of them merge; the others are destinations. Each image of a
    /// batch has its own, which depend on the seed and on its place in the batch as the device gets it: a batch that is
    /// too large for it goes in parts, and each begins anew. In a network each block draws anew.
    Random {
        /// The number that the choice starts from.
        seed: u32,
    },
    /// The unprotected tokens form a grid, row by row, and one token in each whole cell of it is a destination (tomesd's
    /// `bipartite_soft_matching_random2d`). All others are sources, also those behind the last whole cell of a row or
    /// column. Not for networks: what a merge leaves forms no grid.
    Grid {
        /// Rows of the grid.
        rows: u32,
        /// Columns of the grid.
        columns: u32,
        /// Rows and columns of a cell.
        stride: [u32; 2],
        /// Without it the destination is the top left token of its cell, with it a random one, the same for all images.
        seed: Option<u32>,
    },
    /// The unprotected tokens form a grid, row by row, and so do those that a merge leaves: each line along its longer
    /// side, or each row of a square, loses as many tokens as the others (after "CubistMerge", 2025, arXiv 2509.21764).
    /// In a line even places are sources and odd ones destinations, a source merges into the more similar of its two
    /// neighbours, and the order stays. Several frames are as many grids, one behind the other. r is rounded down to
    /// whole lines; a [`Schedule`](crate::Schedule) carries what is left over to the next block.
    Lines {
        /// Rows and columns. Without them it is the network's own, [`Config::grid`](crate::vit::Config::grid); a
        /// merger has to be told.
        grid: Option<[u32; 2]>,
    },
    /// The unprotected tokens are frame groups of one length, one behind the other, and merge within their own: in each as
    /// where tokens [alternate](Partition::Alternating), and each loses as many. A merged token stands where its destination
    /// stood, so that what is left keeps its order, and its place alone says which group it is of. Behind an odd number of
    /// protected tokens a group begins with a destination, as in a picture. r is rounded down to a multiple of the groups; a
    /// [`Schedule`](crate::Schedule) carries what is left over to the next block.
    Frames {
        /// The number of groups. Without it it is that of the network's steps in time,
        /// [`Config::patch_times`](crate::vit::Config::patch_times), which is 1 for pictures; a merger has to be told.
        groups: Option<u32>,
    },
    /// By energy, which is high where a token has many like it (Tran et al., "Accelerating Transformers with
    /// Spectrum-Preserving Token Merging", 2024, arXiv 2405.16148): of the unprotected tokens in falling order of energy
    /// the first 2 r are sources and destinations in turn, and every such source merges. All others stay as they are. On
    /// equal energy the lower token is first. The similarity must be the cosine.
    ///
    /// [`token_energy`](crate::kernels::token_energy()) has the formula.
    Energy {
        /// The cosine from which on two tokens are alike. Without one it falls from block to block of a network, 0.9 times
        /// the share of blocks to come, as in the paper; a single merge is then the first block's.
        margin: Option<f32>,
    },
}

/// The margin of a network's first block.
const FIRST_MARGIN: f64 = 0.9;

impl Partition {
    /// The most tokens that can merge at once: the unprotected sources, as long as there is a destination. Where
    /// tokens alternate it is half of those that are not protected, as in ToMe's code.
    pub fn most(&self, tokens: u32, protect: u32) -> u32 {
        let free = tokens.saturating_sub(protect);
        let destinations = match *self {
            Partition::Alternating | Partition::Sequential | Partition::Energy { .. } => free / 2,
            Partition::EveryKth(k) => free.checked_div(k).unwrap_or(0),
            Partition::Random { .. } => free.min(1),
            Partition::Grid { rows, columns, stride: [height, width], .. } => {
                let fits = rows.checked_mul(columns) == Some(free);
                let cells = |all: u32, cell: u32| all.checked_div(cell).unwrap_or(0);
                if fits { cells(rows, height) * cells(columns, width) } else { 0 }
            }
            Partition::Lines { grid } => grid.map_or(0, |grid| lines(free, grid) * (longer(grid) / 2)),
            Partition::Frames { groups } => groups.map_or(0, |groups| groups * (length(free, groups) / 2)),
        };
        match (self, destinations) {
            (_, 0) => 0,
            (Partition::Sequential | Partition::EveryKth(_), _) => free - destinations,
            (Partition::Random { .. } | Partition::Grid { .. }, _) => free - destinations,
            _ => destinations,
        }
    }

    /// The number that r is a multiple of: that of the lines or frame groups, of which each loses as many tokens, or 1.
    pub fn step(&self, tokens: u32, protect: u32) -> u32 {
        match *self {
            Partition::Lines { grid: Some(grid) } => lines(tokens.saturating_sub(protect), grid).max(1),
            Partition::Frames { groups: Some(groups) } => groups.max(1),
            _ => 1,
        }
    }

    /// r as it will be: at most what merges at once, and a whole number of steps.
    pub fn clamp(&self, tokens: u32, protect: u32, r: u32) -> u32 {
        let step = self.step(tokens, protect);
        r.min(self.most(tokens, protect)) / step * step
    }

    /// The partition of the tokens that a merge of r leaves, with r as [`clamp`](Self::clamp) gives it: a grid of lines
    /// has become smaller.
    #[must_use]
    pub fn after(self, tokens: u32, protect: u32, r: u32) -> Self {
        let Partition::Lines { grid: Some([rows, columns]) } = self else { return self };
        let lost = r / self.step(tokens, protect);
        let grid = if columns >= rows { [rows, columns - lost] } else { [rows - lost, columns] };
        Partition::Lines { grid: Some(grid) }
    }

    /// The partition of a network whose patches form a grid at each of its steps in time.
    pub(crate) fn on(self, grid: [u32; 2], times: u32) -> Self {
        match self {
            Partition::Frames { groups: None } => Partition::Frames { groups: Some(times) },
            Partition::Lines { grid: None } => Partition::Lines { grid: Some(grid) },
            other => other,
        }
    }

    /// The `Params` by which [`split_tokens`](crate::kernels::split_tokens()) lists sources and destinations for a merge
    /// of r tokens, with r as [`most`](Self::most) allows. None where there is nothing to list: tokens alternate, or
    /// merge along lines or within frame groups, or nothing merges.
    pub fn split(&self, batch: u32, tokens: u32, protect: u32, r: u32) -> Option<Params> {
        let srcs = protect + self.most(tokens, protect);
        let all = Params { lists: 1, tokens, protect, srcs, ..Params::default() };
        let params = match *self {
            Partition::Alternating | Partition::Lines { .. } | Partition::Frames { .. } => return None,
            Partition::Sequential => Params { mode: SplitMode::First, ..all },
            // A grid of one row with the last place of each cell.
            Partition::EveryKth(k) => Params {
                mode: SplitMode::Cells,
                columns: tokens.saturating_sub(protect),
                cell_height: 1,
                cell_width: k,
                place: k.saturating_sub(1),
                ..all
            },
            Partition::Random { seed } => {
                Params { lists: batch, srcs: protect + r, mode: SplitMode::Random, seed, ..all }
            }
            Partition::Grid { columns, stride: [cell_height, cell_width], seed, .. } => {
                let mode = if seed.is_some() { SplitMode::RandomCells } else { SplitMode::Cells };
                Params { mode, columns, cell_height, cell_width, seed: seed.unwrap_or(0), ..all }
            }
            Partition::Energy { .. } => {
                Params { lists: batch, srcs: tokens.saturating_sub(r), mode: SplitMode::Energy, ..all }
            }
        };
        (r > 0).then_some(params)
    }

    /// Whether it makes sense for so many tokens.
    ///
    /// # Errors
    /// [`Error::Input`] for every k-th token with k below 2, for a grid of another number of tokens or with empty cells, for
    /// lines or frame groups that are not known or do not part the tokens, and for a margin that is no number.
    pub fn check(&self, tokens: u32, protect: u32) -> Result<()> {
        let wrong = |why: String| Err(Error::Input(format!("partition: {why}")));
        match *self {
            Partition::EveryKth(k) if k < 2 => wrong(format!("every {k}-th token; k must be at least 2")),
            Partition::Grid { rows, columns, stride, .. } => {
                let free = tokens.saturating_sub(protect);
                if rows.checked_mul(columns) != Some(free) {
                    return wrong(format!("a grid of {rows} x {columns} for {free} unprotected tokens"));
                }
                match stride {
                    [0, _] | [_, 0] => wrong("the cells of the grid are empty".into()),
                    _ => Ok(()),
                }
            }
            Partition::Lines { grid: None } => wrong("lines of a grid; say its rows and columns".into()),
            Partition::Lines { grid: Some([rows, columns]) } => {
                let free = tokens.saturating_sub(protect);
                match rows.checked_mul(columns) {
                    Some(cells @ 1..) if free.is_multiple_of(cells) => Ok(()),
                    _ => {
                        wrong(format!("lines of a grid of {rows} x {columns} for {free} unprotected tokens"))
                    }
                }
            }
            Partition::Frames { groups: None } => wrong("frame groups; say how many there are".into()),
            Partition::Frames { groups: Some(groups) } => {
                let free = tokens.saturating_sub(protect);
                match groups > 0 && free.is_multiple_of(groups) {
                    true => Ok(()),
                    false => wrong(format!("{groups} frame groups of {free} unprotected tokens")),
                }
            }
            Partition::Energy { margin: Some(margin) } if !margin.is_finite() => {
                wrong(format!("a margin of {margin}"))
            }
            _ => Ok(()),
        }
    }

    /// Whether it goes with a similarity, and with sizes that count.
    pub(crate) fn check_similarity(&self, similarity: Similarity, by_size: f32) -> Result<()> {
        match self {
            Partition::Lines { .. } if by_size > 0.0 => Err(Error::Input(format!(
                "partition: neighbours in lines match by their similarity alone, and by_size is {by_size}; leave it at 0"
            ))),
            Partition::Energy { .. } if similarity != Similarity::Cosine => Err(Error::Input(format!(
                "partition: energies are means of cosines, and the similarity is {similarity:?}; take the cosine"
            ))),
            _ => Ok(()),
        }
    }

    /// The margin of energies; none where they do not decide.
    pub(crate) fn margin(&self) -> Option<f32> {
        match *self {
            Partition::Energy { margin } => Some(margin.unwrap_or(FIRST_MARGIN as f32)),
            _ => None,
        }
    }

    /// The partition of one of a network's blocks, of which there are `depth`.
    pub(crate) fn in_block(self, block: u32, depth: u32) -> Self {
        match self {
            Partition::Energy { margin: None } => {
                let left = 1.0 - f64::from(block) / f64::from(depth);
                Partition::Energy { margin: Some((FIRST_MARGIN * left) as f32) }
            }
            Partition::Random { seed } => Partition::Random { seed: pcg(block ^ pcg(seed)) },
            other => other,
        }
    }
}

impl FromStr for Partition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, number) = text.split_once(':').map_or((text, None), |(name, number)| (name, Some(number)));
        let margin = number.and_then(decimal).map(|margin| margin as f32);
        match (name, number.map(str::parse)) {
            ("alternating", None) => Ok(Partition::Alternating),
            ("sequential", None) => Ok(Partition::Sequential),
            ("every", Some(Ok(k))) if k >= 2 => Ok(Partition::EveryKth(k)),
            ("random", Some(Ok(seed))) => Ok(Partition::Random { seed }),
            ("lines", None) => Ok(Partition::Lines { grid: None }),
            ("frames", None) => Ok(Partition::Frames { groups: None }),
            ("frames", Some(Ok(groups))) if groups > 0 => Ok(Partition::Frames { groups: Some(groups) }),
            ("energy", None) => Ok(Partition::Energy { margin: None }),
            ("energy", Some(_)) if margin.is_some_and(f32::is_finite) => Ok(Partition::Energy { margin }),
            _ => lines_of(text).ok_or_else(|| {
                Error::Input(format!(
                    "partition `{text}`; give alternating, sequential, every:K with K from 2 on, random:SEED, lines, \
                     lines:ROWSxCOLUMNS, frames, frames:GROUPS, energy or energy:MARGIN"
                ))
            }),
        }
    }
}

/// `lines:ROWSxCOLUMNS`
fn lines_of(text: &str) -> Option<Partition> {
    let (rows, columns) = text.strip_prefix("lines:")?.split_once('x')?;
    Some(Partition::Lines { grid: Some([rows.parse().ok()?, columns.parse().ok()?]) })
}

/// The tokens of a line along the longer side of a grid.
fn longer([rows, columns]: [u32; 2]) -> u32 {
    rows.max(columns)
}

/// The number of those lines where tokens form such grids; 0 where they do not.
fn lines(tokens: u32, [rows, columns]: [u32; 2]) -> u32 {
    match rows.checked_mul(columns) {
        Some(cells @ 1..) if tokens.is_multiple_of(cells) => tokens / longer([rows, columns]),
        _ => 0,
    }
}

/// The tokens of a frame group; 0 where tokens do not form so many.
fn length(tokens: u32, groups: u32) -> u32 {
    if groups > 0 && tokens.is_multiple_of(groups) { tokens / groups } else { 0 }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Partition::Alternating => write!(f, "alternating"),
            Partition::Sequential => write!(f, "sequential"),
            Partition::EveryKth(k) => write!(f, "every:{k}"),
            Partition::Random { seed } => write!(f, "random:{seed}"),
            Partition::Lines { grid: None } => write!(f, "lines"),
            Partition::Lines { grid: Some([rows, columns]) } => write!(f, "lines:{rows}x{columns}"),
            Partition::Frames { groups: None } => write!(f, "frames"),
            Partition::Frames { groups: Some(groups) } => write!(f, "frames:{groups}"),
            Partition::Energy { margin: None } => write!(f, "energy"),
            Partition::Energy { margin: Some(margin) } => write!(f, "energy:{margin}"),
            Partition::Grid { rows, columns, stride: [height, width], seed } => {
                write!(f, "grid of {rows} x {columns} in cells of {height} x {width}")?;
                seed.map_or(Ok(()), |seed| write!(f, ", random:{seed}"))
            }
        }
    }
}
