//! A fit from beginning to end.

use std::path::PathBuf;

use super::cost::{Cost, median, per_second};
use super::fitted::Fitted;
use super::report::{Report, Row};
use super::search::{Candidate, Progress, Search, apart};
use super::shape::Shape;
use super::target::Target;
use super::trial::{Objective, Trial};
use crate::error::{Error, Result};
use crate::schedule::Schedule;
use crate::session::Session;
use crate::tune::Bench;
use crate::vit::{Images, Metric, Options, Rule};

/// Merging to be fitted to a network, its device and pictures.
///
/// ```no_run
/// # use tome_wgpu::{Result, Session, fit::Fit, vit::Options};
/// # fn fit(session: &Session, pictures: &[f32]) -> Result<()> {
/// let fit = Fit::new("1.6x".parse()?);
/// let report = fit.run(session, pictures.into(), &Options::default(), &mut |_| {})?;
/// println!("{}: {}", report.verdict, report.fitted.options.schedule);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fit {
    /// What it is to reach.
    pub target: Target,
    /// What is to stay as it is without merging; none: what the network is for.
    pub wants: Vec<Objective>,
    /// Speed is that of the device; otherwise what FLOPs promise.
    pub measured: bool,
    /// Images of a batch.
    pub batch: usize,
    /// Ways to merge that may be tried.
    pub most: usize,
    /// What the choice of held-out pictures and the order of trials start from.
    pub seed: u64,
    /// A file in which what was tried is kept, so that an interrupted fit goes on.
    pub log: Option<PathBuf>,
}

/// Pictures that a fit needs, those to report on included.
const FEWEST: usize = 6;
/// Pictures below which a fit is said to be noise.
const ENOUGH: usize = 32;
/// Times that speeds are measured in the end, in turns.
const ROUNDS: usize = 7;

impl Fit {
    /// A fit with the usual settings.
    pub fn new(target: Target) -> Self {
        Fit { target, wants: Vec::new(), measured: true, batch: 8, most: 600, seed: 0, log: None }
    }

    /// Fits. `pictures` need no labels; a third of them is held out and decides. `base` says what is not searched: partition, protected
    /// tokens, pooling. `say` hears what goes on.
    ///
    /// # Errors
    /// [`Error::Input`] where there are too few pictures or the target cannot be reached; those of [`Session::run`] and of
    /// [`Bench::measure`].
    pub fn run(
        &self,
        session: &Session,
        pictures: Images<'_>,
        base: &Options,
        say: &mut dyn FnMut(Progress),
    ) -> Result<Report> {
        let config = session.config();
        let per_image = config.image_values();
        let count = pictures.count(config)?;
        if count < FEWEST {
            return Err(Error::Input(format!("{count} pictures; a fit needs {FEWEST} at least, better {ENOUGH}")));
        }
        let wants = if self.wants.is_empty() { vec![Objective::of(config)] } else { self.wants.clone() };
        if wants.len() > 1 && matches!(self.target, Target::Error(_)) {
            return Err(Error::Input("an error is that of one result; name one".into()));
        }
        let plain = Options { schedule: Schedule::NONE, rules: Vec::new(), ..base.clone() };
        plain.check(config)?;
        let (fitting, held_out) = self.split(&pictures.normalised(config), per_image);

        let cost = match self.measured {
            true => Cost::measured(session, self.batch, &mut |tried, most| {
                say(Progress { stage: "cost", tried, most, best: None });
            })?,
            false => Cost::counted(config),
        };
        let trial = Trial::new(session, fitting, (wants.clone(), self.batch), &plain, self.log.as_deref())?;
        let scales = vec![1.0; wants.len()];
        let mut search = Search {
            session,
            trial,
            batch: self.batch,
            budget: f64::INFINITY,
            plain: plain.clone(),
            scales,
            most: self.most,
            tried: 0,
            random: self.seed,
            best: None,
            cost,
            say,
        };
        let whole = search.seconds(&plain);
        let found = match self.target {
            Target::Error(most) => self.at_error(&mut search, most)?,
            target => {
                search.budget = budget(target, whole, (self.batch, self.measured))?;
                self.at_budget(&mut search)?
            }
        };
        let Search { cost, budget, scales, .. } = search;
        let passes = search.trial.passes;
        if self.measured {
            cost.keep(session, self.batch);
        }

        let mut held = Trial::new(session, held_out, (wants.clone(), self.batch), &plain, None)?;
        let mut rows = Vec::new();
        for (name, candidate) in found {
            let differences = held.differences(&candidate.options, held.count())?;
            let promised = whole / cost.of(config, &candidate.options);
            rows.push(Row::new(name, candidate, differences, (&scales, promised)));
        }
        let chosen = choose(&rows);
        let seconds = self.speeds(session, &plain, &mut rows, chosen)?;
        let row = &rows[chosen];
        let mut fitted = Fitted::new(config, row.options.clone());
        let verdict = verdict(&rows, chosen, (count, self.target));
        let mut report = Report {
            verdict,
            wants,
            rows,
            chosen,
            measured: self.measured,
            pictures: [count - held.count(), held.count()],
            passes,
            budget,
            plain_per_second: per_second(self.batch, seconds)?,
            fitted: fitted.clone(),
        };
        fitted.facts = report.facts(self, session);
        report.fitted = fitted;
        Ok(report)
    }

