//! `tome fit`

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use tome_wgpu::eval::Interval;
use tome_wgpu::fit::{Fit, Objective, Progress, Report, Target};
use tome_wgpu::vit::{Config, Images, Options};
use tome_wgpu::{Schedule, Session};

use crate::args::{DeviceArgs, ModelArgs};
use crate::folders::{self, Kind};
use crate::inputs::load_readable;
use crate::merging::beside;
use crate::pictures::PictureArgs;
use crate::text::shown;
use crate::{model, output};

/// Fit merging to a network, a device and pictures
///
/// Finds how much and how each block merges so that at some speed as little as possible of the network's results is lost. It
/// needs pictures like those that the network will see, 64 or more, and no labels: what is to stay as it is are the results
/// without merging. What a block takes is measured on the device for every number of tokens, and kept. A third of the
/// pictures is held out: the list on the screen is about them, and the way of the fewest parameters that is within one
/// standard error of the best is chosen.
///
/// `--r fitted` in other commands takes up the file beside the network, `--r FILE.json` any other. An interrupted fit goes
/// on where it was.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tome fit --model vit_base --images photos --target 1.6x
  tome fit --model vit_base --images photos --target error:0.01 --want features --cost flops
  tome classify cat.jpg --model vit_base --r fitted")]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Pictures, or folders of them
    #[arg(long, required = true, num_args = 1.., value_name = "X")]
    images: Vec<PathBuf>,
    /// Look into the folders in folders too
    #[arg(long)]
    recursive: bool,
    /// The most pictures; of more, as many at even distances
    #[arg(long, value_name = "N", default_value_t = 192, value_parser = clap::value_parser!(u32).range(6..))]
    limit: u32,
    /// So many times the speed, milliseconds for a batch, images a second, or the most that may be lost
    #[arg(long, value_name = "2x|30ms|500/s|error:0.01")]
    target: Target,
    /// What a pass takes: measured on the device, or counted in multiply-adds
    #[arg(long, value_enum, default_value = "measured")]
    cost: CostName,
    /// Images at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// What is to stay as it is: features (1 - cosine), dense (relative squared distance), logits (KL divergence); of
    /// several each counts in parts of what ToMe's constant r loses. Without it logits, or features where there are no classes
    #[arg(long, value_name = "features|dense|logits", value_delimiter = ',')]
    want: Vec<Objective>,
    /// Ways to merge that are tried at most
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..))]
    tries: u32,
    /// What the choice of held-out pictures and the order of trials start from
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Where the fit goes; without it `fitted.json` beside the network
    #[arg(long, value_name = "F.json")]
    out: Option<PathBuf>,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pictures: PictureArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum CostName {
    Measured,
    Flops,
}

pub fn run(args: &Args, quiet: bool) -> Result<()> {
    let out = args.out.clone().map_or_else(|| beside(&args.model), Ok).context("give --out")?;
    let mut log = out.clone().into_os_string();
    log.push(".tried");
    let session = model::start(&args.model, &args.pictures, &args.device)?;
    let config = session.config().clone();
    let mut file = output::beside(&out)?;
    let (images, left_out) = read(args, &config)?;

    let fit = {
        let mut fit = Fit::new(args.target);
        fit.wants = args.want.clone();
        fit.measured = args.cost == CostName::Measured;
        fit.batch = args.batch as usize;
        fit.most = args.tries as usize;
        fit.seed = args.seed;
        fit.log = Some(log.clone().into());
        fit
    };
    let bar =
        if quiet || !std::io::stderr().is_terminal() { ProgressBar::hidden() } else { ProgressBar::new(1) };
    bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}, {elapsed} so far")?);
    let base = Options::for_network(&config, Schedule::NONE);
    let report = fit.run(&session, images.as_images(), &base, &mut |progress: Progress| {
        bar.set_length(progress.most as u64);
        bar.set_position(progress.tried.min(progress.most) as u64);
        let best = progress.best.map_or_else(String::new, |best| format!(", best {best:.4}"));
        bar.set_message(format!("{}{best}", progress.stage));
    });
    bar.finish_and_clear();
    let report = report?;

    let text = serde_json::to_string_pretty(&report.fitted.to_json())?;
    writeln!(file, "{text}").with_context(|| format!("{}: cannot be written", shown(&out)))?;
    output::put(file, &out)?;
    // It is of use to an interrupted fit only.
    _ = std::fs::remove_file(&log);
    print(args, &session, &report)?;
    tracing::info!("in {}; take it up by --r {}", shown(&out), shown(&out));
    if left_out > 0 {
        bail!("{left_out} pictures could not be read and are not part of the fit");
    }
    Ok(())
}

