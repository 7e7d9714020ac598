//! `tome classify`

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use serde_json::json;

use crate::args::{DeviceArgs, MergeArgs, ModelArgs};
use crate::{inputs, model};

/// Say what pictures show
///
/// Class names come from the config's label_names and label_descriptions or from labels.txt beside it.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tome classify models/digits/digit_3.png --r 8
  tome classify *.jpg --model vit_base --top 1 --json")]
pub struct Args {
    /// Pictures
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    merge: MergeArgs,
    /// How many classes to show
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Pictures decoded and classified at once.
const BATCH: usize = 8;

pub fn run(args: &Args) -> Result<()> {
    let session = model::start(&args.model, &args.device)?;
    let config = session.config().clone();
    if config.num_classes == 0 {
        bail!("this network has no classes; `tome infer --want features` runs it");
    }
    let options = args.merge.options(&config);
    let mut out = std::io::stdout().lock();
    let mut documents = Vec::new();
    for paths in args.images.chunks(BATCH) {
        let images = inputs::load(paths, &config)?;
        for (path, top) in paths.iter().zip(session.classify(&images, &options, args.top as usize)?) {
            let name = path.display().to_string();
            if args.json {
                let class = |&(class, probability): &(usize, f32)| json!({ "class": class, "label": model::label(&config, class), "probability": probability });
                documents.push(json!({ "image": name, "top": top.iter().map(class).collect::<Vec<_>>() }));
                continue;
            }
            writeln!(out, "{name}")?;
            for (class, probability) in top {
                writeln!(out, "  {:5.1} %  {}", probability * 100.0, model::label(&config, class))?;
            }
        }
    }
    if args.json {
        writeln!(out, "{}", json!({ "images": documents }))?;
    }
    Ok(())
}
