//! timm's names.

use super::layout::Layout;
use super::layout::Part::{BeforeQkv, Nth, Qkv, Whole};

/// timm's, and what DINOv2's own code names otherwise.
pub(in crate::files) const TIMM: Layout = Layout {
    // The network beside its head in what `torch.hub` makes of DINOv2.
    prefixes: &["backbone."],
    blocks: &["blocks."],
    inside: &[("mlp.w12.", "mlp.fc1.", Whole), ("mlp.w3.", "mlp.fc2.", Whole)],
    outside: &[("register_tokens", "reg_token", Whole), ("linear_head.", "head.", Whole)],
    dropped: &["mask_token"],
    turns_projection: false,
    waves: false,
    autoencoder: None,
    naflex: false,
};

/// timm's `ParallelScalingBlock`: one layer to the MLP, q, k and v, behind a norm that here each of them has.
pub(in crate::files) const PARALLEL: Layout = Layout {
    inside: &[
        ("in_norm.", "norm1.", Whole),
        ("in_norm.", "norm2.", Whole),
        ("in_proj.", "mlp.fc1.", BeforeQkv),
        ("in_proj.", "attn.qkv.", Qkv),
        ("mlp_bias", "mlp.fc1.bias", Whole),
        ("q_norm.", "attn.q_norm.", Whole),
        ("k_norm.", "attn.k_norm.", Whole),
        ("attn_out_proj.", "attn.proj.", Whole),
        ("mlp_out_proj.", "mlp.fc2.", Whole),
        ("ls.gamma", "ls1.gamma", Whole),
        ("ls.gamma", "ls2.gamma", Whole),
    ],
    ..TIMM
};

/// timm's `Eva`.
pub(in crate::files) const EVA: Layout = Layout {
    inside: &[
        ("attn.q_proj.", "attn.qkv.", Nth(0)),
        ("attn.k_proj.", "attn.qkv.", Nth(1)),
        ("attn.v_proj.", "attn.qkv.", Nth(2)),
        ("attn.q_bias", "attn.qkv.bias", Nth(0)),
        ("attn.v_bias", "attn.qkv.bias", Nth(2)),
        ("gamma_1", "ls1.gamma", Whole),
        ("gamma_2", "ls2.gamma", Whole),
    ],
    outside: &[],
    ..TIMM
};

/// timm's `NaFlexVit`.
pub(in crate::files) const NAFLEX: Layout = Layout {
    prefixes: &[],
    inside: &[],
    outside: &[
        ("embeds.proj.", "patch_embed.proj.", Whole),
        ("embeds.pos_embed", "pos_embed", Whole),
        ("embeds.cls_token", "cls_token", Whole),
        ("embeds.reg_token", "reg_token", Whole),
    ],
    naflex: true,
    ..TIMM
};
