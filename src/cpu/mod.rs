//! The CPU path: every kernel on plain slices, in the order of the data flow, for machines without a GPU. Products of
//! matrices are a library's, rows are summed with vector instructions. [`reference`](crate::reference) says the same as a
//! textbook has it, and is what this is held against.
//!
//! A twin has its kernel's name and `Params`; its arguments are the buffers of the kernel's `Io` in the same order,
//! an absent one being `None`. That `Option` alone decides: the `has_*` fields of `Params` are not read. Slices may
//! be longer than `Params` ask for, as buffers may; what is too short panics.
//!
//! Work is spread over rayon's threads, except where it is called from one of them: whoever has spread the work
//! already is not interrupted. Results are the same to the last bit either way.

mod attention;
mod embed_patches;
mod find_matches;
mod forward;
mod head;
mod key_metric;
mod layer_norm;
mod math;
mod matmul;
mod matrix;
mod merge_tokens;
mod norm_heads;
mod pool;
mod rank_matches;
mod slices;
mod split_tokens;
mod threads;
mod unmerge;
mod vit;

pub use attention::attention;
pub use embed_patches::embed_patches;
pub use find_matches::find_matches;
pub use forward::{Trace, Value};
pub use key_metric::key_metric;
pub use layer_norm::layer_norm;
pub use matmul::matmul;
pub use merge_tokens::merge_tokens;
pub use norm_heads::norm_heads;
pub use pool::pool;
pub use rank_matches::rank_matches;
pub use split_tokens::split_tokens;
pub use unmerge::unmerge;
pub use vit::VisionTransformer;
