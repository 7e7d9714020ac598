//! timm's names.

use super::layout::Layout;
use super::layout::Part::Whole;

/// timm's, and what DINOv2's own code names otherwise.
pub(in crate::files) const TIMM: Layout = Layout {
    prefixes: &[],
    blocks: &["blocks."],
    inside: &[("mlp.w12.", "mlp.fc1.", Whole), ("mlp.w3.", "mlp.fc2.", Whole)],
    outside: &[("register_tokens", "reg_token", Whole)],
    dropped: &["mask_token"],
    turns_projection: false,
    waves: false,
};
