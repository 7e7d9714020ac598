//! The search for the way of cutting matrix products into tiles that suits a device best.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::session::{TileFamily, Tuning, families};
use crate::tune::measure::Timer;
use crate::variant::{Element, Tile, TileChoice};
use crate::vit::{Options, Plan};

/// The outcome of [`Bench::tune`](crate::tune::Bench::tune).
#[derive(Debug)]
#[non_exhaustive]
pub struct Tuned {
    /// All that differ in anything that was timed; first what the table of device kinds says.
    pub candidates: Vec<Candidate>,
    /// The reasons why others were left out: what the device said, or that they compute something else.
    pub excluded: Vec<Error>,
}

/// A tuning and its times.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Candidate {
    /// The tuning.
    pub tuning: Tuning,
    /// Of a forward pass, the median of all rounds, for each batch.
    pub seconds: Vec<f64>,
    /// The time against that of the table's choice, the geometric mean over batches.
    pub ratio: f64,
}

/// A choice must take less than this part of the time of the table's: medians of two runs differ by as much.
const WORTH: f64 = 0.98;
/// Fills to try: from the largest tiles to more workgroups than most devices have room for.
const FILLS: [u32; 7] = [1, 16, 32, 64, 96, 128, 256];

impl Tuned {
    /// The fastest, where it takes at least 2 % less time than the table's choice.
    pub fn choice(&self) -> Option<&Candidate> {
        let fastest = self.candidates.iter().min_by(|a, b| a.ratio.total_cmp(&b.ratio));
        fastest.filter(|candidate| candidate.ratio < WORTH)
    }
}

/// One way to run a batch, of which several candidates may have the same.
struct Way {
    plan: Plan,
    /// It does not compute what the first does.
    wrong: bool,
    seconds: Vec<f64>,
}

/// A candidate while it is measured, and which way it goes for each batch.
struct Entry {
    tuning: Tuning,
    gpu: Gpu,
    ways: Vec<usize>,
    seconds: Vec<f64>,
}

