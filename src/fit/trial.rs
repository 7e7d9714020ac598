//! How far merging takes a network's results from those without, picture by picture.

use std::collections::HashMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::cpu::Entrance;
use crate::error::{Error, Result};
use crate::eval;
use crate::session::{Backend, Session};
use crate::vit::{Config, Options, Output, Outputs, Scores, Want};

/// The result that is to stay as it is without merging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Objective {
    /// 1 - cosine of the pooled features.
    Features,
    /// Relative squared distance of the dense features.
    Dense,
    /// KL divergence of the classes' probabilities, in nats.
    Logits,
}

impl Objective {
    /// All of them.
    pub const ALL: &[Objective] = &[Objective::Features, Objective::Dense, Objective::Logits];

    fn output(self) -> Output {
        match self {
            Objective::Features => Output::Features,
            Objective::Dense => Output::Dense,
            Objective::Logits => Output::Logits,
        }
    }

    /// What a network is for, where nobody says: its classes, or its features.
    pub fn of(config: &Config) -> Self {
        if config.scores == Scores::None { Objective::Features } else { Objective::Logits }
    }

    /// One difference for each image that was merged, the first of those of the reference.
    fn between(self, config: &Config, reference: &Outputs, merged: &Outputs) -> Vec<f64> {
        let (channels, patches) = (config.embed_dim as usize, config.patches() as usize);
        let (a, b) = match self {
            Objective::Features => (&reference.features, &merged.features),
            Objective::Dense => (&reference.dense, &merged.dense),
            Objective::Logits => (&reference.logits, &merged.logits),
        };
        let a = &a[..b.len()];
        match self {
            Objective::Features => eval::features(a, b, channels),
            Objective::Dense => eval::dense(a, b, [patches, channels]),
            Objective::Logits => eval::logits(a, b, config.outputs() as usize, config.scores),
        }
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.output().name())
    }
}

impl FromStr for Objective {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let named = Self::ALL.iter().find(|objective| objective.to_string() == text);
        named.copied().ok_or_else(|| {
            Error::Input(format!("`{text}` is nothing to fit for; there are features, dense and logits"))
        })
    }
}

/// Differences of every picture that was asked for, one list for each objective.
pub(super) type Differences = Vec<Vec<f64>>;

/// Pictures on trial.
pub(super) struct Trial<'a> {
    session: &'a Session,
    /// Normalised.
    images: Vec<f32>,
    pub wants: Vec<Objective>,
    batch: usize,
    reference: Outputs,
    /// What has been tried, by the options' words and the number of pictures.
    known: HashMap<String, Differences>,
    log: Option<File>,
    /// On the CPU: the way that others are compared with, and what enters its blocks.
    base: Option<(Options, Vec<Vec<Option<Entrance>>>)>,
    /// Pictures that have gone through the network so far.
    pub passes: usize,
}

/// One line of the log.
#[derive(Serialize, Deserialize)]
struct Line {
    tried: String,
    differences: Differences,
}

/// The most that entrances of a base take.
const MOST_BYTES: usize = 1 << 30;

impl<'a> Trial<'a> {
    /// Runs all pictures without merging. `images` is normalised, `[images, ...]`; `plain` is how they are run without
    /// merging. What is tried is kept in `log`, and what is in there is not tried again.
    pub fn new(
        session: &'a Session,
        images: Vec<f32>,
        (wants, batch): (Vec<Objective>, usize),
        plain: &Options,
        log: Option<&Path>,
    ) -> Result<Self> {
        let count = images.len() / session.config().image_values();
        let mut trial = Trial {
            session,
            images,
            wants,
            batch,
            reference: Outputs::default(),
            known: HashMap::new(),
            log: None,
            base: None,
            passes: 0,
        };
        trial.reference = trial.run(plain, count)?;
        let broken = |name, values: &[f32]| match values.iter().any(|v| !v.is_finite()) {
            true => Err(Error::Input(format!("{name} of the network are not finite without merging"))),
            false => Ok(()),
        };
        broken("logits", &trial.reference.logits)?;
        broken("features", &trial.reference.features)?;
        broken("dense features", &trial.reference.dense)?;
        if let Some(path) = log {
            trial.open_log(path)?;
        }
        Ok(trial)
    }

    /// Pictures.
    pub fn count(&self) -> usize {
        self.reference.batch
    }

