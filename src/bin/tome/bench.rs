//! `tome bench`

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use comfy_table::{Table, presets};
use serde_json::{Value, json};
use tome_wgpu::tune::{Bench, KernelTime, Measured, Profile};
use tome_wgpu::vit::{Config, Options};
use tome_wgpu::{Schedule, Session};

use crate::args::{DeviceArgs, ModelArgs};
use crate::merging::{Merging, RuleArgs};
use crate::model;

/// Time a network over batches and r
///
/// r = 0 is always timed, since speed-ups are against it. The runs of different r take turns and medians count,
/// because machines drift. Weights are random unless a network is given; decoding pictures is not timed.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tome bench --arch vit_small_patch16_224 --r 0,13
  tome bench --arch vit_base_patch16_224 --batch 1 --r 13 --profile
  tome bench --model vit_base --batch 1,8,32 --r 0,16,16:-1 --json")]
pub struct Args {
    #[command(flatten)]
    network: ModelArgs,
    /// Images at once, one or more numbers
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "1,8",
          value_parser = clap::value_parser!(u32).range(1..))]
    batch: Vec<u32>,
    /// Schedules to compare: 13, 16:-1 (r : inflection), or what `tome fit` has found, a file or `fitted`
    #[arg(
        long,
        value_name = "R,...",
        value_delimiter = ',',
        default_value = "0,8,13,16",
        allow_hyphen_values = true
    )]
    r: Vec<Merging>,
    #[command(flatten)]
    rule: RuleArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Show where each forward pass spends its time, kernel by kernel, instead
    #[arg(long)]
    profile: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Rounds over all r, as many as the budget allows.
const ROUNDS: std::ops::RangeInclusive<usize> = 3..=25;
pub const BUDGET: Duration = Duration::from_secs(8);

/// The figures of a schedule at a batch.
pub struct Timing {
    pub images_per_s: f64,
    pub speedup: f64,
    pub promised: f64,
    pub peak_bytes: u64,
}

pub fn run(args: &Args) -> Result<()> {
    let (config, weights) = model::load_or_draw(&args.network)?;
    let session = args.device.session(config, &*weights)?;
    drop(weights);
    tracing::info!("{}", session.device());
    if args.profile {
        return profile(&session, args);
    }
    let blocks = session.config().depth as usize;
    let mut ways = ways(args, session.config())?;
    if !ways.iter().any(|(_, way)| way.schedule.is_none(blocks)) {
        ways.insert(0, ("0".into(), Options::for_network(session.config(), Schedule::NONE)));
    }
    let options: Vec<Options> = ways.iter().map(|(_, way)| way.clone()).collect();

    let mut stopwatch = Bench::new(&session);
    let mut rows = Vec::new();
    for &batch in &args.batch {
        let timings = time_ways(&session, &mut stopwatch, batch as usize, &options, BUDGET)?;
        for ((name, way), timing) in ways.iter().zip(timings) {
            let share = stopwatch.merge_share(batch as usize, way)?;
            rows.push((batch, name, timing, share));
        }
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        let rows: Vec<Value> =
            rows.iter().map(|(batch, r, timing, share)| row(&session, *batch, r, timing, *share)).collect();
        writeln!(out, "{}", json!({ "rows": rows }))?;
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["batch", "r", "images/s", "speed-up", "promised", "matching + merging", "memory"]);
    for (batch, r, timing, share) in &rows {
        table.add_row([
            batch.to_string(),
            r.to_string(),
            format!("{:.1}", timing.images_per_s),
            format!("{:.2}", timing.speedup),
            format!("{:.2}", timing.promised),
            share.map_or_else(|| "-".into(), |share| format!("{:.1} %", share * 100.0)),
            indicatif::HumanBytes(timing.peak_bytes).to_string(),
        ]);
    }
    let device = session.device();
    let tuned = device.tuning.map_or_else(String::new, |tuning| format!(", tuned: {tuning}"));
    writeln!(out, "{}, {}{tuned}\n{table}", session.config().name, device.name)?;
    Ok(())
}

/// The ways that are to be timed, by what was given.
fn ways(args: &Args, config: &Config) -> Result<Vec<(String, Options)>> {
    let way =
        |r: &Merging| anyhow::Ok((r.to_string(), args.rule.options(r, config, &args.network)?));
    args.r.iter().map(way).collect()
}

