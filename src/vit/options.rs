//! The way a network is run: what merges, and what merged tokens count for.

use super::config::{Config, Pool, Wiring};
use crate::error::{Error, Result};
use crate::kernels::find_matches::MOST_BY_SIZE;
use crate::kernels::{MergeMode, MergedPosition, PoolMode, Similarity};
use crate::kernels::{match_frames, match_lines::LONGEST};
use crate::matching::Matching;
use crate::partition::Partition;
use crate::schedule::Schedule;

/// The tokens that never merge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protect {
    /// Every token before the patches.
    #[default]
    Prefix,
    /// The class and distillation tokens only, as in ToMe's code; registers merge like patches.
    Class,
}

/// The weight of a merged token in average pooling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolBy {
    /// Its size, so that every original patch counts once, as in ToMe's patch for MAE.
    #[default]
    Size,
    /// One, as in ToMe's patch for timm.
    Plain,
}

/// The rows that tokens are matched by in a block (paper, Table 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Metric {
    /// The mean of the attention's keys over the heads.
    #[default]
    Keys,
    /// The mean of its queries. They are scaled by `head_width^-0.5`, which changes no order.
    Queries,
    /// The mean of its values.
    Values,
    /// The residual stream that enters the block (X_pre).
    Input,
    /// The residual stream after attention (X).
    Attention,
    /// The same through the network's final norm: what its head would be shown. It costs a pass of LayerNorm.
    Final,
}

impl Metric {
    /// Values of a token's metric.
    pub fn width(self, config: &Config) -> u32 {
        match self {
            Metric::Keys | Metric::Queries | Metric::Values => config.head_width(),
            Metric::Input | Metric::Attention | Metric::Final => config.embed_dim,
        }
    }

    /// Its part in the output of the projection to q, k and v; none for the residual stream.
    pub(crate) fn of_projection(self) -> Option<u32> {
        match self {
            Metric::Queries => Some(0),
            Metric::Keys => Some(1),
            Metric::Values => Some(2),
            Metric::Input | Metric::Attention | Metric::Final => None,
        }
    }
}

/// How tokens are matched and merged in one block.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rule {
    /// The rows that they are matched by.
    pub metric: Metric,
    /// The measure by which two of them are alike.
    pub similarity: Similarity,
    /// How much the sizes of two tokens count against their match, see
    /// [`find_matches::Params::by_size`](crate::kernels::find_matches::Params::by_size): 0 not at all, as in the paper; 1 as
    /// in Ward's clustering.
    pub by_size: f32,
    /// The way tokens of a group become one.
    pub merge: MergeMode,
}

/// The way a network is run: what merges, and what merged tokens count for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// The number of tokens that merge in each block; with a threshold the most that do.
    pub schedule: Schedule,
    /// Two tokens merge only where they are more alike than this, by `similarity` and `by_size`: where an image has fewer
    /// such pairs than `schedule` says, fewer merge. Every image of a batch keeps as many places for tokens; those that become empty are
    /// padding of size 0 behind the others, which nobody sees.
    pub threshold: Option<f32>,
    /// With a threshold the places that disappear in each block, at most as many as `schedule` says. An image that has
    /// more tokens than there are places left merges the most similar of the others as well; without it no place
    /// disappears, and nothing that is not alike enough merges.
    pub least: Schedule,
    /// Attention counts a token of size s as s tokens (the paper's proportional attention). The paper turns it
    /// off for MAE weights that were not trained with merging.
    pub prop_attn: bool,
    /// The weight of a merged token in average pooling.
    pub pool_by: PoolBy,
    /// The tokens that never merge.
    pub protect: Protect,
    /// The way tokens of a group become one.
    pub merge: MergeMode,
    /// Where a merged token lies, of a network with rotary positions or a relative position bias.
    pub positions: MergedPosition,
    /// The tokens that may merge, and those they merge into; [`Partition::Grid`] is not for networks.
    pub partition: Partition,
    /// The way in which those that merge are found.
    pub matching: Matching,
    /// The rows that they are matched by.
    pub metric: Metric,
    /// The measure by which two of them are alike.
    pub similarity: Similarity,
    /// How much the sizes of two tokens count against their match, see [`Rule::by_size`].
    pub by_size: f32,
    /// Rules for the first blocks, one each; the others follow `metric`, `similarity`, `by_size` and `merge`.
    pub rules: Vec<Rule>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            schedule: Schedule::NONE,
            threshold: None,
            least: Schedule::NONE,
            prop_attn: true,
            pool_by: PoolBy::default(),
            protect: Protect::default(),
            merge: MergeMode::WeightedMean,
            positions: MergedPosition::Mean,
            partition: Partition::default(),
            matching: Matching::default(),
            metric: Metric::default(),
            similarity: Similarity::Cosine,
            by_size: 0.0,
            rules: Vec::new(),
        }
    }
}

