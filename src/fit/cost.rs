//! What a forward pass takes: measured on the device for every number of tokens, or counted.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::schedule::Schedule;
use crate::session::{DeviceReport, Session};
use crate::store::checksum;
use crate::tune::Bench;
use crate::vit::{Config, Options, Rule};

/// What a forward pass takes, by the tokens that enter each block and leave the last. Every block has the same layers,
/// so that a block's cost is one of its tokens alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// What is in front of the blocks and behind them.
    ends: f64,
    /// Tokens, and what a block of them takes that merges nothing; the most tokens first. Between two it is interpolated.
    blocks: Vec<(u32, f64)>,
    /// What a merge takes at the full number of tokens, by the rule's words.
    merges: Vec<(String, f64)>,
    /// The part of a block before its merge, by tokens: of each multiply-add of the whole.
    channels: f64,
    /// Multiply-adds of the MLP for each of its inputs.
    hidden: f64,
    /// Its numbers are seconds of a batch; otherwise multiply-adds of an image.
    pub measured: bool,
}

/// Numbers of tokens at which a block is measured: as many as give 12 tokens or so between two for a ViT of 197.
const POINTS: usize = 16;
/// Times that everything is measured, in turns; medians count.
const ROUNDS: usize = 5;

impl Cost {
    /// Multiply-adds: what FLOPs promise. Matching and merging are not counted, as they do not count in the paper's.
    pub fn counted(config: &Config) -> Self {
        let all = config.tokens();
        let depth = f64::from(config.depth);
        let whole = |n: u32| config.macs(&vec![n; config.depth as usize + 1]);
        // A block's are a polynomial without a constant part; so what is left at no tokens are the ends.
        let ends = whole(0);
        let blocks = (1..=all).rev().map(|n| (n, (whole(n) - ends) / depth)).collect();
        Cost { ends, blocks, merges: Vec::new(), measured: false, ..Cost::unmeasured(config) }
    }

    fn unmeasured(config: &Config) -> Self {
        let mlps = if config.mlp == crate::vit::Mlp::Plain { 2 } else { 3 };
        Cost {
            ends: 0.0,
            blocks: Vec::new(),
            merges: Vec::new(),
            channels: config.embed_dim.into(),
            hidden: f64::from(mlps * config.mlp_hidden),
            measured: true,
        }
    }