/// A table of kernels for each batch and r.
fn profile(session: &Session, args: &Args) -> Result<()> {
    let mut stopwatch = Bench::new(session);
    let mut out = std::io::stdout().lock();
    let mut documents = Vec::new();
    let ways = ways(args, session.config())?;
    for (&batch, (r, options)) in args.batch.iter().flat_map(|batch| ways.iter().map(move |way| (batch, way))) {
        let Some(Profile { kernels, best_flops, best_bytes, .. }) =
            stopwatch.profile(batch as usize, options)?
        else {
            bail!("{} has no timestamps to profile with", session.device().name);
        };
        let all: f64 = kernels.iter().map(|time| time.seconds).sum();
        let (arch, device) = (session.config().name.clone(), session.device().clone());
        if args.json {
            let kernel = |t: &KernelTime| json!({ "kernel": t.kernel, "calls": t.calls, "seconds": t.seconds, "flops": t.flops, "bytes": t.bytes });
            let kernels: Vec<Value> = kernels.iter().map(kernel).collect();
            documents.push(json!({
                "arch": arch, "device": device.name, "precision": device.precision, "batch": batch,
                "r": r.to_string(), "kernels": kernels, "best_flops": best_flops, "best_bytes": best_bytes,
            }));
            continue;
        }
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header(["kernel", "calls", "ms", "share", "GFLOP/s", "GB/s", "of the roof"]);
        for time in &kernels {
            let [flops, bytes] = [time.flops, time.bytes].map(|work| work as f64 / time.seconds);
            let roof = (flops / best_flops).max(bytes / best_bytes);
            table.add_row([
                time.kernel.into(),
                time.calls.to_string(),
                format!("{:.3}", time.seconds * 1e3),
                format!("{:.1} %", 100.0 * time.seconds / all),
                if time.flops > 0 { format!("{:.1}", flops * 1e-9) } else { "-".into() },
                format!("{:.1}", bytes * 1e-9),
                format!("{:.0} %", 100.0 * roof),
            ]);
        }
        writeln!(out, "{arch}, batch {batch}, r = {r}, {}, {}", device.name, device.precision)?;
        writeln!(out, "{table}")?;
        writeln!(
            out,
            "{:.3} ms in all; the roofs, measured here: {:.1} GFLOP/s in a large product, {:.1} GB/s in a copy\n",
            all * 1e3,
            best_flops * 1e-9,
            best_bytes * 1e-9
        )?;
    }
    if args.json {
        writeln!(out, "{}", json!({ "profiles": documents }))?;
    }
    Ok(())
}

fn row(session: &Session, batch: u32, r: &str, timing: &Timing, merge_share: Option<f64>) -> Value {
    let device = session.device();
    json!({
        "arch": session.config().name,
        "device": device.name,
        "precision": device.precision,
        "why": device.why,
        "tuning": device.tuning.map(|tuning| tuning.to_string()),
        "batch": batch,
        "r": r.parse::<u32>().map_or_else(|_| json!(r), |r| json!(r)),
        "images_per_s": timing.images_per_s,
        "speedup": timing.speedup,
        "promised_speedup": timing.promised,
        "merge_share": merge_share,
        "peak_bytes": timing.peak_bytes,
    })
}

/// Times schedules in turns; one of them merges nothing.
pub fn time(
    session: &Session,
    stopwatch: &mut Bench,
    batch: usize,
    schedules: &[Schedule],
    budget: Duration,
) -> Result<Vec<Timing>> {
    let options: Vec<Options> = schedules.iter().cloned().map(Options::with_schedule).collect();
    time_ways(session, stopwatch, batch, &options, budget)
}

/// Times ways of running a network in turns; one of them merges nothing.
pub fn time_ways(
    session: &Session,
    stopwatch: &mut Bench,
    batch: usize,
    options: &[Options],
    budget: Duration,
) -> Result<Vec<Timing>> {
    // The first call warms up, untimed; its length says nothing about the rounds.
    let mut measured: Vec<Vec<Measured>> = vec![Vec::new(); options.len()];
    let mut start = Instant::now();
    for round in 0..=*ROUNDS.end() {
        if round > *ROUNDS.start() && start.elapsed() > budget {
            break;
        }
        for (options, measured) in options.iter().zip(&mut measured) {
            let one = stopwatch.measure(batch, options)?;
            if round > 0 {
                measured.push(one);
            }
        }
        if round == 0 {
            start = Instant::now();
        }
    }
    let blocks = session.config().depth as usize;
    let seconds: Vec<f64> = measured.iter().map(|all| median(all.iter().map(|one| one.seconds))).collect();
    let plain =
        options.iter().position(|way| way.schedule.is_none(blocks)).map_or(f64::NAN, |at| seconds[at]);
    let mut timings = Vec::new();
    for ((options, all), &seconds) in options.iter().zip(&measured).zip(&seconds) {
        timings.push(Timing {
            images_per_s: batch as f64 / seconds,
            speedup: plain / seconds,
            promised: options.promised_speedup(session.config()),
            peak_bytes: all.iter().map(|one| one.peak_bytes).max().unwrap_or(0),
        });
    }
    Ok(timings)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
