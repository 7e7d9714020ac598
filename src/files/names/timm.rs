//! timm's names.

use super::layout::Layout;
use super::layout::Part::Whole;

/// timm's, and what DINOv2's own code names otherwise.
pub(in crate::files) const TIMM: Layout = Layout {
    // The network beside its head in what `torch.hub` makes of DINOv2.
    prefixes: &["backbone."],
    blocks: &["blocks."],
    inside: &[("mlp.w12.", "mlp.fc1.", Whole), ("mlp.w3.", "mlp.fc2.", Whole)],
    outside: &[("register_tokens", "reg_token", Whole), ("linear_head.", "head.", Whole)],
    dropped: &["mask_token"],
    turns_projection: false,
};