    /// Pictures to fit to and to report on, in an order that the seed decides.
    fn split(&self, pictures: &[f32], per_image: usize) -> (Vec<f32>, Vec<f32>) {
        let mut order: Vec<&[f32]> = pictures.chunks_exact(per_image).collect();
        let mut random = self.seed ^ 0x9e37_79b9_7f4a_7c15;
        for i in (1..order.len()).rev() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            order.swap(i, (random >> 33) as usize % (i + 1));
        }
        let held = order.split_off(order.len() - (order.len() / 3).max(2));
        (order.concat(), held.concat())
    }

    /// Everything that is searched at one budget, with what it is to be compared with.
    fn at_budget(&self, search: &mut Search<'_, '_>) -> Result<Vec<(String, Candidate)>> {
        let none = search.plain.clone();
        if search.seconds(&none) <= search.budget {
            let nothing = search.candidate(none, 0)?;
            return Ok(vec![("0 everywhere".into(), nothing)]);
        }
        let Some(tome) = search.within(Rule::default(), Shape::CONSTANT) else {
            let fastest = search.fastest();
            return Err(Error::Input(format!(
                "target {} cannot be reached: merging all that can merge gives {fastest:.2}x",
                self.target
            )));
        };
        if search.scales.len() > 1 {
            let differences = search.trial.differences(&tome, search.trial.count())?;
            let mean = |values: &Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
            search.scales = differences.iter().map(|values| mean(values).max(f64::MIN_POSITIVE)).collect();
        }
        let mut found = Vec::new();
        for metric in
            [Metric::Keys, Metric::Queries, Metric::Values, Metric::Input, Metric::Attention, Metric::Final]
        {
            let rule = Rule { metric, ..Rule::default() };
            search.cost.measure_merge(search.session, search.batch, &rule)?;
            let name = match metric {
                Metric::Keys => "constant, keys (ToMe)".into(),
                _ => format!("constant, {metric}"),
            };
            for (name, shape) in [(name, Shape::CONSTANT), ("falling, keys".into(), Shape::FALLING), (
                "rising, keys".into(),
                Shape::RISING,
            )] {
                if shape != Shape::CONSTANT && metric != Metric::Keys {
                    continue;
                }
                if let Some(way) = search.within(rule, shape) {
                    found.push((name, search.candidate(way, 0)?));
                }
            }
        }
        let constants = search.constants()?;
        let Some(constant) = constants.first().cloned() else { return Ok(found) };
        found.push(("constant, best rule".into(), constant.clone()));
        let shapes = search.shapes(&constants)?;
        let mut start = constant.clone();
        if let Some(shape) = shapes.first() {
            found.push(("two knots, best rule".into(), shape.clone()));
            if shape.loss() < start.loss() {
                start = shape.clone();
            }
        }
        let tokens = search.session.config().tokens();
        let coarse = (tokens / 32).max(1);
        // A beam of two: the better way after coarse steps is refined.
        let mut beam = Vec::new();
        for start in [start, constants.get(1).cloned().unwrap_or(constant)] {
            beam.push(search.blocks(start, &[coarse])?);
        }
        beam.sort_by(|a, b| a.loss().total_cmp(&b.loss()));
        let fine: Vec<u32> = [coarse / 2, coarse / 4].into_iter().filter(|&step| step > 0).collect();
        let single = search.blocks(beam.swap_remove(0), &fine)?;
        found.push(("block by block".into(), single.clone()));
        let rules: Vec<Rule> = constants.iter().map(|found| found.options.rule(0)).take(4).collect();
        let mixed = search.block_rules(single, &rules)?;
        if !mixed.options.rules.is_empty() {
            found.push(("block by block, with rules".into(), mixed));
        }
        Ok(found)
    }

    /// The fastest way whose error keeps within a bound: the budget is halved in until what is found there just does.
    fn at_error(&self, search: &mut Search<'_, '_>, most: f64) -> Result<Vec<(String, Candidate)>> {
        let whole = search.seconds(&search.plain.clone());
        let (mut slow, mut fast) = (whole, whole / search.fastest());
        // What the best constant loses at each budget says where to search.
        for _ in 0..5 {
            search.budget = f64::midpoint(slow, fast);
            let best = search.constants()?;
            match best.first().is_some_and(|best| best.loss() <= most) {
                true => slow = search.budget,
                false => fast = search.budget,
            }
        }
        // A search there loses less, so that it can go further.
        let mut kept = None;
        for further in [0.94, 0.97, 1.0, 1.03, 1.06] {
            search.budget = slow * further;
            if search.budget >= whole {
                break;
            }
            let found = self.at_budget(search)?;
            let within = found.iter().map(|(_, candidate)| candidate.loss()).fold(f64::INFINITY, f64::min);
            if within <= most {
                kept = Some(found);
                break;
            }
        }
        match kept {
            Some(found) => Ok(found),
            None => Ok(vec![("0 everywhere".into(), search.candidate(search.plain.clone(), 0)?)]),
        }
    }

    /// Measures the speed of the chosen way, of ToMe's and of none, in turns; gives the seconds of none.
    fn speeds(&self, session: &Session, plain: &Options, rows: &mut [Row], chosen: usize) -> Result<f64> {
        let mut bench = Bench::new(session);
        let measured: Vec<usize> = if chosen == 0 { vec![0] } else { vec![0, chosen] };
        let mut times = vec![Vec::new(); measured.len() + 1];
        for _ in 0..ROUNDS {
            times[0].push(bench.measure(self.batch, plain)?.seconds);
            for (times, &row) in times[1..].iter_mut().zip(&measured) {
                times.push(bench.measure(self.batch, &rows[row].options)?.seconds);
            }
        }
        for (i, &row) in measured.iter().enumerate() {
            let mut ratios: Vec<f64> = times[0].iter().zip(&times[i + 1]).map(|(none, some)| none / some).collect();
            rows[row].speedup = Some(median(&mut ratios));
        }
        Ok(median(&mut times[0]))
    }
}