impl Timer<'_> {
    /// Times every candidate on each batch; `inputs` are enough for the largest.
    pub fn tune(&self, inputs: &[f32], batches: &[u32], rounds: usize) -> Result<Tuned> {
        let TileChoice::Fill(usual) = self.table().caps().tile_choice() else {
            return Err(Error::Input("the table of device kinds names a size".into()));
        };
        let entry = |tile: Tile, fill| Entry {
            tuning: Tuning { tile: TileFamily::of(tile), fill },
            gpu: self.table().with_tile(tile).with_tiles(TileChoice::Fill(fill)),
            ways: Vec::new(),
            seconds: Vec::new(),
        };
        let families = families(self.table());
        let all = families.iter().flat_map(|&tile| FILLS.map(|fill| (tile, fill)));
        let first = (self.table().variant().tile, usual);
        let others = all.filter(|&other| other != first);
        let mut entries: Vec<Entry> =
            [first].into_iter().chain(others).map(|(tile, fill)| entry(tile, fill)).collect();
        let mut excluded = Vec::new();
        for &batch in batches {
            self.time_batch(inputs, batch, rounds, &mut entries, &mut excluded)?;
        }
        let mut different: Vec<Entry> = Vec::new();
        for entry in entries {
            if !different.iter().any(|other| other.ways == entry.ways) {
                different.push(entry);
            }
        }
        let usual = different[0].seconds.clone();
        let candidate = |Entry { tuning, seconds, .. }: Entry| {
            let logs: f64 = seconds.iter().zip(&usual).map(|(mine, usual)| (mine / usual).ln()).sum();
            Candidate { tuning, ratio: (logs / seconds.len() as f64).exp(), seconds }
        };
        Ok(Tuned { candidates: different.into_iter().map(candidate).collect(), excluded })
    }

    /// Times every way to run a batch, in turns, and leaves out the entries whose ways are wrong.
    fn time_batch(
        &self,
        inputs: &[f32],
        batch: u32,
        rounds: usize,
        entries: &mut Vec<Entry>,
        excluded: &mut Vec<Error>,
    ) -> Result<()> {
        let inputs = &inputs[..batch as usize * self.vit().config().image_values()];
        let mut ways: Vec<Way> = Vec::new();
        let mut usual: Option<(Tuning, Vec<f32>)> = None;
        let mut sound = Vec::new();
        for mut entry in entries.drain(..) {
            let (plan, logits) = match self.try_out(&entry, &ways, inputs, batch) {
                Ok(Tried::Known(way)) => {
                    entry.ways.push(way);
                    sound.push(entry);
                    continue;
                }
                Ok(Tried::New(plan, logits)) => (*plan, logits),
                // What nobody chose may fail, unless it takes the device along.
                Err(error)
                    if usual.is_some()
                        && !matches!(error, Error::OutOfMemory { .. } | Error::DeviceLost(_)) =>
                {
                    excluded.push(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let apart = usual.as_ref().map_or(0.0, |(_, usual)| apart(&logits, usual));
            let wrong = apart.is_nan() || apart > tolerance(entry.gpu.variant().element);
            match &usual {
                Some((usual, _)) if wrong => excluded.push(Error::Disagreement {
                    what: format!("{}, batch {batch}", entry.tuning),
                    with: usual.to_string(),
                    apart,
                }),
                Some(_) => {}
                None => usual = Some((entry.tuning, logits)),
            }
            entry.ways.push(ways.len());
            ways.push(Way { plan, wrong, seconds: Vec::with_capacity(rounds) });
            sound.push(entry);
        }
        tracing::info!("batch {batch}: {} ways to cut, {rounds} rounds", ways.len());
        for _ in 0..rounds {
            for way in ways.iter_mut().filter(|way| !way.wrong) {
                way.seconds.push(self.time(&way.plan)?);
            }
        }
        ways.iter_mut().for_each(|way| way.seconds.sort_by(f64::total_cmp));
        for mut entry in sound {
            let way = &ways[entry.ways[entry.ways.len() - 1]];
            if !way.wrong {
                entry.seconds.push(way.seconds[rounds / 2]);
                entries.push(entry);
            }
        }
        Ok(())
    }

    /// Makes an entry's plan and, unless one of the ways is the same, runs it.
    fn try_out(&self, entry: &Entry, ways: &[Way], inputs: &[f32], batch: u32) -> Result<Tried> {
        let plan = self.vit().on(entry.gpu.clone()).plan(batch, &Options::default())?;
        if let Some(way) = ways.iter().position(|way| same(&way.plan, &plan)) {
            return Ok(Tried::Known(way));
        }
        let logits = self.logits(&plan, inputs)?;
        Ok(Tried::New(plan.into(), logits))
    }

    /// Runs a plan once.
    fn logits(&self, plan: &Plan, inputs: &[f32]) -> Result<Vec<f32>> {
        let bytes = u64::from(plan.batch()) * u64::from(self.vit().config().outputs()) * 4;
        self.write(plan, inputs)?;
        self.read(plan.logits(), bytes, |encoder| plan.encode(encoder))
    }
}

enum Tried {
    /// It is that way once more.
    Known(usize),
    /// A plan and its logits.
    New(Box<Plan>, Vec<f32>),
}

/// Whether two plans of one network and batch run the same shaders: tile sizes are part of them.
fn same(a: &Plan, b: &Plan) -> bool {
    let shaders = |plan: &Plan| -> Vec<_> {
        plan.steps().iter().map(|step| Arc::as_ptr(&step.dispatch.pipeline)).collect()
    };
    shaders(a) == shaders(b)
}

/// The largest difference by the largest value.
fn apart(got: &[f32], want: &[f32]) -> f64 {
    let nan_or_larger = |a: f64, b: f64| if a.is_nan() || a > b { a } else { b };
    let largest = |values: &mut dyn Iterator<Item = f32>| {
        values.map(|value| f64::from(value.abs())).fold(0.0, nan_or_larger)
    };
    let difference = largest(&mut got.iter().zip(want).map(|(got, want)| got - want));
    difference / largest(&mut want.iter().copied()).max(f64::MIN_POSITIVE)
}

/// Sums in another order, through all blocks; in 16 bits what half precision may differ by at all.
fn tolerance(element: Element) -> f64 {
    match element {
        Element::F32 => 1e-3,
        Element::F16 => 2e-2,
    }
}