/// Pictures or clips as pixels, or sounds as values.
enum Shown {
    Pixels(Vec<u8>),
    Values(Vec<f32>),
}

impl Shown {
    fn as_images(&self) -> Images<'_> {
        match self {
            Shown::Pixels(pixels) => pixels.into(),
            Shown::Values(values) => values.into(),
        }
    }
}

/// All inputs that can be read, and how many cannot.
fn read(args: &Args, config: &Config) -> Result<(Shown, usize)> {
    let kind = Kind::of(config);
    let mut paths = folders::inputs(&args.images, args.recursive, kind)?;
    let (count, limit) = (paths.len(), args.limit as usize);
    if count > limit {
        tracing::info!("{limit} of {count} {}, at even distances; --limit says how many", kind.name());
        paths = (0..limit).map(|i| paths[i * count / limit].clone()).collect();
    }
    let images = load_readable(&paths, config);
    for (_, why) in &images.unreadable {
        tracing::warn!("{why}; it is left out");
    }
    let unreadable: Vec<usize> = images.unreadable.iter().map(|(place, _)| *place).collect();
    let kept = match images.values() {
        Images::Pixels(pixels) => Shown::Pixels(without(&unreadable, pixels, config)),
        Images::Normalised(values) => Shown::Values(without(&unreadable, values, config)),
        _ => bail!("{} are pixels or values", kind.name()),
    };
    Ok((kept, unreadable.len()))
}

/// Inputs without those at some places.
fn without<T: Copy>(unreadable: &[usize], values: &[T], config: &Config) -> Vec<T> {
    let inputs = values.chunks(config.image_values()).enumerate();
    inputs.filter(|(place, _)| !unreadable.contains(place)).flat_map(|(_, input)| input).copied().collect()
}

fn print(args: &Args, session: &Session, report: &Report) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if args.json {
        let mut document = report.to_json();
        document["fitted"] = report.fitted.to_json();
        writeln!(out, "{document}")?;
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let wants = report.wants.iter().map(ToString::to_string);
    let header = ["way".to_owned()].into_iter().chain(wants);
    table.set_header(header.chain(["of ToMe's".into(), "promised".into(), "measured".into(), "r".into()]));
    for (i, row) in report.rows.iter().enumerate() {
        let chosen = i == report.chosen;
        let name = if chosen { format!("{} *", row.name) } else { row.name.clone() };
        let errors = row.errors.iter().map(|error| format!("{:.4}", error.estimate));
        let of_tome = if i == 0 { "1".into() } else { span(&report.of_tome(row)) };
        let times = |times: Option<f64>| times.map_or_else(|| "-".into(), |times| format!("{times:.2}x"));
        let ends = [of_tome, times(Some(row.promised)), times(row.speedup), row.options.schedule.to_string()];
        table.add_row([name].into_iter().chain(errors).chain(ends));
    }
    let [fitted, held] = report.pictures;
    let cost = if report.measured { "measured" } else { "counted" };
    writeln!(
        out,
        "{}, {}, batch {}: fitted to {fitted} pictures; what is lost on {held} others, mean a picture, at the same {cost} cost",
        session.config().name,
        session.device().name,
        args.batch
    )?;
    let rule = report.fitted.options.rule(0);
    writeln!(out, "{table}")?;
    writeln!(
        out,
        "* {}; metric {}, similarity {}, by size {}, merged by {}, proportional attention {}",
        report.verdict,
        rule.metric,
        rule.similarity,
        rule.by_size,
        rule.merge,
        if report.fitted.options.prop_attn { "on" } else { "off" }
    )?;
    Ok(())
}

/// A ratio and its 95 % interval.
fn span(interval: &Interval) -> String {
    let Interval { estimate, low, high } = interval;
    format!("{estimate:.2} [{low:.2}, {high:.2}]")
}
