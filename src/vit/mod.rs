//! Level 3: a whole Vision Transformer. What it is (config), its numbers (weights, parameters), how it is run
//! (options), and the fixed list of dispatches that runs it (plan).

mod block;
mod buffers;
mod config;
mod dense;
mod fold;
mod head;
mod images;
mod options;
mod outputs;
mod parameters;
mod plan;
mod positions;
pub(crate) mod presets;
mod recorder;
mod transformer;
mod want;
mod weights;

pub use config::{Config, Mlp, Pool, PositionResample, Preprocess, Resample, Resize};
pub use dense::Dense;
#[cfg(feature = "files")]
pub(crate) use images::normalise;
pub use images::{Images, Input};
pub use options::{Metric, Options, PoolBy, Protect};
pub use outputs::{Output, Outputs, ValueKind, Values, ValuesMut};
pub use parameters::{AttentionPool, Block, Linear, Norm, Parameters, Storage};
pub use plan::{Plan, Stage, Step};
pub use transformer::VisionTransformer;
pub use want::Want;
pub use weights::{Tensor, Weights};
