//! A bias of attention by how far apart patches lie: learned for each displacement (Liu et al., "Swin Transformer", 2021,
//! arXiv 2103.14030; Bao et al., "BEiT", 2021, arXiv 2106.08254), or an MLP's of its logarithm (Liu et al., "Swin Transformer
//! V2", 2021, arXiv 2111.09883).

use std::borrow::Cow;

use super::config::Config;
use super::load::Loader;
use super::parameters::Storage;
use super::tensor::Tensor;
use super::tensors::Tensors;
use crate::error::{Error, Result};

/// A bias that is added to attention's scores by how many rows and columns a query lies behind its key. Tokens before the
/// patches lie nowhere: with them a table has three values more, for when only the query is one, when only the key is, and when
/// both are.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Relative {
    /// Whether each block has a bias of its own.
    pub of_blocks: bool,
    /// Whether there is one that all blocks share; with both they are added.
    pub shared: bool,
    /// What it comes from.
    pub source: BiasSource,
}

/// What a bias by displacement comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BiasSource {
    /// `[displacements, heads]`: a table for the grid of the config, and how one for another grid is made of it.
    Table(TableResample),
    /// An MLP of `sign(d) ln(1 + |d|)` of rows and columns to the heads, timm's `RelPosMlp`; with tokens before the patches
    /// nothing is added.
    Mlp {
        /// Its hidden values.
        hidden: u32,
    },
}

/// The way a table of displacements is brought to another grid: linear, as each library does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableResample {
    /// The old displacements are laid out at steps that grow as a geometric progression, so that the near ones stay what they
    /// were: BEiT's own code, and timm's `resize_rel_pos_bias_table`.
    Progression,
    /// As a picture: transformers.
    Even,
}

impl Relative {
    /// A bias from a source, of each block or shared by all.
    pub fn new(source: BiasSource, shared: bool) -> Self {
        Relative { of_blocks: !shared, shared, source }
    }

    pub(super) fn check(&self, config: &Config) -> Result<()> {
        let refused = |field: &str, why: &str| {
            let value = "with a relative position bias".into();
            Err(Error::Unsupported { field: field.into(), value, why: why.into() })
        };
        if !self.of_blocks && !self.shared {
            let why = "is neither shared nor that of each block".into();
            return Err(Error::Config { field: "use_rel_pos_bias".into(), why });
        }
        if let BiasSource::Mlp { hidden } = self.source
            && !(1..=1 << 16).contains(&hidden)
        {
            let why = format!("{hidden} is not between 1 and 65536");
            return Err(Error::Config { field: "rel_pos_dim".into(), why });
        }
        // Each block gets a table of so many values, by so many sums; a few numbers of a file ask for all of them.
        let pairs = displacements(config.grid()) as u64;
        let (heads, blocks) = (u64::from(config.num_heads), u64::from(config.depth));
        let sums = match self.source {
            BiasSource::Table(_) => heads,
            BiasSource::Mlp { hidden } => u64::from(hidden) * (heads + 2),
        };
        let [values, sums] = [heads, sums].map(|each| pairs.saturating_mul(each).saturating_mul(blocks));
        if values > 1 << 28 || sums > 1 << 33 {
            let why = format!("makes {pairs} displacements, too many for a relative position bias");
            return Err(Error::Config { field: "patch_size".into(), why });
        }
        for (is_other, field) in
            [(config.frames > 1, "num_frames"), (config.packed.is_some(), "max_num_patches")]
        {
            if is_other {
                return refused(field, "displacements are those of pictures of one grid");
            }
        }
        if config.rotary.is_some() {
            return refused("use_rot_pos_emb", "a token has one position");
        }
        Ok(())
    }

    /// The beginnings of the names of its tensors in a block.
    fn stems(&self, block: u32) -> Vec<String> {
        let of_block = self.of_blocks.then(|| match self.source {
            BiasSource::Table(_) => format!("blocks.{block}.attn.{TABLE}"),
            BiasSource::Mlp { .. } => format!("blocks.{block}.attn.rel_pos.mlp"),
        });
        let shared = self.shared.then(|| match self.source {
            BiasSource::Table(_) => format!("rel_pos_bias.{TABLE}"),
            BiasSource::Mlp { .. } => "shared_rel_pos.mlp".into(),
        });
        of_block.into_iter().chain(shared).collect()
    }

    /// Its tensors in a block, those that are shared in each.
    pub(super) fn tensors(&self, config: &Config, block: u32) -> Vec<(String, Vec<usize>)> {
        let heads = config.num_heads as usize;
        let of_stem = |stem: String| match self.source {
            BiasSource::Table(_) => vec![(stem, vec![table_rows(config, config.grid()), heads])],
            BiasSource::Mlp { hidden } => {
                let hidden = hidden as usize;
                vec![
                    (format!("{stem}.fc1.weight"), vec![hidden, 2]),
                    (format!("{stem}.fc1.bias"), vec![hidden]),
                    (format!("{stem}.fc2.weight"), vec![heads, hidden]),
                    (format!("{stem}.fc2.bias"), vec![heads]),
                ]
            }
        };
        self.stems(block).into_iter().flat_map(of_stem).collect()
    }

