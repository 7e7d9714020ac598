//! Files: checkpoints in the layouts of timm, transformers and torchvision, tensors read piece by piece, and pictures
//! made into input.

mod checkpoint;
mod fields;
#[cfg(feature = "hub")]
mod hub;
mod model;
mod names;
mod preprocess;
mod processor;
mod tensor_reader;
mod timm_config;
mod torchvision;
mod transformers_config;

#[cfg(feature = "hub")]
pub use hub::fetch_model;
pub use model::{load_model, parse_config, read_weights};
pub use preprocess::{fit, normalise, open_image};
pub use tensor_reader::TensorReader;

/// The error about a file at `path`.
fn broken(path: &std::path::Path, why: impl Into<String>) -> crate::Error {
    crate::Error::File { path: path.display().to_string(), why: why.into() }
}
