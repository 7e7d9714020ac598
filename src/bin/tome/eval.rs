//! `tome eval`

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use indicatif::{ProgressBar, ProgressStyle};
use tome_wgpu::Schedule;
use tome_wgpu::tune::Bench;
use tome_wgpu::vit::{Config, Options, Output, Scores, Want};

use crate::args::{DeviceArgs, ModelArgs};
use crate::evaluation::Evaluation;
use crate::folders::Kind;
use crate::labels::{LabelSource, Labelled};
use crate::merging::{Merging, RuleArgs};
use crate::pictures::PictureArgs;
use crate::report::{Report, Way};
use crate::text::shown;
use crate::{bench, classes, imagenet, model, output, plot};

/// Measure what merging costs in accuracy, on pictures of yours
///
/// Every schedule sees the same pictures, and r = 0 is always among them: each figure is for the schedule as it is, with a
/// 95 % interval, and accuracies also for how much they differ from r = 0, picture by picture. Without labels it is what
/// changes of the results: how often the first class is the same, how far probabilities, features and maps are apart.
///
/// With labels for a network without classes, or with --want features, two things judge its features: the 20 nearest
/// neighbours, each picture left out of its own, and a linear probe, each half of the pictures judged by one that was fitted
/// on the other; once fitted without merging, once with. docs/evaluation.md says what is computed.
///
/// Speed is measured in the same run, by turns, with pictures that are on the device already. A picture that cannot be read
/// is named and left out of all schedules; the command then fails in the end. Memory does not grow with the number of
/// pictures, but for features that are judged.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tome eval --model vit_base --images val --labels folder-names --r 0,8,13,16
  tome eval --model vit_base --images val --labels imagenet --r 13,16:-1 --state val.jsonl --plot val.png
  tome eval --model vit_base --images photos --labels photos.csv --r 0,13 --json
  tome eval --model dinov2 --images photos --want features,dense --r 8,16")]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The folder of the pictures
    #[arg(long, value_name = "FOLDER")]
    images: PathBuf,
    /// What the pictures show: the names of the folders that they are in; a table, path,label a line, with paths from the
    /// images' folder on and labels that are names or numbers of the network's classes; or ImageNet's folders of synsets, or
    /// its validation pictures in one folder with a file of labels
    #[arg(long, value_name = "folder-names|FILE.csv|imagenet[:FILE]")]
    labels: Option<LabelSource>,
    /// Look into the folders in the folder too; where folders are labels that is so
    #[arg(long)]
    recursive: bool,
    /// So many of the pictures, evenly from first to last
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Schedules to compare: 13, 16:-1 (r : inflection), or what `tome fit` has found, a file or `fitted` for the one beside
    /// the network
    #[arg(
        long,
        value_name = "R|fitted|FILE.json,...",
        value_delimiter = ',',
        default_value = "0,8,13,16",
        allow_hyphen_values = true
    )]
    r: Vec<Merging>,
    #[command(flatten)]
    rule: RuleArgs,
    /// Images at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Which results are compared: logits, features (pooled, before the head), dense (maps: the token that holds each patch
    /// of the grid); without it logits where the network has classes, and features
    #[arg(long, value_delimiter = ',', value_parser = outputs())]
    want: Vec<Output>,
    /// Keep each picture's results in this file as they come, and go on from there where it exists
    #[arg(long, value_name = "FILE.jsonl")]
    state: Option<PathBuf>,
    /// Paint accuracy against speed, without labels agreement or features
    #[arg(long, value_name = "P.png")]
    plot: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pictures: PictureArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Results that can be compared.
fn outputs() -> impl TypedValueParser<Value = Output> {
    const ALL: [Output; 3] = [Output::Logits, Output::Features, Output::Dense];
    PossibleValuesParser::new(ALL.map(Output::name)).map(|name| {
        let named = ALL.into_iter().find(|output| output.name() == name);
        named.expect("the parser lets no other name through")
    })
}

pub fn run(args: &Args, quiet: bool) -> Result<()> {
    check_names(args)?;
    let plot = args.plot.as_deref().map(output::beside).transpose()?;
    let (config, weights) = model::prepare(&args.model, &args.pictures)?;
    let mut labelled = Labelled::open(&args.images, args.labels.as_ref(), args.recursive, Kind::of(&config))?;
    if let Some(most) = args.limit {
        labelled.limit(most as usize);
    }
    let session = model::put(config, &weights, &args.device)?;
    drop(weights);
    let mut config = session.config().clone();
    imagenet::name_classes(&mut config);
    let want = wanted(args, &config)?;
    let (names, ways): (Vec<String>, Vec<Options>) = ways(args, &config)?.into_iter().unzip();
    let judge = labelled.names.is_some() && !want.has(Output::Logits);
    let known = match (&labelled.names, judge) {
        (Some(_), false) => Some(classes::find(&labelled.classes, &config)?),
        _ => None,
    };
    if let Some(known) = &known {
        tracing::info!("{} labels, found {}", labelled.classes.len(), known.how);
    }

    let mut evaluation = Evaluation::new(&session, &labelled, &args.images, known.as_ref(), ways, want);
    if let Some(path) = &args.state {
        evaluation.resume(path)?;
    }
    let progress = if quiet { ProgressBar::hidden() } else { ProgressBar::new(labelled.paths.len() as u64) };
    progress.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} images, {per_sec}, {eta} left")?);
    let done = evaluation.run(args.batch as usize, &progress);
    progress.finish_and_clear();
    if let Err(error) = done {
        let (done, count) = (evaluation.so_far.done, labelled.paths.len());
        return Err(match &args.state {
            Some(path) => error.context(format!(
                "{done} of {count} images are done and kept in {}, where the same command goes on",
                shown(path)
            )),
            None => error,
        });
    }
    report(args, evaluation, &names, known.map(|known| known.how), plot)
}

