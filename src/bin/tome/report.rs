//! What an evaluation has found, as a table and as JSON.

use comfy_table::{Table, presets};
use serde_json::{Value, json};
use tome_wgpu::Session;
use tome_wgpu::eval::{Interval, Summary, Tally};
use tome_wgpu::vit::Config;

use crate::bench::Timing;
use crate::evaluation::Judged;
use crate::model;
use crate::plot::{Dot, Plot};

/// One schedule's figures.
pub struct Way {
    pub r: String,
    /// Left after the last block.
    pub tokens: u32,
    pub summary: Summary,
    pub judged: Option<Judged>,
    pub timing: Timing,
}

/// All figures.
pub struct Report {
    /// The first merges nothing.
    pub ways: Vec<Way>,
    /// Those that were read, and how many of all an earlier run did.
    pub images: usize,
    pub resumed: usize,
    pub unreadable: Vec<(String, String)>,
    /// How labels were found among the network's classes.
    pub labels: Option<String>,
    pub batch: u32,
}

/// A figure by its name in JSON, its heading in the table, and how it is written there.
struct Figure {
    name: &'static str,
    heading: &'static str,
    form: Form,
    of: fn(&Way) -> Option<Interval>,
}

/// How a figure is written.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// In percent.
    Share,
    /// In percentage points with a sign.
    Change,
    /// How far from r = 0: a value as it is.
    Against,
    /// How often the same as r = 0, in percent.
    Same,
}

const fn figure(
    name: &'static str,
    heading: &'static str,
    form: Form,
    of: fn(&Way) -> Option<Interval>,
) -> Figure {
    Figure { name, heading, form, of }
}

fn of_judged(way: &Way, tally: fn(&Judged) -> Tally) -> Option<Tally> {
    way.judged.as_ref().map(tally)
}

const FIGURES: [Figure; 15] = [
    figure("top1", "accuracy", Form::Share, |way| way.summary.top1.share()),
    figure("top1_change", "change", Form::Change, |way| way.summary.top1.change()),
    figure("top5", "top 5", Form::Share, |way| way.summary.top5.share()),
    figure("top5_change", "change", Form::Change, |way| way.summary.top5.change()),
    figure("probe", "probe", Form::Share, |way| of_judged(way, |judged| judged.probe)?.share()),
    figure("probe_change", "change", Form::Change, |way| of_judged(way, |judged| judged.probe)?.change()),
    figure("refitted", "refitted", Form::Share, |way| of_judged(way, |judged| judged.refitted)?.share()),
    figure("refitted_change", "change", Form::Change, |way| {
        of_judged(way, |judged| judged.refitted)?.change()
    }),
    figure("neighbours", "20 nearest", Form::Share, |way| {
        of_judged(way, |judged| judged.neighbours)?.share()
    }),
    figure("neighbours_change", "change", Form::Change, |way| {
        of_judged(way, |judged| judged.neighbours)?.change()
    }),
    figure("agreement", "same class", Form::Same, |way| way.summary.agreement.share()),
    figure("divergence", "KL, nats", Form::Against, |way| way.summary.divergence.interval()),
    figure("features", "features, 1 - cos", Form::Against, |way| way.summary.features.interval()),
    figure("dense", "dense, squared", Form::Against, |way| way.summary.dense.interval()),
    figure("dense_cosine", "dense, 1 - cos", Form::Against, |way| way.summary.dense_cosine.interval()),
];

impl Report {
    /// One document.
    pub fn json(&self, session: &Session, config: &Config) -> Value {
        let device = session.device();
        let unreadable = self.unreadable.iter().map(|(path, why)| json!({ "image": path, "error": why }));
        json!({
            "arch": config.name,
            "device": device.name,
            "precision": device.precision,
            "why": device.why,
            "tuning": device.tuning.map(|tuning| tuning.to_string()),
            "preprocess": model::described(config),
            "images": self.images,
            "of_an_earlier_run": self.resumed,
            "unreadable": unreadable.collect::<Vec<_>>(),
            "labels": self.labels,
            "batch": self.batch,
            "rows": self.ways.iter().map(row).collect::<Vec<_>>(),
        })
    }

