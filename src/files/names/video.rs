//! The names of networks for video.

use super::layout::Layout;
use super::layout::Part::{Nth, Whole};
use super::transformers::VIT;

/// transformers' VideoMAE, which has no tensor for its positions; biases are named otherwise on the hub than in memory.
pub(in crate::files) const VIDEO_MAE: Layout = Layout {
    prefixes: &["videomae."],
    inside: &[
        ("layernorm_before.", "norm1.", Whole),
        ("attention.attention.query.", "attn.qkv.", Nth(0)),
        ("attention.attention.q_bias", "attn.qkv.bias", Nth(0)),
        ("attention.attention.key.", "attn.qkv.", Nth(1)),
        ("attention.attention.value.", "attn.qkv.", Nth(2)),
        ("attention.attention.v_bias", "attn.qkv.bias", Nth(2)),
        ("attention.output.dense.", "attn.proj.", Whole),
        ("layernorm_after.", "norm2.", Whole),
        ("intermediate.dense.", "mlp.fc1.", Whole),
        ("output.dense.", "mlp.fc2.", Whole),
    ],
    outside: &[
        ("embeddings.patch_embeddings.projection.", "patch_embed.proj.", Whole),
        ("layernorm.", "norm.", Whole),
        ("fc_norm.", "fc_norm.", Whole),
        ("classifier.", "head.", Whole),
    ],
    dropped: &["decoder.", "encoder_to_decoder.", "mask_token"],
    waves: true,
    ..VIT
};

/// transformers' ViViT.
pub(in crate::files) const VIVIT: Layout = Layout { prefixes: &["vivit."], ..VIT };
