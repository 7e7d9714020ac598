//! Files: checkpoints in the layouts of timm, transformers and torchvision, on a disk or handed over as bytes, whose
//! tensors are read one by one, and pictures made into input.

mod added;
mod autoencoder;
mod checkpoint;
mod clip;
mod feature_extractor;
mod fields;
mod header;
#[cfg(feature = "hub")]
mod hub;
mod locate;
mod model;
mod model_files;
mod naflex;
mod names;
mod open_clip;
mod packed;
mod picture;
mod preprocess;
mod processor;
mod settle;
mod shards;
mod sniff;
#[cfg(feature = "sound")]
mod sound;
mod tensor_reader;
mod timm_config;
mod timm_eva;
mod timm_relative;
mod torchvision;
mod transformers;
mod waves;

pub use checkpoint::Checkpoint;
pub use clip::{Clip, is_animated, load_clip, load_clip_bytes};
#[cfg(feature = "hub")]
pub use hub::{Fetching, fetch_model, fetch_model_heard};
pub use model::{load_files, load_model, load_model_as, parse_config, read_weights};
pub use model_files::ModelFiles;
pub use packed::{PackedPicture, load_packed, pack, pack_bytes};
pub use picture::{Picture, decode_image, is_picture, open_image};
pub use preprocess::{fit, load_bytes, load_image, normalise};
#[cfg(feature = "sound")]
pub use sound::{Heard, hear, hear_bytes, hear_samples, is_sound};
pub use tensor_reader::TensorReader;

/// The error about a file at `path`.
fn broken(path: &std::path::Path, why: impl Into<String>) -> crate::Error {
    crate::Error::File { path: path.display().to_string(), why: why.into() }
}