    /// Tables for people: what is right and how fast, then what changes of the results.
    pub fn text(&self, session: &Session, config: &Config) -> String {
        let there = |figure: &&Figure| self.ways.iter().any(|way| (figure.of)(way).is_some());
        // Five of five classes are no news.
        let news = |figure: &&Figure| !figure.name.starts_with("top5") || config.num_classes > 5;
        let (right, differ): (Vec<&Figure>, Vec<&Figure>) = FIGURES
            .iter()
            .filter(there)
            .filter(news)
            .partition(|figure| matches!(figure.form, Form::Share | Form::Change));
        format!(
            "{}, {}, {} images, 95 % intervals\n{}\nagainst r = 0\n{}",
            config.name,
            session.device().name,
            self.images,
            self.table(&right, true),
            self.table(&differ, false)
        )
    }

    fn table(&self, figures: &[&Figure], speed: bool) -> Table {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        let mut header = vec!["r"];
        header.extend(figures.iter().map(|figure| figure.heading));
        if speed {
            header.extend(["tokens left", "images/s", "speed-up", "promised"]);
        }
        table.set_header(header);
        for (at, way) in self.ways.iter().enumerate() {
            let mut row = vec![way.r.clone()];
            // Against itself nothing changes.
            let cell = |figure: &&Figure| match (figure.of)(way) {
                Some(interval) if at > 0 || figure.form == Form::Share => written(interval, figure.form),
                _ => "-".into(),
            };
            row.extend(figures.iter().map(cell));
            if speed {
                row.extend([
                    way.tokens.to_string(),
                    format!("{:.1}", way.timing.images_per_s),
                    format!("{:.2}", way.timing.speedup),
                    format!("{:.2}", way.timing.promised),
                ]);
            }
            table.add_row(row);
        }
        table
    }

    /// Accuracy against speed; what stands for accuracy where there are no labels.
    pub fn plot(&self, config: &Config) -> Plot {
        let choices = [
            ("top1", "accuracy, %", 100.0),
            ("probe", "accuracy of a linear probe fitted without merging, %", 100.0),
            ("agreement", "same class as r = 0, %", 100.0),
            ("features", "features, 1 - cosine to r = 0", 1.0),
            ("dense", "maps, squared distance to r = 0", 1.0),
        ];
        let found = choices.into_iter().find_map(|(name, y, scale)| {
            let figure = FIGURES.iter().find(|figure| figure.name == name)?;
            let intervals: Option<Vec<Interval>> = self.ways.iter().map(figure.of).collect();
            Some((y, scale, intervals?))
        });
        let (y, scale, intervals) = found.unwrap_or_default();
        let dot = |(way, interval): (&Way, Interval)| {
            let [y, low, high] = [interval.estimate, interval.low, interval.high].map(|value| value * scale);
            Dot { name: format!("r {}", way.r), x: way.timing.speedup, y, low, high }
        };
        let dots = self.ways.iter().zip(intervals).map(dot).collect();
        let title = format!("{}, {} images, 95 % intervals", config.name, self.images);
        Plot { title, x: "speed-up, measured", y, dots }
    }
}

fn row(way: &Way) -> Value {
    let Way { r, tokens, summary, timing, .. } = way;
    let mut row = json!({
        "r": r.parse::<u32>().map_or_else(|_| json!(r), |r| json!(r)),
        "tokens_left": tokens,
        "labelled": summary.top1.of,
        "top1_gained": summary.top1.gained,
        "top1_lost": summary.top1.lost,
        "images_per_s": timing.images_per_s,
        "speedup": timing.speedup,
        "promised_speedup": timing.promised,
        "peak_bytes": timing.peak_bytes,
    });
    for figure in &FIGURES {
        let interval = (figure.of)(way).map(
            |interval| json!({ "estimate": interval.estimate, "low": interval.low, "high": interval.high }),
        );
        row[figure.name] = json!(interval);
    }
    row
}

/// An interval for people.
fn written(Interval { estimate, low, high }: Interval, form: Form) -> String {
    let percent = [estimate, low, high].map(|value| value * 100.0);
    match (form, percent) {
        (Form::Share | Form::Same, [estimate, low, high]) => {
            format!("{estimate:.2} % ({low:.2} to {high:.2})")
        }
        (Form::Change, [estimate, low, high]) => format!("{estimate:+.2} ({low:+.2} to {high:+.2})"),
        (Form::Against, _) => format!("{estimate:.2e} ({low:.1e} to {high:.1e})"),
    }
}
