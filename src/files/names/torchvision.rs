//! torchvision's names.

use super::layout::Layout;
use super::layout::Part::Whole;

/// torchvision's `vit_b_16` and its like, and the checkpoints of SWAG.
pub(in crate::files) const TORCHVISION: Layout = Layout {
    prefixes: &[],
    blocks: &["encoder.layers.encoder_layer_", "encoder.layers.layer_"],
    inside: &[
        ("ln_1.", "norm1.", Whole),
        ("self_attention.in_proj_", "attn.qkv.", Whole),
        ("self_attention.out_proj.", "attn.proj.", Whole),
        ("ln_2.", "norm2.", Whole),
        ("mlp.0.", "mlp.fc1.", Whole),
        ("mlp.3.", "mlp.fc2.", Whole),
        ("mlp.linear_1.", "mlp.fc1.", Whole),
        ("mlp.linear_2.", "mlp.fc2.", Whole),
    ],
    outside: &[
        ("conv_proj.", "patch_embed.proj.", Whole),
        ("class_token", "cls_token", Whole),
        ("encoder.pos_embedding", "pos_embed", Whole),
        ("encoder.ln.", "norm.", Whole),
        ("heads.head.", "head.", Whole),
        ("head.", "head.", Whole),
    ],
    dropped: &[],
    turns_projection: false,
    waves: false,
    autoencoder: None,
    naflex: false,
};
