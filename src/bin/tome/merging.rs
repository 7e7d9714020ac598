//! Arguments that say how much and how tokens merge.

use std::fmt::{self, Debug};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use tome_wgpu::fit::Fitted;
use tome_wgpu::kernels::{MergeMode, MergedPosition, Similarity};
use tome_wgpu::vit::{Config, Metric, Options, PoolBy, Protect};
use tome_wgpu::{Matching, Partition, Schedule};

use crate::args::ModelArgs;
use crate::text::shown;

/// How much merges: a schedule, or a file with everything that `tome fit` has found.
#[derive(Clone)]
pub enum Merging {
    Schedule(Schedule),
    File(PathBuf),
    /// The file beside the network.
    Fitted,
}

impl Merging {
    /// The name of the file beside a network.
    pub const FITTED: &str = "fitted.json";
}

impl FromStr for Merging {
    type Err = tome_wgpu::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "fitted" => Ok(Merging::Fitted),
            file if file.ends_with(".json") => Ok(Merging::File(file.into())),
            schedule => schedule.parse().map(Merging::Schedule),
        }
    }
}

impl fmt::Display for Merging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Merging::Schedule(schedule) => write!(f, "{schedule}"),
            Merging::File(path) => write!(f, "{}", path.display()),
            Merging::Fitted => f.write_str("fitted"),
        }
    }
}

/// How tokens merge, whatever the schedule.
#[derive(Args)]
pub struct RuleArgs {
    /// Whether attention counts a merged token as often as it has members; without it all networks but masked
    /// autoencoders that have not been trained further do
    #[arg(long, value_enum)]
    prop_attn: Option<Switch>,
    /// Average pooling counts a merged token by its size [without it], or once
    #[arg(long, value_parser = named::<PoolBy>(PoolBy::names()))]
    pool: Option<PoolBy>,
    /// Which tokens never merge: all before the patches [without it], or only the class token
    #[arg(long, value_parser = named::<Protect>(Protect::names()))]
    protect: Option<Protect>,
    /// The way tokens of a group become one: their mean weighted by size [without it], mean, sum, the largest or smallest
    /// value in each channel, the one that the others merge into, the weighted mean at the norm of the largest member
    /// (MLERP), or in each channel the value of the largest magnitude
    #[arg(long, value_parser = named::<MergeMode>(MergeMode::names()))]
    merge_mode: Option<MergeMode>,
    /// Where a merged token lies, of a network with rotary positions or a relative position bias: at the mean of its members
    /// weighted by size [without it], or where the one lies that the others merge into
    #[arg(long, value_parser = named::<MergedPosition>(MergedPosition::names()))]
    positions: Option<MergedPosition>,
    /// Which tokens may merge: every other one [without it], the first half, all but every K-th, random ones, neighbours in the
    /// lines of the grid, which stays one, of a clip every other one with those of its own step in time or of its own of so many
    /// GROUPS of steps, or by energy those that have most like them; MARGIN is the cosine from which on two
    /// are alike, without one 0.9 in the first block and less from block to block
    #[arg(
        long,
        value_name = "alternating|sequential|every:K|random:SEED|lines|frames[:GROUPS]|energy[:MARGIN]"
    )]
    partition: Option<Partition>,
    /// The way in which the tokens that merge are found: the paper's [without it], or on the CPU path what it compares with:
    /// greedy, clustering, or dropping random tokens or those that the class token attends to the least
    #[arg(long, value_name = "bipartite|greedy|kmeans:N|prune-random:SEED|prune-attention")]
    matching: Option<Matching>,
    /// The rows that tokens are matched by: the attention's keys [without it], queries or values, the block's input, what
    /// attention made of it, or that as the network's final norm shows it
    #[arg(long, value_parser = named::<Metric>(Metric::names()))]
    metric: Option<Metric>,
    /// The measure by which two tokens are alike: the cosine [without it], dot product or negative distance of their metrics
    #[arg(long, value_parser = named::<Similarity>(Similarity::names()))]
    similarity: Option<Similarity>,
    /// How much the sizes of two tokens count against their match, from 0 [without it] to 2; 1 as in Ward's clustering
    #[arg(long, value_name = "P")]
    by_size: Option<f32>,
    /// Merges only tokens that are more alike than T, by --similarity, and in each block at most as many as --r says: an
    /// image keeps as many tokens as it needs
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    threshold: Option<f32>,
    /// With a threshold the tokens that merge in each block in any case, written as --r [without it none]: an image that has
    /// merged more before need not
    #[arg(long, value_name = "R", allow_hyphen_values = true, requires = "threshold")]
    least: Option<Schedule>,
}

