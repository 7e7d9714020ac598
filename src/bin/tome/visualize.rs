//! `tome visualize`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use image::{DynamicImage, GrayImage, RgbImage, imageops};
use tome_wgpu::Session;
use tome_wgpu::vit::{Config, Images, Options, Output};

use crate::args::{DeviceArgs, ModelArgs};
use crate::folders::Kind;
pub use crate::inputs::Seen;
use crate::merging::MergeArgs;
use crate::pictures::PictureArgs;
use crate::text::shown;
use crate::{inputs, model, output, paint};

/// Paint which patches of a picture, a clip or a sound merge
///
/// Each group of merged patches gets its mean colour and an outline. The picture is resized and cropped as the
/// network sees it, and enlarged where patches are small; of a network that takes pictures of any shape it keeps its own. A clip becomes an animation of the frames that the network sees, in
/// which a group has one colour through time; a sound its spectrogram, low tones at the bottom.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tome visualize models/digits/digit_3.png --r 16 --out merged.png
  tome visualize cat.jpg --model vit_base --r 16:-1 --out merged.png --strip
  tome visualize clip.gif --model videomae-base-finetuned-kinetics --r 65 --out merged.gif
  tome visualize bird.wav --model ast-finetuned-audioset-10-10-0.4593 --r 40 --out merged.png")]
pub struct Args {
    /// The picture, clip (a file, or a folder of frames) or sound, or - for standard input
    image: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    merge: MergeArgs,
    /// The PNG to write; of a clip an animated PNG, or a GIF, whose frames have 256 colours
    #[arg(long, value_name = "P.png|P.gif")]
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
    let (config, weights) = model::prepare(&args.model, &args.pictures)?;
    let kind = Kind::of(&config);
    let gif = ends_in(&args.out, "gif");
    match kind {
        Kind::Clips if gif || ends_in(&args.out, "png") => {}
        Kind::Clips => bail!(
            "{}: clips are written as animated PNG or GIF; give a name that ends in .png or .gif",
            shown(&args.out)
        ),
        _ if ends_in(&args.out, "png") => {}
        _ => bail!("{}: the picture is written as PNG; give a name that ends in .png", shown(&args.out)),
    }
    if model::same(&args.image, &args.out) {
        bail!("{}: is the input itself; give another name", shown(&args.out));
    }
    let file = output::beside(&args.out)?;
    let session = model::put(config.clone(), &weights, &args.device)?;
    drop(weights);
    let seen = inputs::load(&args.image, &config)?;
    let options = args.merge.options(&config, &args.model)?;
    let (painted, tokens) = paint(&session, seen, &options, args.strip)?;
    match &painted[..] {
        [picture] => output::put_png(picture, file, &args.out)?,
        frames if gif => output::put_gif(frames, file, &args.out)?,
        frames => output::put_apng(frames, file, &args.out)?,
    }
    let tokens: Vec<String> = tokens.iter().map(usize::to_string).collect();
    tracing::info!("tokens from block to block: {}; painted in {}", tokens.join(" "), shown(&args.out));
    Ok(())
}

fn ends_in(path: &Path, suffix: &str) -> bool {
    path.extension().is_some_and(|own| own.eq_ignore_ascii_case(suffix))
}

/// Paints what merges of what a network is shown, all at the end or block by block: a picture for each frame. Also gives the
/// tokens from block to block.
pub fn paint(
    session: &Session,
    seen: Seen,
    options: &Options,
    strip: bool,
) -> tome_wgpu::Result<(Vec<RgbImage>, Vec<usize>)> {
    let (config, all) = (&shown_to(session.config(), &seen), session.config().tokens());
    let run = |images: Images<'_>| session.run(images, options, [Output::Source, Output::SourcePerBlock]);
    let (outputs, frames) = match seen {
        Seen::Picture(picture) => (run(picture.as_bytes().into())?, vec![as_people_see_it(picture, config)]),
        Seen::Clip(frames) => {
            let pixels: Vec<u8> = frames.iter().flat_map(DynamicImage::as_bytes).copied().collect();
            let outputs = run(Images::Pixels(&pixels))?;
            (outputs, frames.into_iter().map(|frame| as_people_see_it(frame, config)).collect())
        }
        Seen::Packed(packed) => {
            (run(Images::Normalised(&packed.values))?, vec![as_people_see_it(packed.picture, config)])
        }
        Seen::Sound(values) => (run(Images::Normalised(&values))?, vec![spectrogram(&values, config)]),
    };
    let upright = |panels: Vec<RgbImage>| match &config.sound {
        Some(sound) if sound.time_first => panels.iter().map(imageops::rotate270).collect(),
        Some(_) => panels.iter().map(imageops::flip_vertical).collect(),
        None => panels,
    };
    // What is behind a picture's own patches is padding.
    let own = |source: &[u32]| source[..config.tokens() as usize].to_vec();
    let maps = outputs.source_per_block.chunks(all as usize).map(own);
    let painted = if strip {
        let plain = frames.iter().map(|frame| paint::plain(frame, config)).collect();
        let merged = maps.clone().map(|source| paint::groups(&frames, &source, config));
        let stages: Vec<Vec<RgbImage>> = std::iter::once(plain).chain(merged).map(upright).collect();
        let panels = |frame: usize| stages.iter().map(|stage| stage[frame].clone()).collect::<Vec<_>>();
        (0..frames.len()).map(|frame| paint::sheet(&panels(frame), COLUMNS)).collect()
    } else {
        upright(paint::groups(&frames, &own(&outputs.source), config))
    };
    // Each holds some original token.
    let held = |source: Vec<u32>| source.into_iter().collect::<BTreeSet<_>>().len();
    Ok((painted, std::iter::once(config.tokens() as usize).chain(maps.map(held)).collect()))
}

/// The network as one of inputs of one shape, that of a picture of any.
fn shown_to(config: &Config, seen: &Seen) -> Config {
    let Seen::Packed(packed) = seen else { return config.clone() };
    let size = [packed.picture.height(), packed.picture.width()];
    config.clone().with(|config| (config.packed, config.image_size) = (None, size))
}

/// Values from black for the least to white for the most, as the network sees them: the lowest band on top, or on the left.
fn spectrogram(values: &[f32], config: &Config) -> DynamicImage {
    let least = values.iter().copied().fold(f32::INFINITY, f32::min);
    let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let [height, width] = config.image_size;
    let grey = |x: u32, y: u32| {
        let share = (values[(y * width + x) as usize] - least) / (most - least).max(f32::MIN_POSITIVE);
        image::Luma([(share * 255.0) as u8])
    };
    GrayImage::from_fn(width, height, grey).into()
}

/// Red first, whatever the network reads first.
fn as_people_see_it(mut picture: DynamicImage, config: &Config) -> DynamicImage {
    if let (true, DynamicImage::ImageRgb8(pixels)) = (config.preprocess.bgr, &mut picture) {
        pixels.pixels_mut().for_each(|pixel| pixel.0.swap(0, 2));
    }
    picture
}
