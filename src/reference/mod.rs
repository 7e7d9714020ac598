//! The reference: every kernel as a textbook has it, in plain loops with sums in f64, in the order of the data flow.
//! It is what the shaders and the CPU path are held against, so it is written to be read and not to be fast.
//!
//! A function has its kernel's name and `Params`; its arguments are the buffers of the kernel's `Io` in the same order,
//! an absent one being `None`. All tensors are dense and row-major, unless `Params` have strides. Slices may be longer
//! than `Params` ask for, as buffers may; what is too short panics.
//!
//! The paper is Bolya et al., "Token Merging: Your ViT But Faster", 2022, arXiv 2210.09461. A token whose size is 0
//! stands for nothing, as padding does: it is masked wherever sizes are given.
#![allow(clippy::needless_range_loop, reason = "loops over indices, as in formulas")]

mod attention;
mod choose_matches;
mod embed_patches;
mod find_matches;
mod key_metric;
mod layer_norm;
mod match_frames;
mod match_lines;
pub mod matchings;
mod matmul;
mod merge_source;
mod merge_tokens;
mod norm_heads;
mod pool;
mod rank_matches;
mod resize_image;
mod rows;
mod split_tokens;
mod token_energy;
mod unmerge;

pub use attention::attention;
pub use choose_matches::choose_matches;
pub use embed_patches::embed_patches;
pub use find_matches::find_matches;
pub use key_metric::key_metric;
pub use layer_norm::layer_norm;
pub use match_frames::match_frames;
pub use match_lines::match_lines;
pub use matmul::matmul;
pub use merge_source::merge_source;
pub use merge_tokens::merge_tokens;
pub use norm_heads::norm_heads;
pub use pool::pool;
pub use rank_matches::rank_matches;
pub use resize_image::resize_image;
pub use split_tokens::split_tokens;
pub use token_energy::token_energy;
pub use unmerge::unmerge;
