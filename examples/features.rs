//! Features of a folder of pictures, batch after batch: while the device computes one, the next is decoded and uploaded.
//! Says for each picture which other is most like it:
//!
//!     cargo run --release --example features [FOLDER OF PICTURES [FOLDER OF THE MODEL]]
//!
//! It takes a real GPU where there is one and the CPU path otherwise.

use std::env::args_os;
use std::error::Error;
use std::path::{Path, PathBuf};

use tome_wgpu::vit::{Config, Options, Want};
use tome_wgpu::{DeviceChoice, Schedule, Session, files};

const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/digits");
/// Small, since the built-in folder is.
const BATCH: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let given: Vec<PathBuf> = args_os().skip(1).map(PathBuf::from).collect();
    let [folder, model] = [0, 1].map(|i| given.get(i).cloned().unwrap_or_else(|| DIGITS.into()));
    let (config, weights) = files::load_model(&model, None)?;
    let session = Session::new(config, &weights, &DeviceChoice::Auto)?;
    let (config, options) = (session.config(), Options::with_schedule(Schedule::constant(8)));
    let pictures = pictures(&folder)?;
    println!("{} pictures, {} on {}", pictures.len(), config.name, session.device());

    let mut features = Vec::new();
    let mut stream = session.stream(&options, Want::FEATURES);
    for batch in pictures.chunks(BATCH) {
        if stream.is_full() {
            features.extend(stream.pop()?.map(|outputs| outputs.features).unwrap_or_default());
        }
        let pixels: Vec<Vec<u8>> =
            batch.iter().map(|path| pixels(path, config)).collect::<tome_wgpu::Result<_>>()?;
        stream.push(&pixels.concat())?;
    }
    while let Some(outputs) = stream.pop()? {
        features.extend(outputs.features);
    }

    let rows: Vec<&[f32]> = features.chunks_exact(config.embed_dim as usize).collect();
    assert_eq!(rows.len(), pictures.len(), "a row a picture");
    for (i, path) in pictures.iter().enumerate() {
        let others = (0..rows.len()).filter(|&other| other != i);
        let alike = others.map(|other| (cosine(rows[i], rows[other]), other));
        if let Some((cosine, other)) = alike.max_by(|a, b| a.0.total_cmp(&b.0)) {
            println!("{} is most like {} ({cosine:.3})", name(path), name(&pictures[other]));
        }
    }

    // A picture's features do not depend on the company it comes in.
    let alone = session.features(&pixels(&pictures[0], config)?, &options)?;
    assert!(cosine(rows[0], &alone) > 0.9999, "alone: {alone:?}, in a batch: {:?}", rows[0]);
    Ok(())
}

/// The PNG and JPEG files of a folder, by name.
fn pictures(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let is_picture = |path: &PathBuf| {
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        ["png", "jpg", "jpeg"].iter().any(|known| ending == *known)
    };
    let all = std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut pictures: Vec<PathBuf> = all.collect::<Result<_, _>>()?;
    pictures.retain(is_picture);
    pictures.sort();
    if pictures.is_empty() {
        Err(format!("no pictures in {}", folder.display()).into())
    } else {
        Ok(pictures)
    }
}

/// The bytes of a picture at the network's size.
fn pixels(path: &Path, config: &Config) -> tome_wgpu::Result<Vec<u8>> {
    Ok(files::fit(files::open_image(path)?, config)?.into_bytes())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
