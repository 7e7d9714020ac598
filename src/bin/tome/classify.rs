//! `tome classify`

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use serde_json::json;
use tome_wgpu::Session;
use tome_wgpu::vit::{Options, Output, Scores, Want};

use crate::args::{DeviceArgs, ModelArgs};
use crate::folders::{self, Kind};
use crate::merging::MergeArgs;
use crate::pictures::PictureArgs;
use crate::text::{plain, shown};
use crate::{imagenet, inputs, model};

/// Say what pictures or clips show, or sounds are
///
/// What the network takes its files say: one for video takes GIF, APNG and animated WebP, and folders whose pictures are the
/// frames; one for sound WAV, FLAC and Ogg Vorbis.
///
/// Class names come from the config's label_names and label_descriptions or id2label, from labels.txt beside it, or are
/// ImageNet's where there are as many classes. A picture that cannot be read is named, costs its own line only, and the
/// command fails in the end.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tome classify models/digits/digit_3.png --r 8
  tome classify photos --recursive --model vit_base --top 1
  tome classify clip.gif frames/ --model videomae-base-finetuned-kinetics --r 65
  tome classify bird.wav --model ast-finetuned-audioset-10-10-0.4593 --r 20
  curl -s https://example.org/cat.jpg | tome classify - --model vit_base --json")]
pub struct Args {
    /// Pictures, clips or sounds, folders of them, or - for one from standard input
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Look into the folders in folders too
    #[arg(long)]
    recursive: bool,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    merge: MergeArgs,
    /// How many classes to show
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    #[command(flatten)]
    pictures: PictureArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Inputs decoded and classified at once.
const BATCH: usize = 16;

pub fn run(args: &Args) -> Result<()> {
    let (mut config, weights) = model::prepare(&args.model, &args.pictures)?;
    let kind = Kind::of(&config);
    let paths = folders::inputs(&args.images, args.recursive, kind)?;
    if config.scores == Scores::None {
        bail!("this network has no classes; `tome infer --want features` runs it");
    }
    let session = model::put(config.clone(), &weights, &args.device)?;
    drop(weights);
    imagenet::name_classes(&mut config);
    let config = &config;
    let options = args.merge.options(config, &args.model)?;
    let mut out = std::io::stdout().lock();
    let mut documents = Vec::new();
    let mut unreadable = 0;
    for paths in paths.chunks(BATCH) {
        for (path, top) in paths.iter().zip(classify(&session, paths, &options, args.top as usize)?) {
            let name = shown(path);
            let (top, tokens) = match top {
                Ok(found) => found,
                Err(why) => {
                    unreadable += 1;
                    // Errors of files name them already.
                    tracing::error!("{why}");
                    documents.push(json!({ "image": name, "error": why }));
                    continue;
                }
            };
            if args.json {
                let class = |&(class, probability): &(usize, f32)| json!({ "class": class, "label": model::label(config, class), "probability": probability });
                let mut document = json!({ "image": name, "top": top.iter().map(class).collect::<Vec<_>>() });
                if let Some(tokens) = tokens {
                    document["tokens"] = tokens.into();
                }
                documents.push(document);
                continue;
            }
            match tokens {
                Some(tokens) => writeln!(out, "{}, {tokens} tokens left", plain(&name))?,
                None => writeln!(out, "{}", plain(&name))?,
            }
            for (class, probability) in top {
                writeln!(out, "  {:5.1} %  {}", probability * 100.0, plain(&model::label(config, class)))?;
            }
        }
    }
    if args.json {
        let preprocess = model::described(config);
        writeln!(out, "{}", json!({ "images": documents, "preprocess": preprocess }))?;
    }
    if unreadable > 0 {
        bail!("{unreadable} of {} {} could not be read", paths.len(), kind.name());
    }
    Ok(())
}

/// The best classes of an image, with the tokens that it has left where their number is its own; or why there are none.
type Top = Result<(Vec<(usize, f32)>, Option<usize>), String>;

fn classify(session: &Session, paths: &[PathBuf], options: &Options, top: usize) -> Result<Vec<Top>> {
    let images = inputs::load_readable(paths, session.config());
    let counts = options.threshold.is_some();
    let want = if counts { Want::LOGITS | Output::Size } else { Want::LOGITS };
    let outputs = session.run(images.values(), options, want)?;
    let scores = session.config().scores;
    let of = |image| {
        let classes = outputs.classes_of(image, scores, top)?;
        Ok(Ok((classes, counts.then(|| outputs.tokens_of(image)))))
    };
    let mut all: Vec<Top> = (0..outputs.batch).map(of).collect::<Result<_>>()?;
    for (place, why) in images.unreadable {
        all[place] = Err(why);
    }
    Ok(all)
}