/// Judges, times and prints.
fn report(
    args: &Args,
    evaluation: Evaluation<'_>,
    names: &[String],
    labels: Option<String>,
    plot: Option<tempfile::NamedTempFile>,
) -> Result<()> {
    let session = evaluation.session;
    let config = session.config();
    let (count, resumed) = (evaluation.so_far.done, evaluation.so_far.resumed);
    if evaluation.so_far.unreadable.len() == count {
        bail!("none of the {count} images could be read");
    }
    let judged = evaluation.judge()?;
    let mut judged = judged.into_iter().flatten();
    let mut stopwatch = Bench::new(session);
    let batch = args.batch as usize;
    let timings = bench::time_ways(session, &mut stopwatch, batch, &evaluation.ways, bench::BUDGET)?;
    let Evaluation { ways, so_far, .. } = evaluation;
    let ways = names.iter().zip(&ways).zip(so_far.summaries).zip(timings);
    let ways = ways.map(|(((name, options), summary), timing)| {
        let tokens = options.tokens_per_block(config).last().copied().unwrap_or_default();
        let blocks = config.depth as usize;
        let threshold = options.threshold.is_some() && !options.schedule.is_none(blocks);
        Way { r: name.clone(), tokens, threshold, summary, judged: judged.next(), timing }
    });
    let report = Report {
        ways: ways.collect(),
        images: count - so_far.unreadable.len(),
        resumed,
        unreadable: so_far.unreadable,
        labels,
        batch: args.batch,
    };
    let mut out = std::io::stdout().lock();
    match args.json {
        true => writeln!(out, "{}", report.json(session, config))?,
        false => writeln!(out, "{}", report.text(session, config))?,
    }
    if let (Some(file), Some(path)) = (plot, &args.plot) {
        output::put_png(&plot::paint(&report.plot(config)), file, path)?;
        tracing::info!("painted in {}", shown(path));
    }
    if !report.unreadable.is_empty() {
        bail!("{} of {count} images could not be read and are left out", report.unreadable.len());
    }
    Ok(())
}

/// What is written must not be what is read.
fn check_names(args: &Args) -> Result<()> {
    if let Some(path) = &args.plot
        && path.extension().is_none_or(|suffix| !suffix.eq_ignore_ascii_case("png"))
    {
        bail!("{}: the plot is written as PNG; give a name that ends in .png", shown(path));
    }
    for path in [&args.plot, &args.state].into_iter().flatten() {
        let labels = match &args.labels {
            Some(LabelSource::Csv(file) | LabelSource::ImageNet(Some(file))) => model::same(file, path),
            _ => false,
        };
        if labels || model::is_part(&args.model, path) {
            bail!("{}: is an input or part of the network; give another name", shown(path));
        }
    }
    Ok(())
}

/// The results that are compared.
fn wanted(args: &Args, config: &Config) -> Result<Want> {
    let classes = config.scores != Scores::None;
    if args.want.contains(&Output::Logits) && !classes {
        bail!("--want logits: this network has no classes; features can be compared");
    }
    let mut want: Want = match args.want.as_slice() {
        [] if classes => Want::LOGITS | Output::Features,
        [] => Want::FEATURES,
        given => given.iter().copied().collect(),
    };
    if args.labels.is_some() && !want.has(Output::Logits) {
        want = want | Output::Features;
    }
    Ok(want)
}

/// r = 0, then the others, each with its name.
fn ways(args: &Args, config: &Config) -> Result<Vec<(String, Options)>> {
    let plain = Merging::Schedule(Schedule::NONE);
    let merges = |merging: &&Merging| match merging {
        Merging::Schedule(schedule) => !schedule.is_none(config.depth as usize),
        _ => true,
    };
    let all = [&plain].into_iter().chain(args.r.iter().filter(merges));
    all.map(|merging| {
        let options = args.rule.options(merging, config, &args.model)?;
        options.check(config)?;
        Ok((merging.to_string(), options))
    })
    .collect()
}
