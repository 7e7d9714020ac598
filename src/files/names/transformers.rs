//! transformers' names.

use super::layout::Layout;
use super::layout::Part::{Nth, Thirds, Whole};

/// transformers' ViT, DeiT, ViTMAE, ViT-MSN, I-JEPA and DINOv2 with and without registers, on the hub and in memory.
pub(in crate::files) const VIT: Layout = Layout {
    prefixes: &["vit.", "deit.", "dinov2.", "dinov2_with_registers.", "ijepa."],
    blocks: &["encoder.layer.", "layers."],
    inside: &[
        ("layernorm_before.", "norm1.", Whole),
        ("norm1.", "norm1.", Whole),
        ("attention.attention.query.", "attn.qkv.", Nth(0)),
        ("attention.attention.key.", "attn.qkv.", Nth(1)),
        ("attention.attention.value.", "attn.qkv.", Nth(2)),
        ("attention.q_proj.", "attn.qkv.", Nth(0)),
        ("attention.k_proj.", "attn.qkv.", Nth(1)),
        ("attention.v_proj.", "attn.qkv.", Nth(2)),
        ("attention.output.dense.", "attn.proj.", Whole),
        ("attention.o_proj.", "attn.proj.", Whole),
        ("layer_scale1.lambda1", "ls1.gamma", Whole),
        ("layernorm_after.", "norm2.", Whole),
        ("norm2.", "norm2.", Whole),
        ("intermediate.dense.", "mlp.fc1.", Whole),
        ("output.dense.", "mlp.fc2.", Whole),
        ("mlp.weights_in.", "mlp.fc1.", Whole),
        ("mlp.weights_out.", "mlp.fc2.", Whole),
        ("mlp.gate_proj.", "mlp.fc1.", Nth(0)),
        ("mlp.up_proj.", "mlp.fc1.", Nth(1)),
        ("mlp.down_proj.", "mlp.fc2.", Whole),
        ("mlp.", "mlp.", Whole),
        ("layer_scale2.lambda1", "ls2.gamma", Whole),
    ],
    outside: &[
        ("embeddings.patch_embeddings.projection.", "patch_embed.proj.", Whole),
        ("embeddings.cls_token", "cls_token", Whole),
        ("embeddings.distillation_token", "dist_token", Whole),
        ("embeddings.register_tokens", "reg_token", Whole),
        ("embeddings.position_embeddings", "pos_embed", Whole),
        ("layernorm.", "norm.", Whole),
        ("classifier.", "head.", Whole),
        ("cls_classifier.", "head.", Whole),
        ("distillation_classifier.", "head_dist.", Whole),
    ],
    dropped: &["pooler.", "decoder.", "embeddings.mask_token"],
    turns_projection: false,
    waves: false,
    autoencoder: None,
    naflex: false,
};

/// transformers' DINOv3, on the hub and in memory.
pub(in crate::files) const DINOV3: Layout = Layout {
    prefixes: &[],
    blocks: &["layer.", "model.layer."],
    inside: &[
        ("norm1.", "norm1.", Whole),
        ("attention.q_proj.", "attn.qkv.", Nth(0)),
        ("attention.k_proj.", "attn.qkv.", Nth(1)),
        ("attention.v_proj.", "attn.qkv.", Nth(2)),
        ("attention.o_proj.", "attn.proj.", Whole),
        ("layer_scale1.lambda1", "ls1.gamma", Whole),
        ("norm2.", "norm2.", Whole),
        // Without a gate the second is all.
        ("mlp.gate_proj.", "mlp.fc1.", Nth(0)),
        ("mlp.up_proj.", "mlp.fc1.", Nth(1)),
        ("mlp.down_proj.", "mlp.fc2.", Whole),
        ("layer_scale2.lambda1", "ls2.gamma", Whole),
    ],
    outside: &[
        ("embeddings.patch_embeddings.", "patch_embed.proj.", Whole),
        ("embeddings.cls_token", "cls_token", Whole),
        ("embeddings.register_tokens", "reg_token", Whole),
        ("norm.", "norm.", Whole),
    ],
    dropped: &["embeddings.mask_token", "rope_embeddings."],
    turns_projection: false,
    waves: false,
    autoencoder: None,
    naflex: false,
};

