//! The CPU path: every kernel on plain slices, and whole networks by them. Machines without a GPU are served by it, so
//! that products and rows go by the machine's vector registers, weights are packed once, and images go by all threads; what a
//! kernel is to compute stands in the [reference](crate::reference).
//!
//! A function has its kernel's name and `Params`; its arguments are the buffers of the kernel's `Io` in the same order,
//! an absent one being `None`. Slices may be longer than `Params` ask for, as buffers may; what is too short panics.
//!
//! Work is spread over rayon's threads, except where it is called from one of them: whoever has spread the work
//! already is not interrupted. Results are the same to the last bit either way. In WebAssembly there is one thread.

mod attention;
mod choose_matches;
mod embed_patches;
mod engine;
mod find_matches;
mod key_metric;
mod layer_norm;
mod match_frames;
mod match_lines;
pub mod matchings;
mod math;
mod matmul;
mod memory;
mod merge_source;
mod merge_tokens;
mod merger;
mod norm_heads;
mod pair_bias;
mod pool;
mod product;
mod rank_matches;
mod resize_image;
mod slices;
mod split_tokens;
#[cfg_attr(target_family = "wasm", path = "one_thread.rs")]
mod threads;
mod token_energy;
mod unmerge;
mod vit;

pub use attention::attention;
pub use choose_matches::choose_matches;
pub use embed_patches::embed_patches;
#[cfg(feature = "blocking")]
pub(crate) use engine::Entrance;
pub use engine::Trace;
pub use find_matches::find_matches;
pub use key_metric::key_metric;
pub use layer_norm::layer_norm;
pub use match_frames::match_frames;
pub use match_lines::match_lines;
pub use matmul::matmul;
pub use merge_source::merge_source;
pub use merge_tokens::merge_tokens;
pub use merger::{MergeInput, Merged, merge};
pub use norm_heads::norm_heads;
pub use pool::pool;
pub use rank_matches::rank_matches;
pub use resize_image::resize_image;
pub use split_tokens::split_tokens;
pub use threads::make_threads;
pub use token_energy::token_energy;
pub use unmerge::unmerge;
pub use vit::VisionTransformer;
