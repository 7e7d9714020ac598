//! JPEGs on their way into a network: decoded alone, whole and at reduced size; the network alone; and both together, as
//! `tome infer` does it. `TOME_DEVICE` picks the device (auto), `TOME_PICTURES` how many pictures go through (400).
//!
//! The network is the built-in one on inputs of 56 pixels, where decoding is the slower part, and of more, where the device is;
//! or the one in the folder `TOME_MODEL`, on its own input, stored in 16 bits where `TOME_PRECISION` is f16, and nothing else.

#[path = "../tests/common/photo.rs"]
mod photo;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use libjpeg_turbo_rs::Subsampling;
use photo::{Stored, jpeg};
use rayon::prelude::*;
use tome_wgpu::files::{load_bytes, load_image, load_model};
use tome_wgpu::vit::{Config, Options, Want};
use tome_wgpu::{DeviceChoice, Element, Schedule, Session};

/// Pictures at once.
const BATCH: usize = 16;
/// Times that a decoder takes the same picture; the best counts, as others may be at work beside it.
const TRIES: usize = 15;
/// Sides of the network's input.
const SIDES: [u32; 3] = [56, 112, 168];

fn main() {
    // What `cargo bench -- --test` asks is whether it runs at all.
    let test = std::env::args().any(|arg| arg == "--test");
    let count = std::env::var("TOME_PICTURES").map(|n| n.parse().expect("TOME_PICTURES is a number"));
    let count = count.unwrap_or(if test { 2 * BATCH } else { 400 });
    let model = std::env::var_os("TOME_MODEL");
    if model.is_none() {
        decoders(test);
    }
    let device = std::env::var("TOME_DEVICE").unwrap_or_else(|_| "auto".into());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pictures = album(folder.path(), count, if test { [320, 240] } else { [1920, 1080] });
    println!(
        "\n{count} pictures on {device}, pictures/s\n\n| input | decoding alone | network alone | together | of the slower |"
    );
    println!("|---|---|---|---|---|");
    if let Some(model) = model {
        return together(&pictures, &device, Path::new(&model), None, folder.path());
    }
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/digits");
    for &side in if test { &SIDES[..1] } else { &SIDES } {
        together(&pictures, &device, &digits, Some(side), folder.path());
    }
}

/// What one thread decodes for a ViT-B of 224 pixels.
fn decoders(test: bool) {
    let mut config = Config::preset("vit_base_patch16_224").expect("a preset");
    let sizes: &[[usize; 2]] = if test { &[[320, 240]] } else { &[[1920, 1080], [4000, 3000]] };
    println!("| JPEG | whole, ms | reduced, ms |\n|---|---|---|");
    let kinds = [
        ("4:2:0", Some(Subsampling::S420), false),
        ("4:2:0 progressive", Some(Subsampling::S420), true),
        ("4:4:4", Some(Subsampling::S444), false),
        ("grey", None, false),
    ];
    for &[width, height] in sizes {
        for (name, subsampling, progressive) in kinds {
            let bytes = jpeg(width, height, 1, Stored { subsampling, progressive, orientation: 1 });
            let mut best = [f64::INFINITY; 2];
            for _ in 0..if test { 1 } else { TRIES } {
                for (reduced, best) in [false, true].into_iter().zip(&mut best) {
                    config.preprocess.reduced = reduced;
                    let start = Instant::now();
                    load_bytes(&bytes, Path::new(name), &config).expect("a picture");
                    *best = best.min(start.elapsed().as_secs_f64());
                }
            }
            let [whole, reduced] = best.map(|seconds| seconds * 1e3);
            println!("| {width}x{height} {name}, {} kB | {whole:.1} | {reduced:.1} |", bytes.len() / 1000);
        }
    }
}

/// So many files, eight of them different.
fn album(folder: &Path, count: usize, [width, height]: [usize; 2]) -> Vec<PathBuf> {
    let stored = Stored { subsampling: Some(Subsampling::S420), progressive: false, orientation: 1 };
    let kinds: Vec<Vec<u8>> = (0..8).map(|seed| jpeg(width, height, seed, stored)).collect();
    let paths: Vec<PathBuf> = (0..count).map(|i| folder.join(format!("{i:05}.jpg"))).collect();
    for (i, path) in paths.iter().enumerate() {
        std::fs::write(path, &kinds[i % kinds.len()]).expect("a file");
    }
    paths
}

fn together(pictures: &[PathBuf], device: &str, model: &Path, side: Option<u32>, folder: &Path) {
    let (mut config, mut weights) = load_model(model, None).expect("a network");
    let side = side.unwrap_or(config.image_size[0]);
    weights.resample_positions(&mut config, [side; 2]).expect("positions");
    let precision = std::env::var("TOME_PRECISION").unwrap_or_else(|_| "f32".into());
    let element = match precision.as_str() {
        "f32" => Element::F32,
        "f16" => Element::F16,
        other => panic!("TOME_PRECISION is {other}"),
    };
    let start = Instant::now();
    pictures.par_iter().for_each(|path| drop(load_image(path, &config).expect("a picture")));
    let decoding = pictures.len() as f64 / start.elapsed().as_secs_f64();

    let choice: DeviceChoice = device.parse().expect("TOME_DEVICE names a device");
    let session = Session::with_element(config.clone(), &weights, &choice, element).expect("a device");
    let options = Options::for_network(&config, Schedule::NONE);
    let batch = vec![100u8; BATCH * config.image_values()];
    let through = |batches: usize| {
        let mut stream = session.stream(&options, Want::FEATURES);
        let start = Instant::now();
        for _ in 0..batches {
            if stream.is_full() {
                stream.pop().expect("results");
            }
            stream.push(&batch).expect("a batch");
        }
        while stream.pop().expect("results").is_some() {}
        (batches * BATCH) as f64 / start.elapsed().as_secs_f64()
    };
    through(2);
    let network = through(pictures.len().div_ceil(BATCH));

    let infer = |count: usize| {
        let start = Instant::now();
        let status = Command::new(env!("CARGO_BIN_EXE_tome"))
            .args(["infer", "--quiet", "--want", "features", "--device", device])
            .args(["--precision", &precision, "--model"])
            .args([
                model.as_os_str(),
                "--image-size".as_ref(),
                side.to_string().as_ref(),
                "--output".as_ref(),
            ])
            .args([folder.join("out.safetensors").as_os_str(), "--input".as_ref()])
            .args(&pictures[..count])
            .status();
        assert!(status.expect("tome starts").success());
        start.elapsed().as_secs_f64()
    };
    // What starting costs falls out.
    let few = infer(BATCH);
    let both = (pictures.len() - BATCH) as f64 / (infer(pictures.len()) - few);
    let slower = decoding.min(network);
    println!("| {side} | {decoding:.0} | {network:.0} | {both:.0} | {:.0} % |", 100.0 * both / slower);
}
