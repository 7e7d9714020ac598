//! `tome tune`

use std::io::Write;

use anyhow::Result;
use comfy_table::{Table, presets};
use tome_wgpu::tune::{Bench, Tuned};

use crate::args::{DeviceArgs, ModelArgs};
use crate::{digits, model};

/// Measure how this device is best used, and save it
///
/// Times a network's forward pass for each way of cutting its matrix products into tiles. The ways take turns, medians
/// count, and all must compute the same. The fastest is saved for this device, driver and precision if it is more than
/// 2 % faster than what is built in for its kind; all later commands on the device take it up.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tome tune
  tome tune --arch vit_small_patch16_224 --batch 1,32 --precision f16
  tome tune --forget")]
pub struct Args {
    #[command(flatten)]
    network: ModelArgs,
    /// Images at once, one or more numbers, which count alike
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "1,8",
          value_parser = clap::value_parser!(u32).range(1..))]
    batch: Vec<u32>,
    /// How often each way is timed
    #[arg(long, value_name = "N", default_value = "7", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    #[command(flatten)]
    device: DeviceArgs,
    /// Remove what was saved for the device and precision instead
    #[arg(long, conflicts_with_all = ["arch", "model", "image_size", "batch", "rounds"])]
    forget: bool,
}

pub fn run(args: &Args) -> Result<()> {
    if args.forget {
        return forget(args);
    }
    let (config, weights) = model::load_or_draw(&args.network)?;
    let session = args.device.session(config, &*weights)?;
    drop(weights);
    tracing::info!("{}", session.device());
    let batches: Vec<usize> = args.batch.iter().map(|&batch| batch as usize).collect();
    let mut bench = Bench::new(&session);
    let tuned = bench.tune(&batches, args.rounds as usize)?;
    for error in &tuned.excluded {
        tracing::warn!("left out: {error}");
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}, {}\n{}", session.config().name, session.device().name, table(&tuned, args))?;
    match tuned.choice() {
        Some(choice) => {
            let place = bench.save_tuning(choice.tuning)?;
            let less = 100.0 * (1.0 - choice.ratio);
            writeln!(out, "saved: {}, {less:.0} % less time, in {place}", choice.tuning)?;
        }
        None => {
            writeln!(out, "the built-in choice stands: nothing is more than 2 % faster")?;
            // What was measured before may be what has just turned out not to pay.
            if session.device().tuning.is_some() && bench.forget_tuning()? {
                writeln!(out, "what was saved before is removed")?;
            }
        }
    }
    Ok(())
}

fn table(tuned: &Tuned, args: &Args) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let times = args.batch.iter().map(|batch| format!("batch {batch}, ms"));
    table.set_header(["ways to cut".to_owned()].into_iter().chain(times).chain(["of the built-in".into()]));
    for (i, candidate) in tuned.candidates.iter().enumerate() {
        let name = format!("{}{}", candidate.tuning, if i == 0 { " (built in)" } else { "" });
        let times = candidate.seconds.iter().map(|seconds| format!("{:.3}", seconds * 1e3));
        let ratio = format!("{:.3}", candidate.ratio);
        table.add_row([name].into_iter().chain(times).chain([ratio]));
    }
    table
}

fn forget(args: &Args) -> Result<()> {
    let (config, weights) = digits::network()?;
    let session = args.device.session(config, &weights)?;
    let device = session.device();
    let (name, precision) = (&device.name, device.precision);
    let mut out = std::io::stdout().lock();
    match Bench::new(&session).forget_tuning()? {
        true => writeln!(out, "removed what was saved for {name}, {precision}")?,
        false => writeln!(out, "nothing was saved for {name}, {precision}")?,
    }
    Ok(())
}
