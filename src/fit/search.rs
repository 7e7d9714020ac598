//! The search: rules for the whole network, then shapes of few parameters, then single blocks, from coarse to fine. What
//! does not gain more than its own noise is not taken.

use super::cost::Cost;
use super::shape::Shape;
use super::trial::{Differences, Trial};
use crate::error::Result;
use crate::eval::Interval;
use crate::kernels::{MergeMode, Similarity};
use crate::schedule::Schedule;
use crate::session::Session;
use crate::vit::{Config, Metric, Options, Rule};

/// A way to merge, and how it does on the pictures it is fitted to.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub options: Options,
    /// One number a picture, the smaller the better.
    pub losses: Vec<f64>,
    /// How many numbers were chosen to get here: the fewer, the less it can be noise.
    pub freedom: u32,
}

impl Candidate {
    pub fn loss(&self) -> f64 {
        self.losses.iter().sum::<f64>() / self.losses.len().max(1) as f64
    }

    /// Whether it gains on another on the same pictures, on average and by more than its own noise picture by picture. A
    /// few pictures lose a hundred times what others do, so that noise is that of ratios.
    fn gains_on(&self, other: &Candidate) -> bool {
        let Interval { estimate, high, .. } = ratio(&self.losses, &other.losses);
        // A 95 % interval is about two standard errors to each side.
        let error = (high.ln() - estimate.ln()) / 2.0;
        self.loss() < other.loss() && -estimate.ln() > GAIN * error
    }
}

/// What goes on, for whoever waits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// The part of the work, in words.
    pub stage: &'static str,
    /// Ways to merge that have been tried.
    pub tried: usize,
    /// The most that will be tried.
    pub most: usize,
    /// The mean difference of the best so far, on the pictures that are fitted to.
    pub best: Option<f64>,
}

/// How many standard errors a change must gain.
const GAIN: f64 = 1.0;

pub(super) struct Search<'a, 'p> {
    pub session: &'a Session,
    pub trial: Trial<'a>,
    pub cost: Cost,
    pub batch: usize,
    /// The way to begin with: what is not searched stays as it is.
    pub plain: Options,
    /// What a pass may take.
    pub budget: f64,
    /// What each objective's differences are divided by.
    pub scales: Vec<f64>,
    /// Ways that may be tried.
    pub most: usize,
    pub tried: usize,
    pub random: u64,
    pub best: Option<f64>,
    pub say: &'p mut dyn FnMut(Progress),
}

impl Search<'_, '_> {
    fn config(&self) -> &Config {
        self.session.config()
    }

    fn depth(&self) -> usize {
        self.config().depth as usize
    }

    /// Pictures that a first look takes: a quarter, but not few.
    fn few(&self) -> usize {
        (self.trial.count() / 4).max(12).min(self.trial.count())
    }

    pub fn seconds(&self, options: &Options) -> f64 {
        self.cost.of(self.config(), options)
    }

    /// The plain way with a rule and a list.
    fn way(&self, rule: Rule, list: Vec<u32>) -> Options {
        let Rule { metric, similarity, by_size, merge } = rule;
        let schedule = Schedule::List(list);
        Options { schedule, metric, similarity, by_size, merge, ..self.plain.clone() }
    }

    /// Whether a rule goes with the partition.
    fn goes(&self, rule: Rule) -> bool {
        self.way(rule, Vec::new()).check(self.config()).is_ok()
    }

    /// A shape at the lowest level that keeps within the budget; none where no level does.
    pub fn within(&self, rule: Rule, shape: Shape) -> Option<Options> {
        let most = f64::from(self.config().tokens());
        let levels = (0..).map(|step| f64::from(step) * 0.125).take_while(|&level| level <= most);
        let mut ways = levels.map(|level| self.way(rule, shape.list(level, self.depth())));
        ways.find(|way| self.seconds(way) <= self.budget)
    }

    /// The largest speed-up that there is.
    pub fn fastest(&self) -> f64 {
        let all = self.way(Rule::default(), vec![self.config().tokens(); self.depth()]);
        self.seconds(&self.plain) / self.seconds(&all)
    }

    /// Tries a way on the first pictures.
    fn look(&mut self, options: &Options, count: usize) -> Result<Vec<f64>> {
        Ok(losses(&self.trial.differences(options, count)?, &self.scales))
    }

    /// Tries a way on all pictures.
    pub fn candidate(&mut self, options: Options, freedom: u32) -> Result<Candidate> {
        let losses = self.look(&options, self.trial.count())?;
        Ok(Candidate { options, losses, freedom })
    }

