//! Classifies a picture by the built-in network for handwritten digits, or by a model of your own:
//!
//!     cargo run --release --example classify [PICTURE [FOLDER OF THE MODEL]]
//!
//! It takes a real GPU where there is one and the CPU path otherwise.

use std::env::args_os;
use std::error::Error;
use std::path::PathBuf;

use tome_wgpu::vit::Options;
use tome_wgpu::{DeviceChoice, Schedule, Session, files};

const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/digits");

fn main() -> Result<(), Box<dyn Error>> {
    let given: Vec<PathBuf> = args_os().skip(1).map(PathBuf::from).collect();
    let picture = given.first().cloned().unwrap_or_else(|| PathBuf::from(DIGITS).join("digit_8.png"));
    let model = given.get(1).cloned().unwrap_or_else(|| DIGITS.into());

    // config.json, model.safetensors: as they are downloaded.
    let (config, weights) = files::load_model(&model, None)?;
    let session = Session::new(config, &weights, &DeviceChoice::Auto)?;
    let config = session.config();
    println!("{} on {}", config.name, session.device());

    // Resized and cut as the network was trained; the first kernel normalises the bytes.
    let pixels = files::fit(files::open_image(&picture)?, config)?;
    // In each block the 8 most similar pairs of tokens merge.
    let options = Options::for_network(config, Schedule::constant(8));
    println!("{:.2} times less to compute by merging", options.promised_speedup(config));
    let classes = session.classify(pixels.as_bytes(), &options, 3)?.remove(0);
    let name = |class: usize| config.labels.get(class).cloned().unwrap_or_else(|| class.to_string());
    for &(class, probability) in &classes {
        println!("{:5.1} %  {}", probability * 100.0, name(class));
    }

    if given.is_empty() {
        assert_eq!(name(classes[0].0), "8", "the picture shows an 8");
    }
    Ok(())
}