    /// The names of a network's tables, and the way they are brought to another grid; none of an MLP, which takes any.
    pub(crate) fn tables(&self, config: &Config) -> Option<(Vec<String>, TableResample)> {
        let BiasSource::Table(how) = self.source else { return None };
        let blocks = if self.of_blocks { config.depth } else { 1 };
        let mut names: Vec<String> = (0..blocks).flat_map(|block| self.stems(block)).collect();
        names.sort();
        names.dedup();
        Some((names, how))
    }

    /// The tables of a network, for images of another size.
    pub(super) fn resampled(
        &self,
        tensors: &dyn Tensors,
        from: &Config,
        to: &Config,
    ) -> Result<Vec<(String, Tensor)>> {
        let Some((names, how)) = self.tables(from).filter(|_| from.grid() != to.grid()) else {
            return Ok(Vec::new());
        };
        let each = |name: String| {
            let table = tensors.tensor(&name)?;
            if table.data.len() != table_rows(from, from.grid()) * from.num_heads as usize {
                let why =
                    format!("has shape {:?}, which is not that of a grid of {:?}", table.shape, from.grid());
                return Err(Error::Weight { name, why });
            }
            let table = regrid_table(&table, from.num_heads, from.grid(), to.grid(), how);
            Ok((name, table))
        };
        names.into_iter().map(each).collect()
    }
}

/// The name of a table.
const TABLE: &str = "relative_position_bias_table";

/// Values of a table for one head: each displacement once.
fn displacements(grid: [u32; 2]) -> usize {
    grid.map(|side| (2 * side as usize).saturating_sub(1)).iter().product()
}

/// Rows of a network's table for a grid: with tokens before the patches three more.
pub(crate) fn table_rows(config: &Config, grid: [u32; 2]) -> usize {
    displacements(grid) + if config.prefix() > 0 { 3 } else { 0 }
}

/// A table for another grid.
pub(crate) fn regrid_table(
    table: &Tensor,
    heads: u32,
    from: [u32; 2],
    to: [u32; 2],
    how: TableResample,
) -> Tensor {
    let heads = heads as usize;
    let data = resample(&table.data.to_f32(), heads, from, to, how);
    Tensor::new([data.len() / heads, heads], data)
}

impl Config {
    /// Whether it counts in blocks where a token lies.
    pub(crate) fn counts_positions(&self) -> bool {
        self.rotary.is_some() || self.relative.is_some()
    }

    /// `[tokens, 2]`: the row and the column of each token that enters the first block, where any such thing counts; 0, 0
    /// before the patches.
    pub(crate) fn positions(&self) -> Option<Vec<f32>> {
        if let Some(rotary) = &self.rotary {
            return Some(rotary.positions(self));
        }
        self.relative?;
        let [rows, columns] = self.grid();
        let mut all = vec![0.0; 2 * self.prefix() as usize];
        all.extend(
            (0..rows).flat_map(|row| (0..columns).flat_map(move |column| [row as f32, column as f32])),
        );
        Some(all)
    }
}

impl<T, P: FnMut(&str, Storage, Cow<'_, [f32]>) -> Result<T>> Loader<'_, P> {
    /// `[heads, displacements + 3]`: the bias of a block, where it has one.
    pub(super) fn bias(&mut self, config: &Config, block: u32) -> Result<Option<T>> {
        let Some(relative) = &config.relative else { return Ok(None) };
        let (heads, pairs) = (config.num_heads as usize, displacements(config.grid()));
        let mut sums = vec![0.0f64; heads * (pairs + 3)];
        for stem in relative.stems(block) {
            match relative.source {
                BiasSource::Table(_) => {
                    let table = self.floats(&stem)?;
                    for (i, row) in table.chunks_exact(heads).enumerate() {
                        row.iter()
                            .enumerate()
                            .for_each(|(head, &v)| sums[head * (pairs + 3) + i] += f64::from(v));
                    }
                }
                BiasSource::Mlp { .. } => {
                    let part = |name: &str| self.floats(&format!("{stem}.{name}"));
                    let [into, shift, out, last] =
                        [part("fc1.weight")?, part("fc1.bias")?, part("fc2.weight")?, part("fc2.bias")?];
                    let mlp = Mlp { into: &into, shift: &shift, out: &out, last: &last };
                    for (i, apart) in apart(config.grid()).enumerate() {
                        let values = mlp.of(apart).into_iter().enumerate();
                        values.for_each(|(head, v)| sums[head * (pairs + 3) + i] += v);
                    }
                }
            }
        }
        let bias: Vec<f32> = sums.into_iter().map(|v| v as f32).collect();
        (self.place)(&format!("blocks.{block}.attn.bias"), Storage::F32, bias.into()).map(Some)
    }
}

/// Every displacement in the order of a table.
fn apart([rows, columns]: [u32; 2]) -> impl Iterator<Item = [f64; 2]> {
    let steps = |side: u32| (0..2 * side - 1).map(move |i| f64::from(i) - f64::from(side - 1));
    steps(rows).flat_map(move |row| steps(columns).map(move |column| [row, column]))
}

/// timm's `RelPosMlp`.
struct Mlp<'a> {
    into: &'a [f32],
    shift: &'a [f32],
    out: &'a [f32],
    last: &'a [f32],
}

