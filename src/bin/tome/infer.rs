//! `tome infer`

use std::collections::VecDeque;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use indicatif::{ProgressBar, ProgressStyle};
use safetensors::Dtype;
use tome_wgpu::Stream;
use tome_wgpu::vit::{Config, Output, Outputs, ValueKind, Values, ValuesMut, Want};

use crate::args::{DeviceArgs, MergeArgs, ModelArgs};
use crate::inputs::Inputs;
use crate::model;
use crate::pictures::PictureArgs;
use crate::rows::Rows;
use crate::tensor_writer::TensorWriter;
use crate::text::shown;

/// Run any number of images and write what comes out as safetensors
///
/// The output appears when all is done; an existing file stays as it is until then, also where the command is
/// interrupted. Memory does not grow with the number of images. An image with NaN in it gives NaN and leaves the others
/// alone.
///
/// Every input has its row, in order; OUT.jsonl beside the output names them, a line a row. A picture that cannot be read is
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

/// Name, type and shape in the file.
fn tensor(output: Output, images: usize, merged: u32, config: &Config) -> (String, Dtype, Vec<usize>) {
    let dtype = match output.kind() {
        ValueKind::F32 => Dtype::F32,
        ValueKind::U32 => Dtype::U32,
    };
    let shape = [images].into_iter().chain(output.shape(config, merged)).collect();
    (output.name().into(), dtype, shape)
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
    let options = args.merge.options(&config);
    let want: Want = args.want.iter().copied().collect();
    let merged = options.tokens_per_block(&config).last().copied().unwrap_or_default();
    let count = inputs.count();
    let mut rows = Rows::create(&args.output)?;
    let tensors = want.outputs().map(|output| tensor(output, count, merged, &config)).collect();
    let mut about = rows.metadata(&inputs);
    about.insert("preprocess".into(), model::described(&config).to_string());
    about.insert("r".into(), args.merge.r.to_string());
    let mut writer = TensorWriter::create(&args.output, tensors, about)?;

    let progress = if quiet { ProgressBar::hidden() } else { ProgressBar::new(count as u64) };
    progress.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} images, {per_sec}, {eta} left")?);
    let mut unreadable = 0;
    let mut stream = session.stream(&options, want);
    // Of each batch on its way.
    let mut without_picture: VecDeque<Vec<usize>> = VecDeque::new();
    let mut receive = |stream: &mut Stream, without_picture: Option<Vec<usize>>| -> Result<()> {
        let (Some(mut outputs), Some(images)) = (stream.pop()?, without_picture) else { return Ok(()) };
        for &image in &images {
            blank(&mut outputs, image);
        }
        append(&mut writer, want, &outputs)?;
        unreadable += images.len();
        progress.inc(outputs.batch as u64);
        Ok(())
    };
    for start in (0..count).step_by(args.batch as usize) {
        let range = start..count.min(start + args.batch as usize);
        let images = inputs.read(range.clone(), &config)?;
        for (_, why) in &images.unreadable {
            tracing::warn!("{why}; its results are NaN");
        }
        rows.append(range.map(|row| inputs.name(row)), &images.unreadable)?;
        if stream.is_full() {
            receive(&mut stream, without_picture.pop_front())?;
        }
        stream.push(images.values())?;
        without_picture.push_back(images.unreadable.into_iter().map(|(place, _)| place).collect());
    }
    while !without_picture.is_empty() {
        receive(&mut stream, without_picture.pop_front())?;
    }
    progress.finish_and_clear();
    if unreadable == count {
        bail!("none of the {count} images could be read");
    }
    rows.finish()?;
    writer.finish()?;
    tracing::info!("{count} images, results in {}", shown(&args.output));
    if unreadable > 0 {
        bail!(
            "{unreadable} of {count} images could not be read; {} is written, with NaN for them",
            shown(&args.output)
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
    for &output in Output::ALL {
        match outputs.get_mut(output) {
            ValuesMut::F32(values) => fill(values, row, f32::NAN),
            ValuesMut::U32(values) => fill(values, row, u32::MAX),
        }
    }
}

fn append(writer: &mut TensorWriter, want: Want, outputs: &Outputs) -> Result<()> {
    for (tensor, output) in want.outputs().enumerate() {
        match outputs.get(output) {
            Values::F32(values) => writer.append(tensor, values)?,
            Values::U32(values) => writer.append(tensor, values)?,
        }
    }
    Ok(())
}
