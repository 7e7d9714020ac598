//! `tome visualize`

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Result, bail};
use image::{DynamicImage, RgbImage};
use tome_wgpu::Session;
use tome_wgpu::vit::{Config, Options, Output};

use crate::args::{DeviceArgs, ModelArgs};
use crate::merging::MergeArgs;
use crate::pictures::PictureArgs;
use crate::{inputs, model, output, paint};

/// Paint which patches of a picture merge
///
/// Each group of merged patches gets its mean colour and an outline. The picture is resized and cropped as the
/// network sees it, and enlarged where patches are small.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tome visualize models/digits/digit_3.png --r 16 --out merged.png
  tome visualize cat.jpg --model vit_base --r 16:-1 --out merged.png --strip")]
pub struct Args {
    /// The picture, or - for standard input
    image: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    merge: MergeArgs,
    /// The PNG to write
    #[arg(long, value_name = "P.png")]
    out: PathBuf,
    /// Show the picture and what is merged after each block, side by side
    #[arg(long)]
    strip: bool,
    #[command(flatten)]
    pictures: PictureArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Panels in a row of the strip.
const COLUMNS: u32 = 7;

pub fn run(args: &Args) -> Result<()> {
    if args.out.extension().is_none_or(|suffix| !suffix.eq_ignore_ascii_case("png")) {
        bail!("{}: the picture is written as PNG; give a name that ends in .png", args.out.display());
    }
    if model::same(&args.image, &args.out) {
        bail!("{}: is the picture itself; give another name", args.out.display());
    }
    let file = output::beside(&args.out)?;
    let session = model::start(&args.model, &args.pictures, &args.device)?;
    let config = session.config().clone();
    let picture = inputs::load(&args.image, &config)?;
    let options = args.merge.options(&config, &args.model)?;
    let (painted, tokens) = paint(&session, picture, &options, args.strip)?;
    output::put_png(&painted, file, &args.out)?;
    let tokens: Vec<String> = tokens.iter().map(usize::to_string).collect();
    tracing::info!("tokens from block to block: {}; painted in {}", tokens.join(" "), args.out.display());
    Ok(())
}

/// Paints what merges of a picture that is of the network's size, all at the end or block by block; also gives the tokens
/// from block to block.
pub fn paint(
    session: &Session,
    picture: DynamicImage,
    options: &Options,
    strip: bool,
) -> tome_wgpu::Result<(RgbImage, Vec<usize>)> {
    let config = session.config();
    let outputs = session.run(picture.as_bytes(), options, [Output::Source, Output::SourcePerBlock])?;
    let picture = as_people_see_it(picture, config);
    let maps = outputs.source_per_block.chunks(config.tokens() as usize);
    let painted = if strip {
        let merged = maps.clone().map(|source| paint::groups(&picture, source, config));
        let panels: Vec<_> = std::iter::once(paint::plain(&picture, config)).chain(merged).collect();
        paint::sheet(&panels, COLUMNS)
    } else {
        paint::groups(&picture, &outputs.source, config)
    };
    // Each holds some original token.
    let held = |source: &[u32]| source.iter().collect::<BTreeSet<_>>().len();
    Ok((painted, std::iter::once(config.tokens() as usize).chain(maps.map(held)).collect()))
}

/// Red first, whatever the network reads first.
fn as_people_see_it(mut picture: DynamicImage, config: &Config) -> DynamicImage {
    if let (true, DynamicImage::ImageRgb8(pixels)) = (config.preprocess.bgr, &mut picture) {
        pixels.pixels_mut().for_each(|pixel| pixel.0.swap(0, 2));
    }
    picture
}