    /// Measures a session's device for batches of this size, or takes up what was measured and kept in the session's
    /// [store](Session::store). Of a merge it learns what the default rule takes; of others see [`Cost::measure_merge`].
    /// `say` hears of each part that is done.
    ///
    /// # Errors
    /// Those of [`Bench::measure`].
    pub fn measured(session: &Session, batch: usize, say: &mut dyn FnMut(usize, usize)) -> Result<Self> {
        let name = name(session, batch);
        if let Some(kept) =
            session.store().read(&name).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok())
        {
            return Ok(kept);
        }
        Cost::measure(session, batch, say)
    }

    fn measure(session: &Session, batch: usize, say: &mut dyn FnMut(usize, usize)) -> Result<Self> {
        let config = session.config();
        let (all, depth) = (config.tokens(), config.depth as usize);
        let protect = Options::default().protected(config);
        let least = (protect + 2).max(all / 16).min(all);
        // Each number of tokens is reached as early as can be and kept to the end.
        let mut schedules: Vec<Vec<u32>> = (0..POINTS)
            .map(|i| all - (f64::from(all - least) * i as f64 / (POINTS - 1) as f64).round() as u32)
            .map(|goal| reach(all, goal, protect, depth))
            .collect();
        schedules.dedup_by_key(|schedule| tokens_of(schedule, config)[depth]);
        let mut bench = Bench::new(session);
        let mut times = vec![Vec::new(); schedules.len()];
        for round in 0..ROUNDS {
            for (i, (schedule, times)) in schedules.iter().zip(&mut times).enumerate() {
                let options = Options::for_network(config, Schedule::List(schedule.clone()));
                times.push(bench.measure(batch, &options)?.seconds);
                say(round * schedules.len() + i + 1, ROUNDS * schedules.len());
            }
        }
        let times: Vec<f64> = times.iter_mut().map(|times| median(times)).collect();

        let counted = Cost::counted(config);
        let mut cost = Cost::unmeasured(config);
        // What the ends take cannot be told from blocks by whole passes; their part of the multiply-adds is small.
        cost.ends = times[0] * counted.ends / counted.of_blocks(&vec![all; depth + 1]);
        cost.merges = vec![(words(&Rule::default()), 0.0)];
        for (schedule, &seconds) in schedules.iter().zip(&times) {
            let tokens = tokens_of(schedule, config);
            let goal = tokens[depth];
            // The blocks before it, and the first part of the one that reaches it, are known from more tokens.
            let same = tokens.windows(2).filter(|n| n[1] == goal);
            let (whole, parts): (Vec<_>, Vec<_>) = same.partition(|n| n[0] == goal);
            let before: f64 =
                tokens.windows(2).filter(|n| n[1] != goal).map(|n| cost.block(n[0], n[1])).sum();
            let heads: f64 = parts.iter().map(|n| cost.attention_part(n[0]) * cost.at(n[0])).sum();
            let tails = parts.len() as f64 * (1.0 - cost.attention_part(goal));
            let block = (seconds - cost.ends - before - heads) / (whole.len() as f64 + tails);
            // A disturbed measurement may say anything; fewer tokens never take nothing.
            let least =
                cost.blocks.last().map_or(0.0, |&(n, most)| most * f64::from(goal) / f64::from(n) * 0.5);
            cost.blocks.push((goal, block.max(least)));
        }
        cost.measure_merge(session, batch, &Rule::default())?;
        Ok(cost)
    }

    /// Learns what a merge by a rule takes, where it is not known yet: passes that merge one token in each block against
    /// ones that merge as many at once.
    ///
    /// # Errors
    /// Those of [`Bench::measure`].
    pub fn measure_merge(&mut self, session: &Session, batch: usize, rule: &Rule) -> Result<()> {
        let known = self.merges.iter().any(|(known, seconds)| *known == words(rule) && *seconds > 0.0);
        if !self.measured || known {
            return Ok(());
        }
        let config = session.config();
        let options = |r: Vec<u32>| {
            let Rule { metric, similarity, by_size, merge } = *rule;
            let options = Options::for_network(config, Schedule::List(r));
            Options { metric, similarity, by_size, merge, ..options }
        };
        let depth = config.depth as usize;
        let [each, none] = [options(vec![1; depth]), options(vec![])];
        let mut bench = Bench::new(session);
        let mut apart = Vec::new();
        for _ in 0..ROUNDS {
            let merging = bench.measure(batch, &each)?.seconds;
            apart.push(merging - bench.measure(batch, &none)?.seconds);
        }
        let saved = self.of_blocks(&vec![config.tokens(); depth + 1])
            - self.of_blocks(&each.tokens_per_block(config));
        let seconds = ((median(&mut apart) + saved) / f64::from(config.depth)).max(1e-9);
        self.merges.retain(|(known, _)| *known != words(rule));
        self.merges.push((words(rule), seconds));
        // At once: an interrupted fit that measured it anew would go other ways.
        self.keep(session, batch);
        Ok(())
    }

    /// Keeps it for the next time; that it cannot be kept hinders nobody.
    fn keep(&self, session: &Session, batch: usize) {
        let name = name(session, batch);
        let kept = serde_json::to_vec(self).map_err(std::io::Error::from);
        if let Err(error) = kept.and_then(|bytes| session.store().write(&name, &[&bytes])) {
            tracing::debug!("{}: {error}", session.store().place(&name));
        }
    }

    /// What a forward pass takes. A merge by a rule that is not known counts as one by the default rule.
    pub fn of(&self, config: &Config, options: &Options) -> f64 {
        let tokens = options.tokens_per_block(config);
        let all = f64::from(config.tokens());
        let merge = |(block, n): (u32, &[u32])| {
            let rule = words(&options.rule(block));
            let known = self.merges.iter().find(|(known, _)| *known == rule).or(self.merges.first());
            // Similarities are of each token with each.
            known.map_or(0.0, |&(_, seconds)| seconds * (f64::from(n[0]) / all).powi(2))
        };
        let merging = (0..).zip(tokens.windows(2)).filter(|(_, n)| n[1] < n[0]);
        self.of_blocks(&tokens) + merging.map(merge).sum::<f64>()
    }

    fn of_blocks(&self, tokens: &[u32]) -> f64 {
        self.ends + tokens.windows(2).map(|n| self.block(n[0], n[1])).sum::<f64>()
    }

    /// What a block takes that `n` tokens enter and `m` leave.
    fn block(&self, n: u32, m: u32) -> f64 {
        let (head, tail) = (self.attention_part(n), 1.0 - self.attention_part(m));
        head * self.at(n) + tail * self.at(m)
    }

    /// The part of a block's multiply-adds that are done before the merge.
    fn attention_part(&self, tokens: u32) -> f64 {
        let (n, c) = (f64::from(tokens), self.channels);
        let attention = 4.0 * c * c + 2.0 * n * c;
        attention / (attention + c * self.hidden)
    }

    /// What a block of some tokens takes that merges nothing.
    fn at(&self, tokens: u32) -> f64 {
        let next = self.blocks.partition_point(|&(n, _)| n > tokens);
        match (next.checked_sub(1).map(|i| self.blocks[i]), self.blocks.get(next)) {
            (_, Some(&(n, cost))) if n == tokens => cost,
            (Some((more, most)), Some(&(fewer, least))) => {
                let share = f64::from(tokens - fewer) / f64::from(more - fewer);
                least + share * (most - least)
            }
            // Beyond what was measured it is in proportion.
            (None, Some(&(n, cost))) | (Some((n, cost)), None) => cost * f64::from(tokens) / f64::from(n),
            (None, None) => 0.0,
        }
    }
}