    /// The log begins with what it is about; a log of something else is refused.
    fn open_log(&mut self, path: &Path) -> Result<()> {
        let wrong = |why: String| Error::File { path: path.display().to_string(), why };
        let bytes: &[u8] = bytemuck::cast_slice(&self.images);
        let about = format!(
            "{} {:?} {:016x} {:016x}",
            self.session.config().name,
            self.wants,
            crate::store::checksum(bytes),
            crate::store::checksum(bytemuck::cast_slice(&self.reference.features)),
        );
        if path.exists() {
            let file = crate::regular::open(path).map_err(|error| wrong(error.to_string()))?;
            let mut lines = BufReader::new(file).lines();
            match lines.next() {
                Some(Ok(first)) if first == about => {}
                None => {}
                _ => {
                    return Err(wrong("is of another fit (network, pictures or wants); remove it".into()));
                }
            }
            // The last line may be half written.
            let read = lines.map_while(|line| serde_json::from_str::<Line>(&line.ok()?).ok());
            self.known = read.map(|line| (line.tried, line.differences)).collect();
        }
        // Written anew, so that half a line is followed by nothing.
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .map_err(|error| wrong(error.to_string()))?;
        let mut lines = vec![about];
        for (tried, differences) in &self.known {
            let line = Line { tried: tried.clone(), differences: differences.clone() };
            lines.extend(serde_json::to_string(&line));
        }
        writeln!(file, "{}", lines.join("\n")).map_err(|error| wrong(error.to_string()))?;
        self.log = Some(file);
        Ok(())
    }

    /// The differences of the first pictures, `count` of them.
    pub fn differences(&mut self, options: &Options, count: usize) -> Result<Differences> {
        let words = format!("{count} {options:?}");
        if let Some(known) = self.known.get(&words) {
            return Ok(known.clone());
        }
        let merged = self.run(options, count)?;
        let config = self.session.config();
        let between = |want: &Objective| want.between(config, &self.reference, &merged);
        let differences: Differences = self.wants.iter().map(between).collect();
        if let Some(log) = &mut self.log {
            let line = Line { tried: words.clone(), differences: differences.clone() };
            // A log that can no longer be written hinders only the next run.
            if let Ok(line) = serde_json::to_string(&line) {
                _ = writeln!(log, "{line}");
            }
        }
        self.known.insert(words, differences.clone());
        Ok(differences)
    }

    fn run(&mut self, options: &Options, count: usize) -> Result<Outputs> {
        self.passes += count;
        let per_image = self.session.config().image_values();
        let images = &self.images[..count * per_image];
        let want: Want = self.wants.iter().map(|want| want.output()).collect();
        // The log names a network by its features.
        let want = want.with(Output::Features);
        let mut all = Outputs::default();
        match self.session.backend() {
            Backend::Gpu(_) => {
                for images in images.chunks(self.batch * per_image) {
                    let outputs = self.session.run(images, options, want)?;
                    all.append(Outputs { tokens: Vec::new(), ..outputs });
                }
            }
            Backend::Cpu(vit) => {
                let start = self.base.as_ref().and_then(|(base, entrances)| {
                    let depth = vit.config().depth as usize;
                    let same = (0..depth).take_while(|&block| alike(base, options, (block, depth))).count();
                    let kept = |&block: &usize| entrances[0].get(block).is_some_and(Option::is_some);
                    (0..=same).rev().find(kept).map(|block| (block, entrances))
                });
                for (chunk, images) in images.chunks(self.batch * per_image).enumerate() {
                    let first = chunk * self.batch;
                    let entering: Option<(usize, Vec<&Entrance>)> = start.map(|(block, entrances)| {
                        let of = &entrances[first..first + images.len() / per_image];
                        (block, of.iter().filter_map(|entrances| entrances[block].as_ref()).collect())
                    });
                    let entering = entering.as_ref().map(|(block, entrances)| (*block, &entrances[..]));
                    let (mut outputs, _) = vit.forward_from(images, entering, options, &[])?;
                    if want.has(Output::Dense) {
                        outputs.dense = vit.dense(&outputs);
                    }
                    all.append(Outputs { tokens: Vec::new(), source_per_block: Vec::new(), ..outputs });
                }
            }
        }
        Ok(all)
    }

