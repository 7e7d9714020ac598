//! transformers' BEiT and data2vec, and timm's `VisionTransformerRelPos`.

use super::layout::Layout;
use super::layout::Part::{Nth, Whole};
use super::timm::TIMM;

/// transformers' BEiT and data2vec, on the hub and in memory.
pub(in crate::files) const BEIT: Layout = Layout {
    prefixes: &["beit.", "data2vec_vision."],
    blocks: &["encoder.layer.", "layers."],
    inside: &[
        ("layernorm_before.", "norm1.", Whole),
        ("attention.attention.query.", "attn.qkv.", Nth(0)),
        ("attention.attention.key.", "attn.qkv.", Nth(1)),
        ("attention.attention.value.", "attn.qkv.", Nth(2)),
        (
            "attention.attention.relative_position_bias.relative_position_bias_table",
            "attn.relative_position_bias_table",
            Whole,
        ),
        ("attention.q_proj.", "attn.qkv.", Nth(0)),
        ("attention.k_proj.", "attn.qkv.", Nth(1)),
        ("attention.v_proj.", "attn.qkv.", Nth(2)),
        ("relative_position_bias.relative_position_bias_table", "attn.relative_position_bias_table", Whole),
        ("attention.output.dense.", "attn.proj.", Whole),
        ("attention.o_proj.", "attn.proj.", Whole),
        ("lambda_1", "ls1.gamma", Whole),
        ("layernorm_after.", "norm2.", Whole),
        ("intermediate.dense.", "mlp.fc1.", Whole),
        ("output.dense.", "mlp.fc2.", Whole),
        ("mlp.", "mlp.", Whole),
        ("lambda_2", "ls2.gamma", Whole),
    ],
    outside: &[
        ("embeddings.patch_embeddings.projection.", "patch_embed.proj.", Whole),
        ("embeddings.cls_token", "cls_token", Whole),
        ("embeddings.position_embeddings", "pos_embed", Whole),
        ("encoder.relative_position_bias.", "rel_pos_bias.", Whole),
        ("shared_position_bias.", "rel_pos_bias.", Whole),
        ("layernorm.", "norm.", Whole),
        ("pooler.layernorm.", "fc_norm.", Whole),
        ("classifier.", "head.", Whole),
    ],
    dropped: &["embeddings.mask_token", "lm_head."],
    turns_projection: false,
    waves: false,
    autoencoder: None,
    naflex: false,
};

/// timm's `VisionTransformerRelPos`: where its bias is a table, that is called otherwise than in `Beit`.
pub(in crate::files) const RELATIVE: Layout = Layout {
    inside: &[("attn.rel_pos.relative_position_bias_table", "attn.relative_position_bias_table", Whole)],
    outside: &[(
        "shared_rel_pos.relative_position_bias_table",
        "rel_pos_bias.relative_position_bias_table",
        Whole,
    )],
    ..TIMM
};