impl Mlp<'_> {
    /// What it gives each head for a displacement.
    fn of(&self, apart: [f64; 2]) -> Vec<f64> {
        let [row, column] = apart.map(|d| d.signum() * d.abs().ln_1p());
        let inside: Vec<f64> = self
            .into
            .chunks_exact(2)
            .zip(self.shift)
            .map(|(w, &shift)| (f64::from(w[0]) * row + f64::from(w[1]) * column + f64::from(shift)).max(0.0))
            .collect();
        let rows = self.out.chunks_exact(inside.len()).zip(self.last);
        rows.map(|(w, &last)| {
            w.iter().zip(&inside).map(|(&w, v)| f64::from(w) * v).sum::<f64>() + f64::from(last)
        })
        .collect()
    }
}

/// `[displacements, heads]` of another grid, and what is behind them as it is.
fn resample(table: &[f32], heads: usize, from: [u32; 2], to: [u32; 2], how: TableResample) -> Vec<f32> {
    let [down, across] = [0, 1].map(|side| {
        let (from, to) = (2 * from[side] as usize - 1, 2 * to[side] as usize - 1);
        match how {
            TableResample::Progression => progression(from, to),
            TableResample::Even => even(from, to),
        }
    });
    let line = 2 * from[1] as usize - 1;
    let mut out = Vec::with_capacity((down.len() * across.len() + 3) * heads);
    for rows in &down {
        for columns in &across {
            out.extend((0..heads).map(|head| {
                let at = |row: usize, column: usize| f64::from(table[(row * line + column) * heads + head]);
                let of_row = |row: usize| {
                    columns.iter().map(|&(column, weight)| weight * at(row, column)).sum::<f64>()
                };
                rows.iter().map(|&(row, weight)| weight * of_row(row)).sum::<f64>() as f32
            }));
        }
    }
    out.extend_from_slice(&table[displacements(from) * heads..]);
    out
}

/// For each place on the new side the two on the old one that count, and how much.
type Taps = Vec<[(usize, f64); 2]>;

/// `torch.nn.functional.interpolate(mode="bilinear")`.
fn even(from: usize, to: usize) -> Taps {
    let scale = from as f64 / to as f64;
    let place = |i: usize| {
        let at = ((i as f64 + 0.5) * scale - 0.5).max(0.0);
        let first = (at as usize).min(from - 1);
        [(first, 1.0 - (at - first as f64)), ((first + 1).min(from - 1), at - first as f64)]
    };
    (0..to).map(place).collect()
}

/// timm's `resize_rel_pos_bias_table`, along one side.
fn progression(from: usize, to: usize) -> Taps {
    let (half, reach) = (from / 2, (to / 2) as f64);
    // The ratio by which the steps grow, so that the outermost reaches the new edge, as far as one between these does.
    let (mut low, mut high, mut ratio) = (1.01, 1.5, 1.01);
    while high - low > 1e-6 {
        ratio = (low + high) / 2.0;
        let end = (1.0 - f64::powi(ratio, half as i32)) / (1.0 - ratio);
        if end > reach { high = ratio } else { low = ratio }
    }
    let mut steps = vec![0.0];
    for i in 0..half {
        steps.push(steps[i] + ratio.powi(i as i32));
    }
    let places: Vec<f64> =
        steps.iter().skip(1).rev().map(|step| -step).chain(steps.iter().copied()).collect();
    let place = |i: usize| {
        let at = i as f64 - reach;
        let right = places.partition_point(|&place| place < at).min(places.len() - 1);
        let left = right.saturating_sub(1);
        let (behind, ahead) = ((at - places[left]).max(0.0), (places[right] - at).max(0.0));
        if behind + ahead == 0.0 {
            return [(left, 0.0), (right, 1.0)];
        }
        [(left, ahead / (behind + ahead)), (right, behind / (behind + ahead))]
    };
    (0..to).map(place).collect()
}
