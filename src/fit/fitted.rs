//! What was fitted to a network, as a file.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::kernels::MergedPosition;
use crate::regular;
use crate::schedule::Schedule;
use crate::vit::{Config, Options, Rule};

/// A way to run a network that was fitted to it, and what is known of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Fitted {
    /// The way.
    pub options: Options,
    /// The name of the network, as its config says it.
    pub network: String,
    /// Its blocks.
    pub depth: u32,
    /// The tokens that enter them.
    pub tokens: u32,
    /// How it came about, and what it was measured to do: for people and programs, not read back by the crate.
    pub facts: Map<String, Value>,
}

/// The most bytes of a file: a thousand times those of a network of 40 blocks.
const MOST_BYTES: u64 = 1 << 24;
const FORMAT: &str = "tome-wgpu fitted 1";

/// The file, field by field.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: String,
    network: String,
    depth: u32,
    tokens: u32,
    merging: Merging,
    #[serde(default)]
    facts: Map<String, Value>,
}

/// [`Options`], by the names of the command's flags.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Merging {
    /// One r a block.
    r: Vec<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    threshold: Option<f32>,
    /// One number a block, where there is a threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    least: Option<Vec<u32>>,
    prop_attn: bool,
    pool: String,
    protect: String,
    /// Where merged tokens lie, where that is not at the mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    positions: Option<String>,
    partition: String,
    matching: String,
    rule: RuleNames,
    /// Rules of the first blocks, where they differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rules: Vec<RuleNames>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleNames {
    metric: String,
    similarity: String,
    by_size: f32,
    merge_mode: String,
}

impl From<Rule> for RuleNames {
    fn from(rule: Rule) -> Self {
        RuleNames {
            metric: rule.metric.to_string(),
            similarity: rule.similarity.to_string(),
            by_size: rule.by_size,
            merge_mode: rule.merge.to_string(),
        }
    }
}

impl RuleNames {
    fn rule(&self) -> Result<Rule> {
        Ok(Rule {
            metric: self.metric.parse()?,
            similarity: self.similarity.parse()?,
            by_size: self.by_size,
            merge: self.merge_mode.parse()?,
        })
    }
}

impl Fitted {
    /// A way to run a network, with nothing known of it.
    pub fn new(config: &Config, options: Options) -> Self {
        let (network, depth, tokens) = (config.name.clone(), config.depth, config.tokens());
        Fitted { options, network, depth, tokens, facts: Map::new() }
    }

    /// Reads a file that [`Fitted::to_json`] made.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read or is no such file, also where it holds what this version does not know.
    pub fn read(path: &Path) -> Result<Self> {
        let wrong = |why: String| Error::File { path: path.display().to_string(), why };
        let bytes = regular::read(path, MOST_BYTES).map_err(|error| wrong(error.to_string()))?;
        Fitted::from_json(&bytes).map_err(|error| match error {
            Error::Input(why) => wrong(why),
            other => wrong(other.to_string()),
        })
    }

    /// Reads the content of such a file.
    ///
    /// # Errors
    /// [`Error::Input`] where it is no such content, also where it holds what this version does not know.
    pub fn from_json(text: &[u8]) -> Result<Self> {
        let no_fit = |why: String| Error::Input(format!("is no file of `tome fit`: {why}"));
        let written: Written = serde_json::from_slice(text).map_err(|error| no_fit(error.to_string()))?;
        if written.format != FORMAT {
            return Err(no_fit(format!("its format is `{}`, not `{FORMAT}`", written.format)));
        }
        let Written { network, depth, tokens, merging, facts, .. } = written;
        Ok(Fitted { options: merging.options()?, network, depth, tokens, facts })
    }

    /// The file's content.
    pub fn to_json(&self) -> Value {
        let Options { schedule, threshold, least, prop_attn, .. } = &self.options;
        let Options { pool_by, protect, positions, partition, matching, rules, .. } = &self.options;
        let depth = self.depth as usize;
        let rule = self.options.rule(u32::MAX);
        json!(Written {
            format: FORMAT.into(),
            network: self.network.clone(),
            depth: self.depth,
            tokens: self.tokens,
            merging: Merging {
                r: schedule.per_block(depth),
                threshold: *threshold,
                least: threshold.map(|_| least.per_block(depth)),
                prop_attn: *prop_attn,
                pool: pool_by.to_string(),
                protect: protect.to_string(),
                positions: (*positions != MergedPosition::Mean).then(|| positions.to_string()),
                partition: partition.to_string(),
                matching: matching.to_string(),
                rule: rule.into(),
                rules: rules.iter().copied().map(RuleNames::from).collect(),
            },
            facts: self.facts.clone(),
        })
    }

    /// Whether it is for a network like this one: the same blocks. The same blocks with more or fewer tokens, as for
    /// images of another size, is a guess that it says.
    ///
    /// # Errors
    /// [`Error::Input`] for a network of another depth, and those of [`Options::check`].
    pub fn check(&self, config: &Config) -> Result<Option<String>> {
        if self.depth != config.depth {
            return Err(Error::Input(format!(
                "it was fitted to {} of {} blocks, and {} has {}",
                self.network, self.depth, config.name, config.depth
            )));
        }
        self.options.check(config)?;
        let (here, name) = (config.tokens(), &config.name);
        Ok(match (self.tokens == here, self.network == *name) {
            (true, true) => None,
            (false, _) => {
                Some(format!("it was fitted to images of {} tokens, and these have {here}", self.tokens))
            }
            (true, false) => Some(format!("it was fitted to {}, and this is {name}", self.network)),
        })
    }
}

impl Merging {
    fn options(&self) -> Result<Options> {
        let Rule { metric, similarity, by_size, merge } = self.rule.rule()?;
        if self.least.is_some() && self.threshold.is_none() {
            return Err(Error::Input("`least` goes with a `threshold`, and there is none".into()));
        }
        Ok(Options {
            threshold: self.threshold,
            least: self.least.clone().map_or(Schedule::NONE, Schedule::List),
            prop_attn: self.prop_attn,
            pool_by: self.pool.parse()?,
            protect: self.protect.parse()?,
            positions: self.positions.as_deref().map_or(Ok(MergedPosition::Mean), str::parse)?,
            partition: self.partition.parse()?,
            matching: self.matching.parse()?,
            metric,
            similarity,
            by_size,
            merge,
            rules: self.rules.iter().map(RuleNames::rule).collect::<Result<_>>()?,
            ..Options::with_schedule(Schedule::List(self.r.clone()))
        })
    }
}
