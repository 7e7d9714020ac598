//! Level 1: one kernel a file, on the caller's buffers. In the order of the data flow.

use crate::error::{Error, Result};
use crate::kernel::KernelSpec;

mod declare;

pub mod attention;
pub mod choose_matches;
pub mod embed_patches;
pub mod find_matches;
pub mod key_metric;
pub mod layer_norm;
pub mod match_frames;
pub mod match_lines;
pub mod matmul;
pub mod merge_source;
pub mod merge_tokens;
pub mod norm_heads;
pub mod pool;
pub mod rank_matches;
pub mod resize_image;
pub mod split_tokens;
pub mod token_energy;
pub mod unmerge;

pub use attention::attention;
pub use choose_matches::choose_matches;
pub use embed_patches::embed_patches;
pub use find_matches::{Similarity, find_matches};
pub use key_metric::key_metric;
pub use layer_norm::{NormKind, layer_norm};
pub use match_frames::match_frames;
pub use match_lines::match_lines;
pub use matmul::{Activation, matmul};
pub use merge_source::merge_source;
pub use merge_tokens::{MergeMode, MergedPosition, merge_tokens};
pub use norm_heads::norm_heads;
pub use pool::{PoolMode, pool};
pub use rank_matches::rank_matches;
pub use resize_image::resize_image;
pub use split_tokens::{SplitMode, split_tokens};
pub use token_energy::token_energy;
pub use unmerge::unmerge;

/// Every kernel, in the order of the data flow.
pub const ALL: [&KernelSpec; 18] = [
    &resize_image::SPEC,
    &embed_patches::SPEC,
    &layer_norm::SPEC,
    &matmul::SPEC,
    &norm_heads::SPEC,
    &attention::SPEC,
    &key_metric::SPEC,
    &token_energy::SPEC,
    &split_tokens::SPEC,
    &find_matches::SPEC,
    &rank_matches::SPEC,
    &choose_matches::SPEC,
    &match_lines::SPEC,
    &match_frames::SPEC,
    &merge_tokens::SPEC,
    &merge_source::SPEC,
    &pool::SPEC,
    &unmerge::SPEC,
];

/// Shaders read four values at a time.
pub(crate) fn multiple_of_four(kernel: &'static str, name: &str, value: u32) -> Result<()> {
    if value > 0 && value.is_multiple_of(4) {
        return Ok(());
    }
    Err(Error::Params { kernel, what: format!("{name} is {value} and must be a positive multiple of 4") })
}

/// A condition on `Params`, with the words for when it does not hold.
pub(crate) fn require(kernel: &'static str, holds: bool, what: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Params { kernel, what: what() }) }
}

/// The product of dimensions, in elements. Shaders index with 32 bits.
pub(crate) fn elements(kernel: &'static str, name: &str, dimensions: &[u32]) -> Result<u64> {
    let product = dimensions.iter().try_fold(1u64, |all, &d| all.checked_mul(d.into()));
    product.filter(|&n| n <= u64::from(u32::MAX)).ok_or_else(|| Error::Params {
        kernel,
        what: format!("{name} {dimensions:?} has more than 2^32 elements"),
    })
}