    /// What others will be compared with: on the CPU, what enters its blocks is kept, so that those that begin alike need
    /// only what comes after.
    pub fn set_base(&mut self, options: &Options) -> Result<()> {
        let Backend::Cpu(vit) = self.session.backend() else { return Ok(()) };
        if self.base.as_ref().is_some_and(|(base, _)| base == options) {
            return Ok(());
        }
        let config = vit.config();
        let tokens = options.tokens_per_block(config);
        let bytes = |block: usize| tokens[block] as usize * config.embed_dim as usize * 4 * self.count();
        // The first block's is but the embedding; where memory is short every other block's is kept, or fewer.
        let depth = config.depth as usize;
        let all: usize = (1..depth).map(bytes).sum();
        let every = all.div_ceil(MOST_BYTES).max(1);
        let keep: Vec<bool> = (0..depth).map(|block| block > 0 && block % every == 0).collect();
        let mut entrances = Vec::new();
        let per_image = config.image_values();
        for images in self.images.chunks(self.batch * per_image) {
            entrances.extend(vit.forward_from(images, None, options, &keep)?.1);
        }
        self.passes += self.count();
        self.base = Some((options.clone(), entrances));
        Ok(())
    }
}

/// Whether two ways do the same in a block, if the same enters it.
fn alike(a: &Options, b: &Options, (block, depth): (usize, usize)) -> bool {
    let r = |options: &Options| [&options.schedule, &options.least].map(|r| r.per_block(depth)[block]);
    let common = |options: &Options| {
        let Options { threshold, prop_attn, protect, positions, partition, matching, .. } = options;
        (*threshold, *prop_attn, *protect, *positions, *partition, *matching)
    };
    let rule = |options: &Options| (r(options)[0] > 0).then(|| options.rule(block as u32));
    r(a) == r(b) && rule(a) == rule(b) && common(a) == common(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Schedule;
    use crate::session::DeviceChoice;
    use crate::vit::{Metric, Rule, Weights};

    /// What comes from the middle of a network is what comes from its beginning, to the last bit.
    #[test]
    fn differences_do_not_depend_on_the_base() {
        check("vit_tiny_patch16_224");
    }

    /// Nor where tokens have positions, which merge as they do.
    #[test]
    fn differences_do_not_depend_on_the_base_where_positions_count() {
        check("vit_small_patch16_rope_mixed_224");
        check("beit_base_patch16_224");
    }

    fn check(architecture: &str) {
        let mut config = Config::preset(architecture).unwrap();
        (config.image_size, config.patch_size) = ([20, 20], [4, 4]);
        (config.embed_dim, config.mlp_hidden, config.num_heads, config.depth) = (32, 64, 2, 4);
        let weights = Weights::random(&config, 3);
        let session = Session::new(config.clone(), &weights, &DeviceChoice::Cpu).unwrap();
        let images: Vec<f32> =
            (0..5 * config.image_values()).map(|i| (i as f32 * 0.618).fract() - 0.5).collect();
        let wants = vec![Objective::Features, Objective::Dense];
        let trial = || {
            let plain = Options::default();
            Trial::new(&session, images.clone(), (wants.clone(), 2), &plain, None).unwrap()
        };
        let list = |r: &[u32]| Options::with_schedule(Schedule::List(r.into()));
        let rules = vec![Rule::default(), Rule { metric: Metric::Values, by_size: 1.0, ..Rule::default() }];
        // Tokens of random weights are much alike.
        let threshold = |r: &[u32], least: &[u32]| Options {
            threshold: Some(0.9),
            least: Schedule::List(least.into()),
            prop_attn: false,
            ..list(r)
        };
        let padded = threshold(&[4, 4, 4, 4], &[0, 1, 1, 1]);
        let (mut plain, mut based) = (trial(), trial());
        for base in [list(&[3, 3, 3, 3]), list(&[0, 4, 4, 0]), list(&[0, 0, 0, 0]), padded] {
            based.set_base(&base).unwrap();
            for other in [
                list(&[3, 3, 3, 0]),
                list(&[3, 2, 4, 1]),
                list(&[0, 4, 4, 3]),
                list(&[0, 0, 0, 5]),
                Options { rules: rules.clone(), ..list(&[3, 3, 3, 3]) },
                Options { prop_attn: false, ..list(&[0, 4, 4, 0]) },
                threshold(&[4, 4, 4, 4], &[0, 1, 1, 2]),
                threshold(&[4, 4, 3, 4], &[0, 1, 1, 1]),
                list(&[4, 4, 4, 4]),
            ] {
                based.known.clear();
                let (a, b) = (plain.differences(&other, 5).unwrap(), based.differences(&other, 5).unwrap());
                assert_eq!(a, b, "{base:?} {other:?}");
                assert_eq!(based.differences(&other, 3).unwrap()[0], b[0][..3]);
            }
        }
    }
}
