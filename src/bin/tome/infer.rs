//! `tome infer`

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use indicatif::{ProgressBar, ProgressStyle};
use tome_wgpu::Stream;
use tome_wgpu::vit::{Config, Output, Want};

use crate::args::{DeviceArgs, ModelArgs};
use crate::inputs::Inputs;
use crate::merging::MergeArgs;
use crate::pictures::PictureArgs;
use crate::results::{Results, is_table};
use crate::shard::Shard;
use crate::text::shown;
use crate::{finished, model, table};

/// Run any number of pictures, clips or sounds and write what comes out as safetensors or Parquet
///
/// The output appears when all is done; an existing file stays as it is until then, also where the command is
/// interrupted. Memory does not grow with the number of images. An image with NaN in it gives NaN and leaves the others
/// alone.
///
/// Every input has its row, in order; OUT.jsonl beside the output names them, a line a row, and says with --threshold how many
/// tokens each has left. A picture that cannot be read is
/// named in a warning and its row holds NaN, or 4294967295 for indices; the output is written all the same, and the command
/// fails in the end. If no picture can be read nothing is written.
///
/// A name that ends in .parquet gives a table instead, with the columns path, error and one for each result.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tome infer --model vit_base --input photos --output features.safetensors --want features --r 13
  tome infer --input a.png b.png --output out.safetensors --r 16:-1
  tome infer --model vit_base --input photos --output maps.safetensors --want dense,source_per_block --r 13
  tome infer --model vit_base --input images.safetensors --output out.safetensors --batch 64
  tome infer --model vit_base --input photos --output out.parquet --r 13
  tome infer --model vit_base --input photos --output out/p.parquet --shard 3/16   # out/p-00003-of-00016.parquet")]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Pictures, clips or sounds as the network takes them, folders (those directly in them, sorted by name), - for one from
    /// standard input, or one file of normalised images [B,C,H,W]: `images` or `pixel_values` of a safetensors file, or an .npy
    /// file; of clips [B,T,C,H,W]; of spectrograms `input_values` [B,T,bands]
    #[arg(long, required = true, num_args = 1.., value_name = "X")]
    input: Vec<PathBuf>,
    /// Look into the folders in folders too
    #[arg(long)]
    recursive: bool,
    /// Where the results go
    #[arg(long, value_name = "OUT.safetensors|OUT.parquet")]
    output: PathBuf,
    /// Take the I-th of N shares of the pictures, I from 1 to N, and put its number into the output's name. Which share a
    /// picture is in depends on its path, as it is given, and on N alone. A share that is finished is not run again; one that
    /// was interrupted begins anew
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    #[command(flatten)]
    merge: MergeArgs,
    /// Images at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    #[command(flatten)]
    pictures: PictureArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Which results: logits [B,classes], features [B,C] (pooled, before the head), tokens [B,M,C] (after the last
    /// block, before the final norm), size [B,M], source [B,N] u32 (the final token that holds each original one), dense
    /// [B,H,W,C] (the token that holds each patch of the grid; of pictures of any shape [B,N,C]), source_per_block [B,blocks,N] u32 (the token that holds
    /// each original one after each block) [default: logits,features,tokens,size,source; for Parquet features]
    #[arg(long, value_delimiter = ',', value_parser = outputs())]
    want: Vec<Output>,
}

/// Results where none are named.
const USUAL: [Output; 5] = [Output::Logits, Output::Features, Output::Tokens, Output::Size, Output::Source];

/// Results by their names.
fn outputs() -> impl TypedValueParser<Value = Output> {
    let names = Output::ALL.iter().map(|output| output.name());
    PossibleValuesParser::new(names).map(|name| {
        let named = Output::ALL.iter().find(|output| output.name() == name);
        *named.expect("the parser lets no other name through")
    })
}