/// A threshold that every pair's similarity is above, whatever measures it.
const BELOW_ALL: f32 = -1e30;

impl Options {
    /// The defaults with a schedule.
    pub fn with_schedule(schedule: Schedule) -> Self {
        Options { schedule, ..Options::default() }
    }

    /// The defaults that suit a network, with a schedule.
    pub fn for_network(config: &Config, schedule: Schedule) -> Self {
        let mut options = Options { prop_attn: config.prop_attn, ..Options::with_schedule(schedule) };
        if config.packed.is_some() {
            // Whatever is alike merges, and padding never does.
            (options.threshold, options.least) = (Some(BELOW_ALL), options.schedule.clone());
        }
        options
    }

    /// The number of tokens at the front that are protected.
    pub fn protected(&self, config: &Config) -> u32 {
        match self.protect {
            Protect::Prefix => config.prefix(),
            Protect::Class => u32::from(config.class_token) + u32::from(config.dist_token),
        }
    }

    /// How tokens are matched and merged in a block.
    pub fn rule(&self, block: u32) -> Rule {
        let Options { metric, similarity, by_size, merge, .. } = *self;
        self.rules.get(block as usize).copied().unwrap_or(Rule { metric, similarity, by_size, merge })
    }

    /// Values of the widest metric.
    pub(crate) fn metric_width(&self, config: &Config) -> u32 {
        (0..config.depth).map(|block| self.rule(block).metric.width(config)).max().unwrap_or_default()
    }

    /// For each pooled row the first token and the mode; empty where attention pools.
    pub(crate) fn pooling(&self, config: &Config) -> Vec<(u32, PoolMode)> {
        let first = if config.pool_prefix { 0 } else { config.prefix() };
        let average = match self.pool_by {
            PoolBy::Plain => (first, PoolMode::Mean),
            PoolBy::Size => (first, PoolMode::MeanBySize),
        };
        match config.pool {
            Pool::Token => vec![(0, PoolMode::Token)],
            Pool::Average => vec![average],
            Pool::Distilled => vec![(0, PoolMode::Token), (1, PoolMode::Token)],
            Pool::TokenAndAverage => vec![(0, PoolMode::Token), average],
            Pool::Prefix => vec![(config.prefix(), PoolMode::MeanBefore)],
            Pool::Attention | Pool::Query => Vec::new(),
        }
    }

    /// Whether a network can be run like that.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a grid that merging would break, for lines and frame groups that are too long and for
    /// registers that would merge with patches where only patches have positions that count or belong to a frame group, [`Error::Input`] for
    /// another partition, a schedule or a `by_size` that makes no sense, for a partition by energy with another
    /// similarity than the cosine, and for lines with sizes that count.
    pub fn check(&self, config: &Config) -> Result<()> {
        if matches!(self.partition, Partition::Grid { .. }) {
            return Err(Error::Unsupported {
                field: "partition".into(),
                value: self.partition.to_string(),
                why: "what a merge leaves forms no grid; `TokenMerger` takes it".into(),
            });
        }
        if let Schedule::Inflected { inflection, .. } = self.schedule
            && !inflection.is_finite()
        {
            return Err(Error::Input(format!("a schedule's inflection is {inflection}, which is no number")));
        }
        if config.wiring == Wiring::Parallel
            && (0..config.depth).any(|i| self.rule(i).metric == Metric::Input)
        {
            return Err(Error::Unsupported {
                field: "metric".into(),
                value: Metric::Input.to_string(),
                why:
                    "where branches stand side by side, what has entered the block is gone when tokens merge"
                        .into(),
            });
        }
        if config.packed.is_some()
            && self.threshold.is_none()
            && !self.schedule.is_none(config.depth as usize)
        {
            return Err(Error::Input(
                "pictures of any shape have tokens of their own number, of which r merge above a threshold: \
                 `Options::for_network` sets it"
                    .into(),
            ));
        }
        self.check_threshold(config)?;
        self.check_positions(config)?;
        (0..config.depth).try_for_each(|block| {
            let rule = self.rule(block);
            rule.check()?;
            self.partition.check_similarity(rule.similarity, rule.by_size)
        })?;
        self.check_matching(config)?;
        self.check_lines(config)?;
        self.check_frames(config)?;
        self.partition_of(config).check(config.tokens(), self.protected(config))
    }

