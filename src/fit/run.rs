//! A fit from beginning to end.

use std::path::PathBuf;

use super::cost::{Cost, median, per_second};
use super::fitted::Fitted;
use super::report::{Report, Row};
use super::search::{Candidate, Progress, Search, apart, ratio, shuffle};
use super::shape::Shape;
use super::target::Target;
use super::trial::{Objective, Trial};
use crate::error::{Error, Result};
use crate::eval::Interval;
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

/// What a fit is compared with at the same cost; nothing is chosen in them.
const BASELINES: &[(&str, Metric, Shape)] = &[
    ("constant, keys (ToMe)", Metric::Keys, Shape::CONSTANT),
    ("falling, keys", Metric::Keys, Shape::FALLING),
    ("rising, keys", Metric::Keys, Shape::RISING),
    ("constant, queries", Metric::Queries, Shape::CONSTANT),
    ("constant, values", Metric::Values, Shape::CONSTANT),
    ("constant, input", Metric::Input, Shape::CONSTANT),
    ("constant, attention", Metric::Attention, Shape::CONSTANT),
    ("constant, final", Metric::Final, Shape::CONSTANT),
];

impl Fit {
    /// A fit with the usual settings.
    pub fn new(target: Target) -> Self {
        Fit { target, wants: Vec::new(), measured: true, batch: 8, most: 400, seed: 0, log: None }
    }

    /// Fits. `pictures` need no labels; a third of them is held out and decides. `base` says what is not searched: partition, protected
    /// tokens, pooling. `say` hears what goes on.
    ///
    /// # Errors
    /// [`Error::Input`] where there are too few pictures or the target cannot be reached; [`Error::Unsupported`] for a
    /// threshold; those of [`Session::run`] and of [`Bench::measure`].
    pub fn run(
        &self,
        session: &Session,
        pictures: Images<'_>,
        base: &Options,
        say: &mut dyn FnMut(Progress),
    ) -> Result<Report> {
        if session.config().packed.is_some() {
            let why = "a fit is for inputs of one size; of pictures of any shape (NaFlex) each has tokens of its own number";
            let value = session.config().name.clone();
            return Err(Error::Unsupported { field: "model_type".into(), value, why: why.into() });
        }
        if let Some(threshold) = base.threshold {
            let why = "a fit finds how many tokens merge in each block; with a threshold each image says that itself";
            return Err(Error::Unsupported {
                field: "threshold".into(),
                value: threshold.to_string(),
                why: why.into(),
            });
        }
        let config = session.config();
        let per_image = config.image_values();
        let count = pictures.count(config)?;
        if count < FEWEST {
            return Err(Error::Input(format!(
                "{count} pictures; a fit needs {FEWEST} at least, better {ENOUGH}"
            )));
        }
        let wants = if self.wants.is_empty() { vec![Objective::of(config)] } else { self.wants.clone() };
        if wants.len() > 1 && matches!(self.target, Target::Error(_)) {
            return Err(Error::Input("an error is that of one result; name one".into()));
        }
        let plain = Options { schedule: Schedule::NONE, rules: Vec::new(), ..base.clone() };
        plain.check(config)?;
        let (fitting, held_out) = self.split(&pictures.normalised(config)?, per_image);

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

        let mut held = Trial::new(session, held_out, (wants.clone(), self.batch), &plain, None)?;
        let mut rows = Vec::new();
        for (name, candidate) in found {
            let differences = held.differences(&candidate.options, held.count())?;
            let promised = whole / cost.of(config, &candidate.options);
            rows.push(Row::new(name, candidate, differences, (&scales, promised)));
        }
        let chosen = choose(&rows, self.target);
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
        // Not the numbers that trials are ordered by.
        shuffle(&mut order, &mut (self.seed ^ 0x9e37_79b9_7f4a_7c15));
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
        for (name, metric, shape) in BASELINES {
            let rule = Rule { metric: *metric, ..Rule::default() };
            search.cost.measure_merge(search.session, search.batch, &rule)?;
            if let Some(way) = search.within(rule, *shape) {
                found.push(((*name).into(), search.candidate(way, 0)?));
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

    /// The fastest way whose error keeps within a bound. The budget at which the best constant just does is found by halving.
    fn at_error(&self, search: &mut Search<'_, '_>, most: f64) -> Result<Vec<(String, Candidate)>> {
        let whole = search.seconds(&search.plain.clone());
        let (mut slow, mut fast) = (whole, whole / search.fastest());
        search.budget = f64::midpoint(slow, fast);
        // What the best constant there loses at other budgets says where to search.
        let rule = search.constants()?.first().map(|best| best.options.rule(0)).unwrap_or_default();
        for _ in 0..8 {
            search.budget = f64::midpoint(slow, fast);
            let within = match search.within(rule, Shape::CONSTANT) {
                Some(way) => search.candidate(way, 1)?.loss() <= most,
                None => false,
            };
            match within {
                true => slow = search.budget,
                false => fast = search.budget,
            }
        }
        // A search there loses less, so that it can go further.
        let mut kept = None;
        search.most = self.most.div_ceil(2);
        for further in [0.94, 1.0, 1.06] {
            (search.budget, search.tried) = (slow * further, 0);
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
            let mut ratios: Vec<f64> =
                times[0].iter().zip(&times[i + 1]).map(|(none, some)| none / some).collect();
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
        false => Err(Error::Input(format!(
            "target {target} is a time, and FLOPs promise none; give 2x, or measure"
        ))),
    }
}

/// The way of the fewest parameters that is within one standard error of the best on pictures held out (Breiman et al.,
/// "Classification and Regression Trees", 1984).
fn choose(rows: &[Row], target: Target) -> usize {
    let loss = |row: &Row| row.losses.iter().sum::<f64>();
    // Of an error that is not to be passed the pictures fitted to decide, as they do in the search.
    let allowed = |&row: &usize| match target {
        Target::Error(most) => rows[row].fitted_loss <= most,
        _ => true,
    };
    let best = (0..rows.len())
        .filter(allowed)
        .min_by(|&a, &b| loss(&rows[a]).total_cmp(&loss(&rows[b])))
        .unwrap_or_default();
    // On average, and picture by picture: what either tells apart is not as good. A 95 % interval is about two standard errors
    // to each side.
    let near = |row: &Row| {
        let apart = apart(&row.losses, &rows[best].losses);
        let ratio = ratio(&row.losses, &rows[best].losses);
        apart.estimate <= (apart.high - apart.estimate) / 2.0
            && ratio.estimate.ln() <= (ratio.high.ln() - ratio.estimate.ln()) / 2.0
    };
    let simple = (0..rows.len()).filter(allowed).filter(|&i| near(&rows[i]));
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
        let Interval { estimate, low, high } = ratio(&row.losses, &rows[0].losses);
        words.push(match high < 1.0 {
            true => format!(
                "it loses {estimate:.2} times ({low:.2} to {high:.2}) what ToMe's constant r loses of a picture at this speed"
            ),
            false => format!(
                "on held-out pictures it is not surely better than ToMe's constant r ({low:.2} to {high:.2} times its loss)"
            ),
        });
    }
    if row.freedom <= 1 {
        words.push("nothing with more parameters is surely better, so the simple one it is".into());
    }
    if pictures < ENOUGH {
        words.push(format!("{pictures} pictures are few: what it gains may be noise; give {ENOUGH} or more"));
    }
    words.join("; ")
}
