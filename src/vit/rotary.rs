//! Rotary positions: queries and keys of a patch are turned by where it lies (Su et al., "RoFormer", 2021, arXiv
//! 2104.09864; Heo et al., "Rotary Position Embedding for Vision Transformer", 2024, arXiv 2403.13298).

use std::f32::consts::TAU;

use super::config::Config;
use crate::error::{Error, Result};

/// Rotary positions. Each pair of a head's values is turned, in queries and keys, by an angle that is the patch's position
/// times what is the pair's own. Tokens before the patches are not turned.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rotary {
    /// How positions are measured.
    pub coordinates: Coordinates,
    /// The angles of the pairs.
    pub angles: Angles,
    /// The first half of the pairs is turned by the column and the second by the row, or learned angles come in that order
    /// (timm's `xy`); otherwise rows come first.
    pub columns_first: bool,
    /// The values of a pair are half a head apart; otherwise they are neighbours.
    pub halves: bool,
}

/// The way a patch's position is measured, along each side of the grid.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Coordinates {
    /// The number of its row or column.
    Numbers {
        /// That of the first.
        first: f32,
        /// Numbers are scaled as if the grid had these rows and columns, whatever it has (timm's `ref_feat_shape`).
        reference: Option<[u32; 2]>,
    },
    /// Its centre, where the grid reaches from -1 to 1, times 2π (DINOv3).
    Centres,
}

/// The angles of a head's pairs at a position of 1.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Angles {
    /// For the i-th of as many pairs as there are for one side, `theta^(-i / pairs)`, the same in every head and block.
    Powers {
        /// The base, timm's `rope_temperature` and transformers' `rope_theta`.
        theta: f32,
    },
    /// Learned for both sides, `[2, depth, heads, pairs]` in `rope.freqs`.
    Learned,
}

/// The largest angle that is reckoned exactly, in radians.
const MOST: f32 = 8192.0;

impl Rotary {
    pub(super) fn check(&self, config: &Config) -> Result<()> {
        let wrong = |field: &str, why: String| Err(Error::Config { field: field.into(), why });
        let unsupported = |field: &str, why: &str| {
            Err(Error::Unsupported {
                field: field.into(),
                value: "with rotary positions".into(),
                why: why.into(),
            })
        };
        if let Coordinates::Numbers { first, reference } = self.coordinates
            && (!first.is_finite() || reference.is_some_and(|sides| sides.contains(&0)))
        {
            return wrong("ref_feat_shape", format!("{reference:?} from {first} on is no grid"));
        }
        if let Angles::Powers { theta } = self.angles {
            let largest = theta.recip().max(1.0);
            if !(theta > 0.0 && largest * self.reach(config).iter().sum::<f32>() <= MOST) {
                return wrong("rope_theta", format!("{theta} makes angles beyond {MOST}"));
            }
        }
        if config.frames > 1 {
            return unsupported("num_frames", "positions are those of pictures, without a time");
        }
        Ok(())
    }

    /// Rows and columns of patches farthest from 0, as positions.
    fn reach(&self, config: &Config) -> [f32; 2] {
        let far = |side: usize| self.side(config, side).map(f32::abs).fold(0.0, f32::max);
        [far(0), far(1)]
    }

    /// The positions along a side of the grid, each rounded as the libraries do.
    fn side(&self, config: &Config, side: usize) -> impl Iterator<Item = f32> {
        let (count, coordinates) = (config.grid()[side], self.coordinates);
        (0..count).map(move |i| match coordinates {
            Coordinates::Numbers { first, reference: None } => i as f32 + first,
            Coordinates::Numbers { first, reference: Some(sides) } => {
                (i as f32 + first) / count as f32 * sides[side] as f32
            }
            Coordinates::Centres => TAU * (2.0 * ((i as f32 + 0.5) / count as f32) - 1.0),
        })
    }

    /// `[tokens, 2]`: the row and the column of each token that enters the first block; 0, 0 before the patches.
    pub(crate) fn positions(&self, config: &Config) -> Vec<f32> {
        let mut all = vec![0.0; 2 * config.prefix() as usize];
        let columns: Vec<f32> = self.side(config, 1).collect();
        for row in self.side(config, 0) {
            all.extend(columns.iter().flat_map(|&column| [row, column]));
        }
        all
    }

    /// `[pairs, 2]` of q, k and v in a block: what a pair is turned by for each row and column of its position. `learned`
    /// is the whole tensor.
    pub(super) fn turns(&self, config: &Config, block: u32, learned: Option<&[f32]>) -> Result<Vec<f32>> {
        let [heads, pairs] = [config.num_heads, config.head_width() / 2].map(|v| v as usize);
        let sided =
            |first: f32, second: f32| if self.columns_first { [second, first] } else { [first, second] };
        let mut turns = Vec::with_capacity(6 * heads * pairs);
        match (self.angles, learned) {
            (Angles::Learned, Some(learned)) => {
                let (first, second) = learned.split_at(learned.len() / 2);
                let own = block as usize * heads * pairs..(block as usize + 1) * heads * pairs;
                turns.extend(own.flat_map(|at| sided(first[at], second[at])));
                let [rows, columns] = self.reach(config);
                if let Some(turn) = turns.as_chunks::<2>().0.iter().find(|turn| {
                    let most = turn[0].abs() * rows + turn[1].abs() * columns;
                    most.is_nan() || most > MOST
                }) {
                    let why = format!("turns by {turn:?} a patch, beyond {MOST} in all, in block {block}");
                    return Err(Error::Weight { name: FREQUENCIES.into(), why });
                }
            }
            (Angles::Learned, None) => return Err(super::tensors::missing(FREQUENCIES)),
            (Angles::Powers { theta }, _) => {
                let of_side = pairs / 2;
                let power = |i: usize| theta.powf(i as f32 / of_side as f32).recip();
                for _ in 0..heads {
                    turns.extend((0..of_side).flat_map(|i| sided(power(i), 0.0)));
                    turns.extend((0..of_side).flat_map(|i| sided(0.0, power(i))));
                }
            }
        }
        // Keys as queries; values stay.
        turns.extend_from_within(..);
        turns.resize(6 * heads * pairs, 0.0);
        Ok(turns)
    }

    /// Rows of values of q and of k, or of heads of them, in the order in which the values of pairs are neighbours.
    pub(super) fn neighbours<T: Copy>(&self, config: &Config, rows: &mut [T], of_row: usize) {
        if !self.halves {
            return;
        }
        let (width, half) = (config.head_width() as usize, config.head_width() as usize / 2);
        for head in rows.chunks_exact_mut(width * of_row) {
            let before = head.to_vec();
            for (to, row) in head.chunks_exact_mut(of_row).enumerate() {
                let from = to / 2 + to % 2 * half;
                row.copy_from_slice(&before[from * of_row..][..of_row]);
            }
        }
    }
}

/// The tensor of learned angles.
pub(super) const FREQUENCIES: &str = "rope.freqs";
