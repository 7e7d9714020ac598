//! `tome infer`

use std::collections::VecDeque;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use safetensors::Dtype;
use tome_wgpu::vit::{Config, Outputs};
use tome_wgpu::{Stream, Want};

use crate::args::{DeviceArgs, MergeArgs, ModelArgs};
use crate::inputs::Inputs;
use crate::model;
use crate::tensor_writer::TensorWriter;

/// Run any number of images and write what comes out as safetensors
///
/// The output appears when all is done; an existing file stays as it is until then, also where the command is
/// interrupted. Memory does not grow with the number of images. An image with NaN in it gives NaN and leaves the others
/// alone.
///
/// Every input has its row, in order. A picture that cannot be read is named in a warning and its row holds NaN, or
/// 4294967295 for indices; the output is written all the same, and the command fails in the end. If no picture can be
/// read nothing is written.
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
    /// Pictures, folders (the pictures directly in them, sorted by name), or one safetensors file with `images`
    /// [B,C,H,W], normalised
    #[arg(long, required = true, num_args = 1.., value_name = "X")]
    input: Vec<PathBuf>,
    /// Where the results go
    #[arg(long, value_name = "OUT.safetensors")]
    output: PathBuf,
    #[command(flatten)]
    merge: MergeArgs,
    /// Images at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    #[command(flatten)]
    device: DeviceArgs,
    /// Which results: logits [B,classes], features [B,C] (pooled, before the head), tokens [B,M,C] (after the last
    /// block, before the final norm), size [B,M], source [B,N] u32 (the final token that holds each original one), dense
    /// [B,H,W,C] (the token that holds each patch of the grid), source_per_block [B,blocks,N] u32 (the token that holds
    /// each original one after each block)
    #[arg(long, value_enum, value_delimiter = ',', default_value = "logits,features,tokens,size,source")]
    want: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    Logits,
    Features,
    Tokens,
    Size,
    Source,
    Dense,
    #[value(name = "source_per_block")]
    SourcePerBlock,
}

impl Args {
    fn want(&self) -> Want {
        let wants = |part| self.want.contains(&part);
        Want {
            logits: wants(Part::Logits),
            features: wants(Part::Features),
            tokens: wants(Part::Tokens),
            size: wants(Part::Size),
            source: wants(Part::Source),
            dense: wants(Part::Dense),
            source_per_block: wants(Part::SourcePerBlock),
        }
    }
}

impl Part {
    /// Name, type and shape in the output.
    fn tensor(self, images: usize, merged: usize, config: &Config) -> (String, Dtype, Vec<usize>) {
        let [channels, tokens, blocks] =
            [config.embed_dim, config.tokens(), config.depth].map(|n| n as usize);
        let [rows, columns] = config.grid().map(|n| n as usize);
        let (name, dtype, shape) = match self {
            Part::Logits => ("logits", Dtype::F32, vec![images, config.outputs() as usize]),
            Part::Features => ("features", Dtype::F32, vec![images, channels]),
            Part::Tokens => ("tokens", Dtype::F32, vec![images, merged, channels]),
            Part::Size => ("size", Dtype::F32, vec![images, merged]),
            Part::Source => ("source", Dtype::U32, vec![images, tokens]),
            Part::Dense => ("dense", Dtype::F32, vec![images, rows, columns, channels]),
            Part::SourcePerBlock => ("source_per_block", Dtype::U32, vec![images, blocks, tokens]),
        };
        (name.into(), dtype, shape)
    }
}

pub fn run(args: &Args, quiet: bool) -> Result<()> {
    let mut session = model::start(&args.model, &args.device)?;
    let config = session.config().clone();
    let mut inputs = Inputs::open(&args.input, &config)?;
    let (options, want) = (args.merge.options(&config), args.want());
    let merged = options.tokens_per_block(&config).last().map_or(0, |&tokens| tokens as usize);
    let mut parts: Vec<Part> = Vec::new();
    for part in &args.want {
        if !parts.contains(part) {
            parts.push(*part);
        }
    }
    let count = inputs.count();
    let tensors = parts.iter().map(|part| part.tensor(count, merged, &config)).collect();
    let mut writer = TensorWriter::create(&args.output, tensors)?;

    let progress = if quiet { ProgressBar::hidden() } else { ProgressBar::new(count as u64) };
    progress.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} images, {per_sec}, {eta} left")?);
    let mut unreadable = 0;
    let mut stream = session.stream(&options, want);
    // Of each batch on its way.
    let mut without_picture: VecDeque<Vec<usize>> = VecDeque::new();
    let mut receive = |stream: &mut Stream<'_>, without_picture: Option<Vec<usize>>| -> Result<()> {
        let (Some(mut outputs), Some(images)) = (stream.pop()?, without_picture) else { return Ok(()) };
        for &image in &images {
            blank(&mut outputs, image);
        }
        append(&mut writer, &parts, &outputs)?;
        unreadable += images.len();
        progress.inc(outputs.batch as u64);
        Ok(())
    };
    for start in (0..count).step_by(args.batch as usize) {
        let images = inputs.read(start..count.min(start + args.batch as usize), &config)?;
        if stream.is_full() {
            receive(&mut stream, without_picture.pop_front())?;
        }
        stream.push(images.values())?;
        without_picture.push_back(images.unreadable);
    }
    while !without_picture.is_empty() {
        receive(&mut stream, without_picture.pop_front())?;
    }
    progress.finish_and_clear();
    if unreadable == count {
        bail!("none of the {count} images could be read");
    }
    writer.finish()?;
    tracing::info!("{count} images, results in {}", args.output.display());
    if unreadable > 0 {
        bail!(
            "{unreadable} of {count} images could not be read; {} is written, with NaN for them",
            args.output.display()
        );
    }
    Ok(())
}

/// Results for an image that there is none of: NaN, and tokens that there cannot be.
fn blank(outputs: &mut Outputs, image: usize) {
    fn fill<T: Copy>(values: &mut [T], [batch, image]: [usize; 2], nothing: T) {
        let length = values.len() / batch;
        values[image * length..][..length].fill(nothing);
    }
    let row = [outputs.batch, image];
    let Outputs { logits, features, tokens, size, source, dense, source_per_block, .. } = outputs;
    for values in [logits, features, tokens, size, dense] {
        fill(values, row, f32::NAN);
    }
    for values in [source, source_per_block] {
        fill(values, row, u32::MAX);
    }
}

fn append(writer: &mut TensorWriter, parts: &[Part], outputs: &Outputs) -> Result<()> {
    for (tensor, part) in parts.iter().enumerate() {
        match part {
            Part::Logits => writer.append(tensor, &outputs.logits)?,
            Part::Features => writer.append(tensor, &outputs.features)?,
            Part::Tokens => writer.append(tensor, &outputs.tokens)?,
            Part::Size => writer.append(tensor, &outputs.size)?,
            Part::Source => writer.append(tensor, &outputs.source)?,
            Part::Dense => writer.append(tensor, &outputs.dense)?,
            Part::SourcePerBlock => writer.append(tensor, &outputs.source_per_block)?,
        }
    }
    Ok(())
}
