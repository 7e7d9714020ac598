//! What a fit has found, with what it was compared with.

use serde_json::{Map, Value, json};

use super::fitted::Fitted;
use super::run::Fit;
use super::search::{Candidate, apart, losses, ratio};
use super::trial::{Differences, Objective};
use crate::eval::{Interval, paired};
use crate::session::Session;
use crate::vit::Options;

/// A way to merge, on pictures that it was not fitted to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Row {
    /// What it is, in words.
    pub name: String,
    /// The way.
    pub options: Options,
    /// How many numbers were chosen to get there; 0 where there was nothing to choose.
    pub freedom: u32,
    /// One number for each held-out picture: the difference from the results without merging, of several wants the mean
    /// of each in parts of ToMe's.
    pub losses: Vec<f64>,
    /// The mean difference of each want, with its interval.
    pub errors: Vec<Interval>,
    /// The mean loss on the pictures that it was fitted to.
    pub fitted_loss: f64,
    /// The speed-up that its cost promises.
    pub promised: f64,
    /// The speed-up that was measured, of the chosen way and of the first.
    pub speedup: Option<f64>,
}

impl Row {
    pub(super) fn new(
        name: String,
        candidate: Candidate,
        differences: Differences,
        (scales, promised): (&[f64], f64),
    ) -> Self {
        Row {
            name,
            freedom: candidate.freedom,
            losses: losses(&differences, scales),
            errors: differences.iter().map(|values| paired(values)).collect(),
            fitted_loss: candidate.loss(),
            options: candidate.options,
            promised,
            speedup: None,
        }
    }

    /// The mean loss on held-out pictures.
    pub fn loss(&self) -> f64 {
        self.losses.iter().sum::<f64>() / self.losses.len().max(1) as f64
    }
}

/// What a fit has found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// What is to be kept, with all that is known of it.
    pub fitted: Fitted,
    /// What it comes to, in words.
    pub verdict: String,
    /// What was to stay as it is.
    pub wants: Vec<Objective>,
    /// All that it was compared with, at the same cost; the first is ToMe's constant r by keys.
    pub rows: Vec<Row>,
    /// The one of them that was chosen.
    pub chosen: usize,
    /// The cost is that of the device, not of FLOPs.
    pub measured: bool,
    /// Pictures fitted to, and held out.
    pub pictures: [usize; 2],
    /// Pictures that went through the network.
    pub passes: usize,
    /// What a pass was to take at most: seconds of a batch, or multiply-adds of an image.
    pub budget: f64,
    /// Images a second without merging.
    pub plain_per_second: f64,
}

impl Report {
    /// By how much a row loses more than the chosen one, picture by picture.
    pub fn apart(&self, row: &Row) -> Interval {
        apart(&row.losses, &self.rows[self.chosen].losses)
    }

    /// How many times what ToMe's constant r by keys loses a row loses, picture by picture: the geometric mean.
    pub fn of_tome(&self, row: &Row) -> Interval {
        ratio(&row.losses, &self.rows[0].losses)
    }

    /// Everything, for programs.
    pub fn to_json(&self) -> Value {
        let interval = |of: &Interval| json!([of.estimate, of.low, of.high]);
        let row = |row: &Row| {
            json!({
                "name": row.name,
                "merging": Fitted { options: row.options.clone(), ..self.fitted.clone() }.to_json()["merging"],
                "freedom": row.freedom,
                "errors": row.errors.iter().map(interval).collect::<Vec<_>>(),
                "loss": row.loss(),
                "fitted_loss": row.fitted_loss,
                "more_than_chosen": interval(&self.apart(row)),
                "of_tome": interval(&self.of_tome(row)),
                "promised_speedup": row.promised,
                "measured_speedup": row.speedup,
            })
        };
        json!({
            "verdict": self.verdict,
            "chosen": self.chosen,
            "wants": self.wants.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
            "cost": if self.measured { "measured" } else { "flops" },
            "pictures": { "fitted": self.pictures[0], "held_out": self.pictures[1] },
            "passes": self.passes,
            "plain_images_per_s": self.plain_per_second,
        })
    }

    /// What is kept beside the schedule.
    pub(super) fn facts(&self, fit: &Fit, session: &Session) -> Map<String, Value> {
        let row = &self.rows[self.chosen];
        let interval = |of: &Interval| json!([of.estimate, of.low, of.high]);
        let errors = |row: &Row| -> Map<String, Value> {
            let named = self.wants.iter().zip(&row.errors);
            named.map(|(want, error)| (want.to_string(), interval(error))).collect()
        };
        let facts = json!({
            "verdict": self.verdict,
            "target": fit.target.to_string(),
            "cost": if self.measured { "measured" } else { "flops" },
            "device": session.device().name,
            "precision": session.device().precision,
            "batch": fit.batch,
            "seed": fit.seed,
            "pictures": { "fitted": self.pictures[0], "held_out": self.pictures[1] },
            "held_out_errors": errors(row),
            "held_out_errors_of_tome": errors(&self.rows[0]),
            "of_tome": interval(&self.of_tome(row)),
            "promised_speedup": row.promised,
            "measured_speedup": row.speedup,
        });
        facts.as_object().cloned().unwrap_or_default()
    }
}