/// What a pass of a batch may take.
fn budget(target: Target, whole: f64, (batch, measured): (usize, bool)) -> Result<f64> {
    let seconds = match target {
        Target::Speedup(times) => return Ok(whole / times),
        Target::Seconds(seconds) => seconds,
        Target::PerSecond(images) => batch as f64 / images,
        Target::Error(_) => f64::INFINITY,
    };
    match measured {
        true => Ok(seconds),
        false => Err(Error::Input(format!("target {target} is a time, and FLOPs promise none; give 2x, or measure"))),
    }
}

/// The way of the fewest parameters that is within one standard error of the best on pictures held out (Breiman et al.,
/// "Classification and Regression Trees", 1984).
fn choose(rows: &[Row]) -> usize {
    let loss = |row: &Row| row.losses.iter().sum::<f64>();
    let best = (0..rows.len()).min_by(|&a, &b| loss(&rows[a]).total_cmp(&loss(&rows[b]))).unwrap_or_default();
    let near = |row: &Row| {
        let apart = apart(&row.losses, &rows[best].losses);
        // A 95 % interval is about two standard errors to each side.
        apart.estimate <= (apart.high - apart.estimate) / 2.0
    };
    let simple = (0..rows.len()).filter(|&i| near(&rows[i]));
    let order = |&i: &usize| (rows[i].freedom, loss(&rows[i]));
    simple.min_by(|a, b| order(a).partial_cmp(&order(b)).unwrap_or(std::cmp::Ordering::Equal)).unwrap_or(best)
}

/// What it comes to, in words.
fn verdict(rows: &[Row], chosen: usize, (pictures, target): (usize, Target)) -> String {
    let mut words = Vec::new();
    let row = &rows[chosen];
    if row.options.schedule == Schedule::NONE {
        return match target {
            Target::Error(_) => "merging loses more than that at any speed; 0 everywhere".into(),
            _ => "the target is met without merging; 0 everywhere".into(),
        };
    }
    words.push(format!("{}: r = {}", row.name, row.options.schedule));
    if chosen > 0 {
        let apart = apart(&rows[0].losses, &row.losses);
        let (tome, own) = (rows[0].loss(), row.loss());
        words.push(match apart.low > 0.0 {
            true => format!("it loses {:.2} times what ToMe's constant r loses at this speed", own / tome),
            false => "on held-out pictures it is not surely better than ToMe's constant r".into(),
        });
    }
    if row.freedom <= 1 {
        words.push("a fitted schedule is no better than a constant one, so the constant one it is".into());
    }
    if pictures < ENOUGH {
        words.push(format!("{pictures} pictures are few: what it gains may be noise; give {ENOUGH} or more"));
    }
    words.join("; ")
}