/// transformers' image towers of CLIP and SigLIP.
pub(in crate::files) const TOWER: Layout = Layout {
    prefixes: &["vision_model."],
    blocks: &["encoder.layers."],
    inside: &[
        ("layer_norm1.", "norm1.", Whole),
        ("self_attn.q_proj.", "attn.qkv.", Nth(0)),
        ("self_attn.k_proj.", "attn.qkv.", Nth(1)),
        ("self_attn.v_proj.", "attn.qkv.", Nth(2)),
        ("self_attn.out_proj.", "attn.proj.", Whole),
        ("layer_norm2.", "norm2.", Whole),
        ("mlp.", "mlp.", Whole),
    ],
    outside: &[
        ("embeddings.patch_embedding.", "patch_embed.proj.", Whole),
        ("embeddings.class_embedding", "cls_token", Whole),
        ("embeddings.position_embedding.weight", "pos_embed", Whole),
        // The name is misspelt in the library.
        ("pre_layrnorm.", "norm_pre.", Whole),
        ("post_layernorm.", "norm.", Whole),
        ("head.probe", "attn_pool.latent", Whole),
        ("head.attention.in_proj_", "attn_pool.q.", Thirds(0, 1)),
        ("head.attention.in_proj_", "attn_pool.kv.", Thirds(1, 3)),
        ("head.attention.out_proj.", "attn_pool.proj.", Whole),
        ("head.layernorm.", "attn_pool.norm.", Whole),
        ("head.mlp.", "attn_pool.mlp.", Whole),
        ("visual_projection.", "head.", Whole),
        ("classifier.", "head.", Whole),
    ],
    dropped: &["text_model.", "text_projection.", "logit_scale", "logit_bias", "embeddings.position_ids"],
    turns_projection: false,
    waves: false,
    autoencoder: None,
    naflex: false,
};

/// The same where the mean of the patches goes into the classifier: SigLIP's own head is not in use then.
pub(in crate::files) const TOWER_WITHOUT_HEAD: Layout = Layout {
    dropped: &["head.", "text_model.", "logit_scale", "logit_bias", "embeddings.position_ids"],
    ..TOWER
};

/// The same where CLIP's patches are averaged as they leave the last block.
pub(in crate::files) const TOWER_WITHOUT_NORM: Layout = Layout {
    dropped: &["post_layernorm.", "text_model.", "logit_scale", "embeddings.position_ids"],
    ..TOWER
};

/// transformers' AIMv2.
pub(in crate::files) const AIMV2: Layout = Layout {
    prefixes: &["vision_model."],
    blocks: &["encoder.layers."],
    inside: &[
        ("rms_norm1.", "norm1.", Whole),
        ("attention.q_proj.", "attn.qkv.", Nth(0)),
        ("attention.k_proj.", "attn.qkv.", Nth(1)),
        ("attention.v_proj.", "attn.qkv.", Nth(2)),
        ("attention.out_proj.", "attn.proj.", Whole),
        ("rms_norm2.", "norm2.", Whole),
        ("ffn.gate_proj.", "mlp.fc1_g.", Whole),
        ("ffn.up_proj.", "mlp.fc1_x.", Whole),
        ("ffn.down_proj.", "mlp.fc2.", Whole),
    ],
    outside: &[
        ("embeddings.patch_embed.", "patch_embed.proj.", Whole),
        ("embeddings.rms_norm.", "patch_embed.norm.", Whole),
        ("embeddings.position_embedding.weight", "pos_embed", Whole),
        ("rms_norm.", "norm.", Whole),
        ("head.cls_token", "attn_pool.latent", Whole),
        ("head.k_proj.", "attn_pool.kv.", Nth(0)),
        ("head.v_proj.", "attn_pool.kv.", Nth(1)),
        ("head.output_proj.", "attn_pool.proj.", Whole),
        ("visual_projection.", "head.", Whole),
    ],
    dropped: &["text_model.", "text_projection.", "logit_scale", "embeddings.position_ids"],
    turns_projection: false,
    waves: false,
    autoencoder: None,
    naflex: false,
};
