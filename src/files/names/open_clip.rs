//! open_clip's names.

use super::layout::Layout;
use super::layout::Part::Whole;
use super::timm::EVA;

/// open_clip's image tower, of which the text's has been taken away.
pub(in crate::files) const OPEN_CLIP: Layout = Layout {
    prefixes: &[],
    blocks: &["transformer.resblocks."],
    inside: &[
        ("ln_1.", "norm1.", Whole),
        ("attn.in_proj_", "attn.qkv.", Whole),
        ("attn.out_proj.", "attn.proj.", Whole),
        ("ln_2.", "norm2.", Whole),
        ("mlp.c_fc.", "mlp.fc1.", Whole),
        ("mlp.c_proj.", "mlp.fc2.", Whole),
        ("ls_1.", "ls1.", Whole),
        ("ls_2.", "ls2.", Whole),
    ],
    outside: &[
        ("conv1.", "patch_embed.proj.", Whole),
        ("class_embedding", "cls_token", Whole),
        ("positional_embedding", "pos_embed", Whole),
        ("ln_pre.", "norm_pre.", Whole),
        ("ln_post.", "norm.", Whole),
        ("proj", "head.weight", Whole),
    ],
    dropped: &[],
    turns_projection: true,
    waves: false,
    autoencoder: None,
    naflex: false,
};

/// timm's image tower in open_clip, of which the text's has been taken away.
pub(in crate::files) const OPEN_CLIP_TIMM: Layout =
    Layout { prefixes: &["trunk."], outside: &[("head.proj.", "head.", Whole)], ..EVA };
