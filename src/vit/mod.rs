//! Level 3: a whole Vision Transformer. What it is (config), its numbers (weights, parameters), how it is run
//! (options), and the fixed list of dispatches that runs it (plan).

mod block;
mod buffers;
mod check;
mod config;
pub(crate) mod crop;
mod dense;
pub(crate) mod engine;
mod fold;
mod images;
mod load;
mod load_head;
pub(crate) mod merges;
mod merging;
mod names;
pub(crate) mod network;
mod options;
mod outputs;
mod packed;
mod parameters;
mod plan;
pub(crate) mod positions;
mod preprocess;
pub(crate) mod preset;
pub(crate) mod presets;
mod recorder;
pub(crate) mod rotary;
mod sound;
mod step;
mod taps;
mod tensor;
pub(crate) mod tensors;
mod textures;
mod transformer;
mod want;
mod weights;

pub use config::{Config, Mlp, Pool, PositionResample, Scores, Wiring};
pub use dense::Dense;
#[cfg(feature = "files")]
pub(crate) use images::normalise;
pub use images::{Images, Input};
pub use options::{Metric, Options, PoolBy, Protect, Rule};
pub use outputs::{Output, Outputs, ValueKind, Values, ValuesMut};
pub use packed::Packed;
pub use parameters::{AttentionPool, Block, Linear, Norm, Parameters, PoolMlp, Storage};
pub use plan::Plan;
pub use preprocess::{Preprocess, Resample, Resize};
pub use rotary::{Angles, Coordinates, Rotary};
pub use sound::Sound;
pub use step::{Stage, Step};
pub use taps::Taps;
pub use tensor::{Tensor, TensorData};
pub use tensors::Tensors;
pub use transformer::VisionTransformer;
pub use want::Want;
pub use weights::Weights;