/// The schedule of merging, and how tokens merge.
#[derive(Args)]
pub struct MergeArgs {
    /// Tokens merged in each block: 13, 16:-1 (r : inflection), 32,29,26 (a list), or what `tome fit` has found, a file or
    /// `fitted` for the one beside the network; flags go before what is in it
    // A negative number is a wrong schedule, not an unknown flag.
    #[arg(long, value_name = "R|fitted|FILE.json", default_value = "0", allow_hyphen_values = true)]
    pub r: Merging,
    #[command(flatten)]
    pub rule: RuleArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// Reads a value by one of its names.
fn named<T>(names: impl Iterator<Item = &'static str>) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: Debug> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names.collect::<Vec<_>>())
        .map(|name| name.parse().expect("the parser lets no other name through"))
}

impl MergeArgs {
    /// The way a network is run.
    pub fn options(&self, config: &Config, model: &ModelArgs) -> anyhow::Result<Options> {
        self.rule.options(&self.r, config, model)
    }
}

impl RuleArgs {
    /// The way a network is run with a schedule or what was fitted to it.
    pub fn options(&self, merging: &Merging, config: &Config, model: &ModelArgs) -> anyhow::Result<Options> {
        let mut options = match merging {
            Merging::Schedule(schedule) => Options::for_network(config, schedule.clone()),
            Merging::File(path) => fitted(path, config)?,
            Merging::Fitted => fitted(&beside(model)?, config)?,
        };
        if let Some(switch) = &self.prop_attn {
            options.prop_attn = matches!(switch, Switch::On);
        }
        set(&mut options.pool_by, self.pool);
        set(&mut options.protect, self.protect);
        set(&mut options.positions, self.positions);
        set(&mut options.partition, self.partition);
        set(&mut options.matching, self.matching);
        set(&mut options.merge, self.merge_mode);
        set(&mut options.metric, self.metric);
        set(&mut options.similarity, self.similarity);
        set(&mut options.by_size, self.by_size);
        set(&mut options.threshold, self.threshold.map(Some));
        set(&mut options.least, self.least.clone());
        for rule in &mut options.rules {
            set(&mut rule.merge, self.merge_mode);
            set(&mut rule.metric, self.metric);
            set(&mut rule.similarity, self.similarity);
            set(&mut rule.by_size, self.by_size);
        }
        Ok(options)
    }
}

fn set<T>(value: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *value = given;
    }
}

/// What is in a file that `tome fit` has written for this network; says where it was fitted to another.
fn fitted(path: &Path, config: &Config) -> anyhow::Result<Options> {
    let fitted = Fitted::read(path)?;
    if let Some(guess) = fitted.check(config).with_context(|| shown(path))? {
        tracing::warn!("{}: {guess}", shown(path));
    }
    Ok(fitted.options)
}

/// The file beside a network.
pub fn beside(model: &ModelArgs) -> anyhow::Result<PathBuf> {
    match &model.model {
        Some(path) if path.is_dir() => Ok(path.join(Merging::FITTED)),
        Some(path) if path.is_file() => Ok(path.with_file_name(Merging::FITTED)),
        Some(path) => bail!("beside {} there is no file; name the one that `tome fit` wrote", shown(path)),
        None => bail!("the built-in network has no file beside it; name the one that `tome fit` wrote"),
    }
}
