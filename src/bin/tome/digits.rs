//! The network and the held-out pictures that ship within the command.

use std::io::Cursor;

use anyhow::{Context, Result};
use image::{DynamicImage, GrayImage};
use tome_wgpu::files::{Checkpoint, ModelFiles, load_files};
use tome_wgpu::vit::Config;

const CONFIG: &str = include_str!("../../../models/digits/config.json");
const WEIGHTS: &[u8] = include_bytes!("../../../models/digits/model.safetensors");
/// Records of 8x8 grey pixels and a label.
const HELD_OUT: &[u8] = include_bytes!("../../../models/digits/heldout.bin");
const SIDE: u32 = 8;

/// The built-in network.
pub fn network() -> Result<(Config, Checkpoint)> {
    let files = ModelFiles::new()
        .with("config.json", Cursor::new(CONFIG))
        .with("model.safetensors", Cursor::new(WEIGHTS));
    Ok(load_files(files)?)
}

/// Pictures that the network was not trained on, with what they show.
pub fn held_out() -> Result<Vec<(DynamicImage, usize)>> {
    HELD_OUT
        .chunks_exact((SIDE * SIDE + 1) as usize)
        .map(|record| {
            let (pixels, label) = record.split_at((SIDE * SIDE) as usize);
            let picture =
                GrayImage::from_raw(SIDE, SIDE, pixels.to_vec()).context("a digit of the wrong size")?;
            Ok((picture.into(), usize::from(label[0])))
        })
        .collect()
}
