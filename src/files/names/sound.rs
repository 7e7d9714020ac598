//! The names of networks that hear.

use super::layout::Layout;
use super::layout::Part::Whole;
use super::transformers::VIT;

/// transformers' AST, whose head has a norm of its own.
pub(in crate::files) const AST: Layout = Layout {
    prefixes: &["audio_spectrogram_transformer."],
    outside: &[
        ("embeddings.patch_embeddings.projection.", "patch_embed.proj.", Whole),
        ("embeddings.cls_token", "cls_token", Whole),
        ("embeddings.distillation_token", "dist_token", Whole),
        ("embeddings.position_embeddings", "pos_embed", Whole),
        ("layernorm.", "norm.", Whole),
        ("classifier.layernorm.", "fc_norm.", Whole),
        ("classifier.dense.", "head.", Whole),
    ],
    dropped: &[],
    ..VIT
};
