//! The ablations of the paper on a network and pictures of one's own: Table 1 (which features, distance, combination and
//! partition, and whether attention is proportional), Table 2 (matching) and the figure of schedules, in one table. On
//! the CPU path, which runs all of them, unless `--device` names another.
//!
//! cargo bench --bench ablations -- --model models/clutter --images models/clutter/heldout --labels folder-names --r 24

mod choices;
mod pictures;
mod schedules;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use comfy_table::{Table, presets};
use tome_wgpu::eval::{Interval, Summary, compare};
use tome_wgpu::files::load_model;
use tome_wgpu::tune::Bench;
use tome_wgpu::vit::{Output, Want};
use tome_wgpu::{DeviceChoice, Error, Session};

use choices::Row;
use pictures::Pictures;

/// Run the paper's ablations of token merging on a network
#[derive(Parser)]
struct Args {
    /// Folder or checkpoint of the network; the built-in digits without it
    #[arg(long, requires = "images")]
    model: Option<PathBuf>,
    /// Folder of pictures, also those in folders within; the held-out digits without it
    #[arg(long, requires = "model")]
    images: Option<PathBuf>,
    /// The source of the pictures' classes; without it the accuracy stays open
    #[arg(long, requires = "images")]
    labels: Option<Labels>,
    /// Height and width of the input in pixels, where it is not the network's own
    #[arg(long)]
    image_size: Option<u32>,
    /// Tokens merged in each block; schedules compute as much as this one
    #[arg(long, default_value_t = 16)]
    r: u32,
    /// Device to run on: auto, cpu, an adapter's number or a part of its name
    #[arg(long, default_value = "cpu")]
    device: DeviceChoice,
    /// Images at once
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Passes of each row that are timed, in turns; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// One batch and one round: whether all of it runs
    #[arg(long)]
    test: bool,
    /// What `cargo bench` says to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Labels {
    /// The name of the folder that a picture is in: a class's name or number
    FolderNames,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let folder = args.model.clone().unwrap_or_else(pictures::digits);
    let (mut config, mut weights) = load_model(&folder, None)?;
    if let Some(size) = args.image_size {
        weights.resample_positions(&mut config, [size, size])?;
    }
    let pictures = match &args.images {
        Some(images) => Pictures::of_folder(images, &config, args.labels.is_some())?,
        None => Pictures::of_digits()?,
    };
    let session = Session::new(config, &weights, &args.device)?;
    drop(weights);
    let mut rows = choices::rows(session.config(), args.r)?;
    let left_out = leave_out(&session, &mut rows)?;
    let (batch, rounds) = (args.batch as usize, if args.test { 1 } else { args.rounds });
    let count = if args.test { batch.min(pictures.len()) } else { pictures.len() };

    let summaries = merged_and_not(&session, &pictures, &rows, batch, count)?;
    let seconds = times(&session, &rows, batch, rounds)?;
    println!(
        "{}, {count} pictures, r = {} of {} blocks, {}",
        session.config().name,
        args.r,
        session.config().depth,
        session.device()
    );
    println!("{}", table(&session, &rows, &summaries, &seconds));
    left_out.iter().for_each(|row| println!("Left out: {row}"));
    if args.test {
        check(&session, &rows, &summaries)?;
    }
    Ok(())
}

/// Takes out the rows that the network or the device cannot run, and says why.
fn leave_out(session: &Session, rows: &mut Vec<Row>) -> Result<Vec<String>> {
    let image = vec![0.0; session.config().image_values()];
    let mut left_out = Vec::new();
    for row in std::mem::take(rows) {
        match session.run(&image, &row.options, Want::NONE) {
            Ok(_) => rows.push(row),
            // Without the first there is nothing to compare with.
            Err(why @ (Error::Unsupported { .. } | Error::Input(_))) if !rows.is_empty() => {
                left_out.push(format!("{row}: {why}"));
            }
            Err(error) => return Err(error).with_context(|| row.to_string()),
        }
    }
    Ok(left_out)
}

/// How far each row's results are from those without merging, which the first row has.
fn merged_and_not(
    session: &Session,
    pictures: &Pictures,
    rows: &[Row],
    batch: usize,
    count: usize,
) -> Result<Vec<Summary>> {
    let config = session.config();
    let want = Want::from([Output::Logits, Output::Features, Output::Dense]);
    let mut summaries = vec![Summary::default(); rows.len()];
    for start in (0..count).step_by(batch) {
        let (pixels, labels) = pictures.some(start..count.min(start + batch), config)?;
        let plain = session.run(&pixels, &rows[0].options, want)?;
        let reference = compare(config, &plain, &plain, &labels)?;
        for (row, summary) in rows.iter().zip(&mut summaries) {
            let other = session.run(&pixels, &row.options, want).with_context(|| row.to_string())?;
            let others = compare(config, &plain, &other, &labels)?;
            reference.iter().zip(&others).for_each(|(plain, other)| summary.push(plain, other));
        }
    }
    Ok(summaries)
}

/// The median time of each row's forward pass; rows take turns, because machines drift.
fn times(session: &Session, rows: &[Row], batch: usize, rounds: u32) -> Result<Vec<f64>> {
    let mut stopwatch = Bench::new(session);
    let mut all = vec![Vec::new(); rows.len()];
    for _ in 0..rounds {
        for (row, seconds) in rows.iter().zip(&mut all) {
            seconds.push(stopwatch.measure(batch, &row.options)?.seconds);
        }
    }
    let median = |mut seconds: Vec<f64>| {
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    };
    Ok(all.into_iter().map(median).collect())
}

fn table(session: &Session, rows: &[Row], summaries: &[Summary], seconds: &[f64]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header([
        "what",
        "choice",
        "accuracy",
        "change",
        "features, 1 - cosine",
        "dense features, distance",
        "promised",
        "measured",
    ]);
    let open = || "-".to_owned();
    let of = |value: Option<Interval>| value.map(|interval| interval.estimate);
    for ((row, summary), own) in rows.iter().zip(summaries).zip(seconds) {
        table.add_row([
            row.what.to_owned(),
            row.choice.clone(),
            of(summary.top1.share()).map_or_else(open, |share| format!("{:.1} %", 100.0 * share)),
            summary.top1.change().map_or_else(open, |change| {
                let [from, estimate, to] =
                    [change.low, change.estimate, change.high].map(|share| 100.0 * share);
                format!("{estimate:+.1} ({from:+.1} to {to:+.1})")
            }),
            of(summary.features.interval()).map_or_else(open, |value| format!("{value:.4}")),
            of(summary.dense.interval()).map_or_else(open, |value| format!("{value:.3}")),
            format!("{:.2}", row.options.promised_speedup(session.config())),
            format!("{:.2}", seconds[0] / own),
        ]);
    }
    table
}

/// That the first row is the reference itself, that merging changes something, and that no number is lost on the way.
fn check(session: &Session, rows: &[Row], summaries: &[Summary]) -> Result<()> {
    for (row, summary) in rows.iter().zip(summaries) {
        let apart = summary.dense.interval().context("dense features")?.estimate;
        let merges = row.options.promised_speedup(session.config()) > 1.0;
        ensure!(apart.is_finite(), "{row}: dense features are {apart} apart");
        ensure!((apart > 0.0) == merges, "{row}: dense features are {apart} apart");
    }
    Ok(())
}