    fn step(&mut self, stage: &'static str) -> bool {
        self.tried += 1;
        let Search { tried, most, best, .. } = *self;
        (self.say)(Progress { stage, tried, most, best });
        tried <= most
    }

    /// Ways by first looks, the best few of them on all pictures.
    fn best_of(
        &mut self,
        stage: &'static str,
        ways: Vec<Options>,
        keep: usize,
        freedom: u32,
    ) -> Result<Vec<Candidate>> {
        let few = self.few();
        let mut looked = Vec::new();
        for way in ways {
            if !self.step(stage) {
                break;
            }
            let losses = self.look(&way, few)?;
            looked.push((losses.iter().sum::<f64>(), way));
        }
        looked.sort_by(|a, b| a.0.total_cmp(&b.0));
        looked.truncate(keep);
        let mut kept = Vec::new();
        for (_, way) in looked {
            kept.push(self.candidate(way, freedom)?);
        }
        kept.sort_by(|a, b| a.loss().total_cmp(&b.loss()));
        Ok(kept)
    }

    fn rules() -> Vec<Rule> {
        let metrics =
            [Metric::Keys, Metric::Attention, Metric::Final, Metric::Queries, Metric::Values, Metric::Input];
        let mut rules = Vec::new();
        for metric in metrics {
            for by_size in [0.0, 0.5, 1.0] {
                rules.push(Rule { metric, by_size, ..Rule::default() });
            }
        }
        rules
    }

    /// The best rules for the whole network at a constant r; the best few first.
    pub fn constants(&mut self) -> Result<Vec<Candidate>> {
        const STAGE: &str = "rules";
        let mut ways = Vec::new();
        for rule in Self::rules().into_iter().filter(|&rule| self.goes(rule)).collect::<Vec<_>>() {
            self.cost.measure_merge(self.session, self.batch, &rule)?;
            ways.extend(self.within(rule, Shape::CONSTANT));
        }
        let mut best = self.best_of(STAGE, ways, 4, 1)?;
        // What goes with the best of them: other means, distances, and attention that does not count members.
        let mut others = Vec::new();
        for found in best.iter().take(2) {
            let rule = found.options.rule(0);
            let beside = [
                Rule { merge: MergeMode::Mlerp, ..rule },
                Rule { similarity: Similarity::Euclidean, ..rule },
                Rule { similarity: Similarity::Euclidean, by_size: 1.0, ..rule },
            ];
            for other in beside.into_iter().filter(|&rule| self.goes(rule)).collect::<Vec<_>>() {
                self.cost.measure_merge(self.session, self.batch, &other)?;
                others.extend(self.within(other, Shape::CONSTANT));
            }
        }
        if let Some(found) = best.first() {
            let prop_attn = !found.options.prop_attn;
            others.push(Options { prop_attn, ..found.options.clone() });
        }
        best.extend(self.best_of(STAGE, others, 3, 1)?);
        best.sort_by(|a, b| a.loss().total_cmp(&b.loss()));
        self.best = best.first().map(Candidate::loss);
        Ok(best)
    }

    /// The best shapes for the rules that did best.
    pub fn shapes(&mut self, constants: &[Candidate]) -> Result<Vec<Candidate>> {
        let mut best = Vec::new();
        for (i, found) in constants.iter().take(2).enumerate() {
            let Options { prop_attn, .. } = found.options;
            let rule = found.options.rule(0);
            let ways = Shape::all(self.depth()).into_iter().filter(|shape| *shape != Shape::CONSTANT);
            // The second rule is looked at with a quarter of them.
            let ways: Vec<Options> = match i {
                0 => ways.filter_map(|shape| self.within(rule, shape)).collect(),
                _ => ways.step_by(4).filter_map(|shape| self.within(rule, shape)).collect(),
            };
            let ways = ways.into_iter().map(|way| Options { prop_attn, ..way }).collect();
            best.extend(self.best_of("shapes", ways, 3, 4)?);
        }
        best.sort_by(|a, b| a.loss().total_cmp(&b.loss()));
        Ok(best)
    }

