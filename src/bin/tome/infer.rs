//! `tome infer`

use std::collections::VecDeque;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use indicatif::{ProgressBar, ProgressStyle};
use tome_wgpu::Stream;
use tome_wgpu::vit::{Config, Output, Want};

use crate::args::{DeviceArgs, ModelArgs};
use crate::inputs::Inputs;
use crate::merging::MergeArgs;
use crate::model;
use crate::pictures::PictureArgs;
use crate::results::Results;
use crate::text::shown;

/// Run any number of images and write what comes out as safetensors
///
/// The output appears when all is done; an existing file stays as it is until then, also where the command is
/// interrupted. Memory does not grow with the number of images. An image with NaN in it gives NaN and leaves the others
/// alone.
///
/// Every input has its row, in order; OUT.jsonl beside the output names them, a line a row, and says with --threshold how many
/// tokens each has left. A picture that cannot be read is
/// named in a warning and its row holds NaN, or 4294967295 for indices; the output is written all the same, and the command
/// fails in the end. If no picture can be read nothing is written.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tome infer --model vit_base --input photos --output features.safetensors --want features --r 13
  tome infer --input a.png b.png --output out.safetensors --r 16:-1
  tome infer --model vit_base --input photos --output maps.safetensors --want dense,source_per_block --r 13
  tome infer --model vit_base --input images.safetensors --output out.safetensors --batch 64")]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Pictures, folders (the pictures directly in them, sorted by name), - for a picture from standard input, or one file of
    /// normalised images [B,C,H,W]: `images` or `pixel_values` of a safetensors file, or an .npy file
    #[arg(long, required = true, num_args = 1.., value_name = "X")]
    input: Vec<PathBuf>,
    /// Look into the folders in folders too
    #[arg(long)]
    recursive: bool,
    /// Where the results go
    #[arg(long, value_name = "OUT.safetensors")]
    output: PathBuf,
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
    /// [B,H,W,C] (the token that holds each patch of the grid), source_per_block [B,blocks,N] u32 (the token that holds
    /// each original one after each block)
    #[arg(long, value_delimiter = ',', default_value = "logits,features,tokens,size,source", value_parser = outputs())]
    want: Vec<Output>,
}

/// Results by their names.
fn outputs() -> impl TypedValueParser<Value = Output> {
    let names = Output::ALL.iter().map(|output| output.name());
    PossibleValuesParser::new(names).map(|name| {
        let named = Output::ALL.iter().find(|output| output.name() == name);
        *named.expect("the parser lets no other name through")
    })
}

pub fn run(args: &Args, quiet: bool) -> Result<()> {
    if args.input.iter().any(|input| model::same(input, &args.output))
        || model::is_part(&args.model, &args.output)
    {
        bail!("{}: is an input or part of the network; give another name", shown(&args.output));
    }
    let session = model::start(&args.model, &args.pictures, &args.device)?;
    let config = session.config().clone();
    let mut inputs = Inputs::open(&args.input, args.recursive, &config)?;
    let options = args.merge.options(&config, &args.model)?;
    let want: Want = args.want.iter().copied().collect();
    let count = inputs.count();
    let mut results = Results::create(&args.output, &inputs, &config, &options, want)?;

    let progress = if quiet { ProgressBar::hidden() } else { ProgressBar::new(count as u64) };
    progress.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} images, {per_sec}, {eta} left")?);
    // The number of an image's tokens is that of those with a size.
    let read = if options.threshold.is_some() { want | Output::Size } else { want };
    let stream = session.stream(&options, read);
    let run = through(stream, &mut inputs, args.batch as usize, &config, &mut results, &progress);
    progress.finish_and_clear();
    if let Err(error) = run {
        return Err(results.keep(error, &inputs, &args.output));
    }
    let unreadable = results.unreadable;
    if unreadable == count {
        bail!("none of the {count} images could be read");
    }
    results.finish()?;
    tracing::info!("{count} images, results in {}", shown(&args.output));
    if unreadable > 0 {
        bail!(
            "{unreadable} of {count} images could not be read; {} is written, with NaN for them",
            shown(&args.output)
        );
    }
    Ok(())
}

/// Sends all images through a network, some batches at a time on their way.
fn through(
    mut stream: Stream,
    inputs: &mut Inputs,
    batch: usize,
    config: &Config,
    results: &mut Results,
    progress: &ProgressBar,
) -> Result<()> {
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
            let images = match inputs.read(range, config) {
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
    failed.map_or(Ok(()), Err)
}
