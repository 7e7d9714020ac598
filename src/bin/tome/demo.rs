//! `tome demo`, and `tome` alone

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use comfy_table::{Table, presets};
use tome_wgpu::files::fit;
use tome_wgpu::tune::Bench;
use tome_wgpu::vit::{Options, Output};
use tome_wgpu::{Schedule, Session};

use crate::args::DeviceArgs;
use crate::{bench, digits, output, paint};

/// Accuracy and speed against r on the built-in digits, and a picture of what merges
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Where the merge picture goes
    #[arg(long, value_name = "P.png", default_value = "tome-merge.png")]
    out: PathBuf,
}

const R: [u32; 7] = [0, 4, 8, 12, 16, 20, 24];
/// Images at once, in accuracy and in timing; on a slow device as many as take a quarter of a second.
const BATCH: usize = 50;
const TIMING: Duration = Duration::from_secs(8);
/// For accuracy: a slow device takes as many of the images as it manages, so that the demo stays below a minute.
const ACCURACY: Duration = Duration::from_secs(20);
/// The digits in the picture: the first held-out one of each.
const SHOWN: [usize; 4] = [0, 3, 5, 8];

pub fn run(args: &Args) -> Result<()> {
    let file = output::beside(&args.out)?;
    let mut out = std::io::stdout().lock();
    let (config, weights) = digits::network()?;
    let session = args.device.session(config, &weights)?;
    let config = session.config().clone();
    writeln!(out, "Runs on {}", session.device())?;

    let mut pictures = Vec::new();
    let mut images = Vec::new();
    let mut labels = Vec::new();
    for (picture, label) in digits::held_out()? {
        let picture = fit(picture, &config)?;
        images.extend_from_slice(picture.as_bytes());
        pictures.push(picture);
        labels.push(label);
    }
    let schedules = R.map(Schedule::Constant);
    let mut stopwatch = Bench::new(&session);
    let one = stopwatch.measure(1, &Options::default())?.seconds;
    let batch = ((0.25 / one) as usize).clamp(5, BATCH);
    let timings = bench::time(&session, &mut stopwatch, batch, &schedules, TIMING)?;
    let seconds_per_image: f64 = timings.iter().map(|timing| 1.0 / timing.images_per_s).sum();
    let manages = (ACCURACY.as_secs_f64() / seconds_per_image) as usize;
    let count = manages.clamp(batch, labels.len()).next_multiple_of(batch).min(labels.len());
    writeln!(
        out,
        "{count} of {} handwritten digits that the network has not seen, {} tokens each",
        labels.len(),
        config.tokens()
    )?;
    let (tested, answers) = (&images[..count * config.image_values()], &labels[..count]);

    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["r", "tokens left", "accuracy", "images/s", "speed-up", "promised by FLOPs"]);
    for (schedule, timing) in schedules.iter().zip(&timings) {
        let options = Options::with_schedule(schedule.clone());
        let right = count_right(&session, batch, tested, answers, &options)?;
        table.add_row([
            schedule.to_string(),
            options.tokens_per_block(&config).last().map_or_else(String::new, u32::to_string),
            format!("{:.1} %", 100.0 * right as f64 / count as f64),
            format!("{:.0}", timing.images_per_s),
            format!("{:.2}x", timing.speedup),
            format!("{:.2}x", timing.promised),
        ]);
    }
    writeln!(out, "{table}")?;

    let mut panels = Vec::new();
    for index in SHOWN.iter().filter_map(|digit| labels.iter().position(|label| label == digit)) {
        panels.push(paint::plain(&pictures[index], &config));
        let values = config.image_values();
        let image = &images[index * values..(index + 1) * values];
        for schedule in &schedules[1..] {
            let options = Options::with_schedule(schedule.clone());
            let outputs = session.run(image, &options, Output::Source)?;
            panels.extend(paint::groups(std::slice::from_ref(&pictures[index]), &outputs.source, &config));
        }
    }
    output::put_png(&paint::sheet(&panels, R.len() as u32), file, &args.out)?;
    writeln!(out, "What merges at each r: {}", args.out.display())?;
    Ok(())
}

fn count_right(
    session: &Session,
    batch: usize,
    images: &[u8],
    labels: &[usize],
    options: &Options,
) -> Result<usize> {
    let values = session.config().image_values();
    let mut right = 0;
    for (images, labels) in images.chunks(batch * values).zip(labels.chunks(batch)) {
        let best = session.classify(images, options, 1)?;
        right += best
            .iter()
            .zip(labels)
            .filter(|(top, label)| top.first().is_some_and(|(class, _)| class == *label))
            .count();
    }
    Ok(right)
}
