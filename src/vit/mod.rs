//! Level 3: a whole Vision Transformer. What it is (config), its numbers (weights, parameters), how it is run
//! (options), and the fixed list of dispatches that runs it (plan).

mod block;
mod buffers;
mod config;
mod dense;
mod fold;
mod head;
mod images;
mod load;
mod options;
mod outputs;
mod parameters;
mod plan;
pub(crate) mod positions;
pub(crate) mod preset;
pub(crate) mod presets;
mod recorder;
mod tensor;
pub(crate) mod tensors;
mod transformer;
mod weights;

pub use config::{Config, Mlp, Pool, PositionResample, Preprocess, Resample, Resize};
pub use dense::Dense;
pub use images::Images;
#[cfg(feature = "files")]
pub(crate) use images::normalise;
pub use options::{Metric, Options, PoolBy, Protect};
pub use outputs::Outputs;
pub use parameters::{AttentionPool, Block, Linear, Norm, Parameters, Storage};
pub use plan::{Plan, Stage, Step};
pub use tensor::{Tensor, TensorData};
pub use tensors::Tensors;
pub use transformer::VisionTransformer;
pub use weights::Weights;