    /// A way changed block by block: in each step some tokens merge in another block, from coarse steps to fine ones.
    pub fn blocks(&mut self, start: Candidate, steps: &[u32]) -> Result<Candidate> {
        let depth = self.depth();
        let mut best = start;
        for &step in steps {
            let mut since = 0;
            let mut pairs: Vec<(usize, usize)> =
                (0..depth * depth).map(|i| (i / depth, i % depth)).filter(|(i, j)| i != j).collect();
            shuffle(&mut pairs, &mut self.random);
            for &(from, to) in pairs.iter().cycle() {
                since += 1;
                if since > pairs.len() {
                    break;
                }
                let Some(way) = self.moved(&best.options, (from, to), step) else { continue };
                if !self.step("blocks") {
                    return Ok(best);
                }
                if let Some(better) = self.better(&best, way)? {
                    best = better;
                    since = 0;
                }
            }
        }
        Ok(best)
    }

    /// Other rules in single blocks, where they pay.
    pub fn block_rules(&mut self, start: Candidate, rules: &[Rule]) -> Result<Candidate> {
        let mut best = start;
        for block in 0..self.depth() {
            for &rule in rules {
                if best.options.rule(block as u32) == rule
                    || best.options.schedule.per_block(self.depth())[block] == 0
                {
                    continue;
                }
                let own = |block| best.options.rule(block);
                let mut rules: Vec<Rule> = (0..self.depth() as u32).map(own).collect();
                rules[block] = rule;
                let way = Options { rules, ..best.options.clone() };
                if self.seconds(&way) > self.budget {
                    continue;
                }
                if !self.step("rules of single blocks") {
                    return Ok(best);
                }
                if let Some(better) = self.better(&best, way)? {
                    best = better;
                }
            }
        }
        Ok(best)
    }

    /// A way where it gains on another: by a first look, then on all pictures, by more than its noise.
    fn better(&mut self, best: &Candidate, way: Options) -> Result<Option<Candidate>> {
        self.trial.set_base(&best.options)?;
        let few = self.few();
        let looked = self.look(&way, few)?;
        if looked.iter().sum::<f64>() >= best.losses[..few].iter().sum::<f64>() {
            return Ok(None);
        }
        let found = self.candidate(way, best.freedom + 1)?;
        if !found.gains_on(best) {
            return Ok(None);
        }
        self.best = Some(found.loss());
        Ok(Some(found))
    }

    /// r less `step` in one block, and as much more in another as the budget needs.
    fn moved(&self, options: &Options, (from, to): (usize, usize), step: u32) -> Option<Options> {
        let mut list = options.schedule.per_block(self.depth());
        list[from] = list[from].checked_sub(step.min(list[from]).max(1))?;
        let tokens = self.config().tokens();
        for _ in 0..tokens {
            list[to] += 1;
            let way = Options { schedule: Schedule::List(list.clone()), ..options.clone() };
            let counts = way.tokens_per_block(self.config());
            if counts[to] - counts[to + 1] < list[to] {
                return None;
            }
            if self.seconds(&way) <= self.budget {
                return Some(way);
            }
        }
        None
    }
}

/// An order that a seed decides, by Knuth's linear congruential generator (MMIX).
pub(super) fn shuffle<T>(values: &mut [T], random: &mut u64) {
    for i in (1..values.len()).rev() {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        values.swap(i, (*random >> 33) as usize % (i + 1));
    }
}

/// One number for each picture from the differences of every objective, each in parts of its scale.
pub(super) fn losses(differences: &Differences, scales: &[f64]) -> Vec<f64> {
    let pictures = differences.first().map_or(0, Vec::len);
    let one = |i: usize| {
        let scaled = differences.iter().zip(scales).map(|(values, scale)| values[i] / scale);
        scaled.sum::<f64>() / differences.len() as f64
    };
    (0..pictures).map(one).collect()
}

/// How many times one way's losses are another's on the same pictures: the geometric mean, which no single picture
/// decides, with its interval.
pub(super) fn ratio(one: &[f64], other: &[f64]) -> Interval {
    // What is lost by rounding alone is nothing.
    let log = |loss: f64| loss.max(1e-12).ln();
    let logs: Vec<f64> = one.iter().zip(other).map(|(&a, &b)| log(a) - log(b)).collect();
    let Interval { estimate, low, high } = crate::eval::paired(&logs);
    Interval { estimate: estimate.exp(), low: low.exp(), high: high.exp() }
}

/// The mean of how much larger one way's losses are than another's on the same pictures.
pub(super) fn apart(one: &[f64], other: &[f64]) -> Interval {
    let apart: Vec<f64> = one.iter().zip(other).map(|(a, b)| a - b).collect();
    crate::eval::paired(&apart)
}