    /// Whether all that merges has a position, or nothing has one.
    fn check_positions(&self, config: &Config) -> Result<()> {
        if !config.counts_positions() && self.positions != MergedPosition::Mean {
            return Err(Error::Input(format!(
                "positions {}: the network has neither rotary positions nor a relative position bias",
                self.positions
            )));
        }
        if config.counts_positions() && self.protected(config) < config.prefix() {
            return Err(Error::Unsupported {
                field: "protect".into(),
                value: self.protect.to_string(),
                why:
                    "positions of patches count in the network, and a register that merges with one has none"
                        .into(),
            });
        }
        Ok(())
    }

    /// Whether a matching has what it needs.
    fn check_matching(&self, config: &Config) -> Result<()> {
        let wrong = |why: &str| Err(Error::Input(format!("matching {}: {why}", self.matching)));
        self.matching.check()?;
        if self.matching == Matching::Bipartite {
            return Ok(());
        }
        if self.partition != Partition::Alternating {
            return wrong(&format!("it knows no partition, and {} is asked for", self.partition));
        }
        if self.matching == Matching::PruneAttention && !config.class_token {
            return wrong("the network has no class token");
        }
        Ok(())
    }

    /// Whether lines are those of the network's grid, and short enough.
    fn check_lines(&self, config: &Config) -> Result<()> {
        let Partition::Lines { grid: Some(grid) } = self.partition_of(config) else { return Ok(()) };
        let [rows, columns] = config.grid();
        if grid != [rows, columns] {
            return Err(Error::Input(format!(
                "partition {}: the network's grid is {rows} x {columns}",
                self.partition
            )));
        }
        if rows.max(columns) > LONGEST {
            return Err(Error::Unsupported {
                field: "partition".into(),
                value: self.partition.to_string(),
                why: format!("a grid of {rows} x {columns} has lines of more than {LONGEST} tokens"),
            });
        }
        Ok(())
    }

    /// Whether frame groups are of patches alone, and short enough.
    fn check_frames(&self, config: &Config) -> Result<()> {
        let Partition::Frames { groups: Some(groups) } = self.partition_of(config) else { return Ok(()) };
        let refused =
            |field: &str, value: String, why| Err(Error::Unsupported { field: field.into(), value, why });
        let protected = self.protected(config);
        if groups > 1 && protected < config.prefix() {
            let why = format!("a register belongs to none of {groups} frame groups");
            return refused("protect", self.protect.to_string(), why);
        }
        let longest = match_frames::LONGEST;
        if (config.tokens() - protected) / groups.max(1) > longest {
            let why = format!("{groups} frame groups have more than {longest} tokens");
            return refused("partition", self.partition.to_string(), why);
        }
        Ok(())
    }

    /// The partition of a network's tokens, before any have merged.
    pub(crate) fn partition_of(&self, config: &Config) -> Partition {
        self.partition.on(config.grid(), config.patch_times())
    }

    /// The factor by which a forward pass computes less than without merging.
    pub fn promised_speedup(&self, config: &Config) -> f64 {
        let plain = vec![config.tokens(); config.depth as usize + 1];
        config.macs(&plain) / config.macs(&self.tokens_per_block(config))
    }
}

impl Rule {
    fn check(&self) -> Result<()> {
        let by_size = self.by_size;
        if !(0.0..=MOST_BY_SIZE).contains(&by_size) {
            return Err(Error::Input(format!("by_size is {by_size}; it lies between 0 and {MOST_BY_SIZE}")));
        }
        if by_size > 0.0 && self.similarity == Similarity::Dot {
            let why = "by_size goes with cosines and distances; a dot product has no largest value";
            return Err(Error::Input(why.into()));
        }
        Ok(())
    }
}
