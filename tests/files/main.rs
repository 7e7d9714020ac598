//! Configs, weights and pictures, good and bad. Needs no GPU.
#![cfg(feature = "files")]

mod autoencoders;
mod beit;
mod brought;
mod clips;
mod config;
mod guesses;
mod handed;
mod layouts;
mod lazy;
mod naflexvit;
#[path = "../common/photo.rs"]
mod photo;
mod pictures;
#[path = "../common/place.rs"]
mod place;
mod positions;
mod processors;
mod reduced;
#[cfg(feature = "sound")]
mod sounds;
mod tables;
mod transformers;
mod weights;

use std::path::PathBuf;

use place::place;

/// A golden network.
fn golden(case: &str) -> PathBuf {
    place!("CARGO_MANIFEST_DIR").join("tests/golden/cases").join(case)
}
