//! Files: checkpoints in timm's layout, tensors read piece by piece, and pictures made into input.

mod config_json;
mod model;
mod preprocess;
mod tensor_reader;

pub use config_json::parse_config;
pub use model::{load_model, read_weights};
pub use preprocess::{fit, normalise, open_image};
pub use tensor_reader::TensorReader;

/// The error about a file at `path`.
fn broken(path: &std::path::Path, why: impl Into<String>) -> crate::Error {
    crate::Error::File { path: path.display().to_string(), why: why.into() }
}