pub fn run(args: &Args, quiet: bool) -> Result<()> {
    let output = args.shard.map_or_else(|| args.output.clone(), |shard| shard.output(&args.output));
    if is_table(&output) {
        table::check()?;
    }
    if args.input.iter().any(|input| model::same(input, &output)) || model::is_part(&args.model, &output) {
        bail!("{}: is an input or part of the network; give another name", shown(&output));
    }
    let (config, weights) = model::prepare(&args.model, &args.pictures)?;
    let batch = args.batch as usize;
    let mut inputs = Inputs::open(&args.input, args.recursive, args.shard, &config, batch)?;
    let options = args.merge.options(&config, &args.model)?;
    let want = wanted(&args.want, is_table(&output));
    let count = inputs.count();
    let about = finished::about(&args.model, &args.device, args.shard, &inputs, &config, &options, want);
    if args.shard.is_some()
        && let Some(unreadable) = finished::unreadable(&output, &about, count)?
    {
        tracing::info!("{}: is finished already", shown(&output));
        return tell_unreadable(unreadable, count, &output);
    }
    let session = model::put(config.clone(), &weights, &args.device)?;
    let mut results = Results::create(&output, &inputs, &config, &options, want, about)?;

    let progress = if quiet { ProgressBar::hidden() } else { ProgressBar::new(count as u64) };
    progress.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} images, {per_sec}, {eta} left")?);
    // The number of an image's tokens is that of those with a size.
    let read = if options.threshold.is_some() { want | Output::Size } else { want };
    let stream = session.stream(&options, read);
    let start = Instant::now();
    let run = through(stream, &mut inputs, batch, &config, &mut results, &progress);
    progress.finish_and_clear();
    let waited = match run {
        Ok(waited) => waited,
        // Among the outputs of other shares a part of one would be taken for a whole.
        Err(error) if args.shard.is_some() => {
            return Err(error.context("this share is not written; started again it begins anew"));
        }
        Err(error) => return Err(results.keep(error, &inputs, &output)),
    };
    let unreadable = results.unreadable;
    // A share is there whatever is in it: that all are there is seen by their number.
    if unreadable == count && args.shard.is_none() {
        bail!("none of the {count} images could be read");
    }
    results.finish()?;
    tracing::info!("{count} images, results in {}", shown(&output));
    tell_of_decoding(waited, start.elapsed(), &config);
    tell_unreadable(unreadable, count, &output)
}

/// Which results, where none are named those of a kind of file.
fn wanted(named: &[Output], table: bool) -> Want {
    let usual: &[Output] = if table { &[Output::Features] } else { &USUAL };
    if named.is_empty() { usual } else { named }.iter().copied().collect()
}

/// Fails where images could not be read.
fn tell_unreadable(unreadable: usize, count: usize, output: &Path) -> Result<()> {
    if unreadable > 0 {
        bail!(
            "{unreadable} of {count} images could not be read; {} is written, with NaN for them",
            shown(output)
        );
    }
    Ok(())
}

/// Says so where the device waited for pictures most of the time.
fn tell_of_decoding(waited: Duration, all: Duration, config: &Config) {
    let share = waited.as_secs_f64() / all.as_secs_f64().max(f64::MIN_POSITIVE);
    if share > 0.5 && all.as_secs() >= 10 {
        let hint = if config.preprocess.reduced { "" } else { "; --jpeg reduced may make them come faster" };
        tracing::info!("{:.0} % of the time went by waiting for pictures{hint}", share * 100.0);
    }
}

/// Sends all images through a network, some batches at a time on their way; says how long it waited for images.
fn through(
    mut stream: Stream,
    inputs: &mut Inputs,
    batch: usize,
    config: &Config,
    results: &mut Results,
    progress: &ProgressBar,
) -> Result<Duration> {
    let mut waited = Duration::ZERO;
    // Of each batch on its way.
    let mut unreadable: VecDeque<Vec<(usize, String)>> = VecDeque::new();
    let mut start = 0;
    let mut failed = None;
    while start < inputs.count() || !unreadable.is_empty() {
        if stream.is_full() || start == inputs.count() {
            let outputs = stream.pop()?;
            if let (Some(outputs), Some(unreadable)) = (outputs, unreadable.pop_front()) {
                progress.inc(outputs.batch as u64);
                results.append(outputs, &unreadable, inputs)?;
            }
        } else {
            let range = start..inputs.count().min(start + batch);
            start = range.end;
            let begin = Instant::now();
            let read = inputs.read(range, config);
            waited += begin.elapsed();
            let images = match read {
                Ok(images) => images,
                Err(error) => {
                    // What is on its way is waited for.
                    (failed, start) = (Some(error), inputs.count());
                    continue;
                }
            };
            for (_, why) in &images.unreadable {
                tracing::warn!("{why}; its results are NaN");
            }
            stream.push(images.values())?;
            unreadable.push_back(images.unreadable);
        }
    }
    failed.map_or(Ok(waited), Err)
}