/// r for each block so that a number of tokens is reached as early as can be.
fn reach(all: u32, goal: u32, protect: u32, depth: usize) -> Vec<u32> {
    let mut left = all;
    let step = |_| {
        let r = (left - goal).min(left.saturating_sub(protect) / 2);
        left -= r;
        r
    };
    (0..depth).map(step).collect()
}

fn tokens_of(schedule: &[u32], config: &Config) -> Vec<u32> {
    Options::with_schedule(Schedule::List(schedule.to_vec())).tokens_per_block(config)
}

/// What of a rule decides how long a merge takes.
fn words(rule: &Rule) -> String {
    let Rule { metric, similarity, merge, by_size } = rule;
    format!("{metric} {similarity} {merge}{}", if *by_size > 0.0 { " by size" } else { "" })
}

pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Costs are those of a device, its driver, a network's shape and a batch.
fn name(session: &Session, batch: usize) -> String {
    let mut shape = session.config().clone();
    // Neither names nor what pictures are normalised by change what a block takes, nor why a device was chosen.
    (shape.name, shape.labels) = (String::new(), Vec::new());
    let preprocess = &mut shape.preprocess;
    (preprocess.mean, preprocess.std, preprocess.source) = (Vec::new(), Vec::new(), String::new());
    let DeviceReport { name, backend, precision, tuning, .. } = session.device();
    let threads = rayon::current_num_threads();
    let key = format!("{name} {backend} {precision} {tuning:?} {threads} {batch} {shape:?}");
    format!("cost-{:016x}-{}.json", checksum(key.as_bytes()), env!("CARGO_PKG_VERSION"))
}

/// The number of images a second that a time for a batch makes.
pub(super) fn per_second(batch: usize, seconds: f64) -> Result<f64> {
    match seconds > 0.0 {
        true => Ok(batch as f64 / seconds),
        false => Err(Error::Input("a pass was measured to take no time".into())),
    }
}
