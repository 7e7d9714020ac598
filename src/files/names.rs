//! From the names of a checkpoint's layout to timm's: tables of renamed beginnings, and what is left out.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// A piece of one of timm's tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// One of several that lie one after the other along the first dimension: q, k, v.
    Nth(u8),
    /// All of it, and these thirds of the checkpoint's tensor.
    Thirds(u8, u8),
}

use Part::{Nth, Thirds, Whole};

/// The beginning of a name, what it becomes, and which part that is.
type Rule = (&'static str, &'static str, Part);

/// How a library names the tensors of a network.
#[derive(Debug)]
pub(super) struct Layout {
    /// Any of these may come before every name: the network within a larger one.
    prefixes: &'static [&'static str],
    /// The words before the number of a block.
    blocks: &'static [&'static str],
    /// Names behind the number of a block.
    inside: &'static [Rule],
    /// All others.
    outside: &'static [Rule],
    /// Beginnings of names that the network has no use for.
    dropped: &'static [&'static str],
    /// Whether the head's weight lies the other way round than a linear layer's.
    pub turns_projection: bool,
}

/// timm's, and what DINOv2's own code names otherwise.
pub(super) const TIMM: Layout = Layout {
    prefixes: &[],
    blocks: &["blocks."],
    inside: &[("mlp.w12.", "mlp.fc1.", Whole), ("mlp.w3.", "mlp.fc2.", Whole)],
    outside: &[("register_tokens", "reg_token", Whole)],
    dropped: &["mask_token"],
    turns_projection: false,
};

/// transformers' ViT, DeiT, ViTMAE and DINOv2 with and without registers, on the hub and in memory.
pub(super) const VIT: Layout = Layout {
    prefixes: &["vit.", "deit.", "dinov2.", "dinov2_with_registers."],
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
};

/// transformers' image towers of CLIP and SigLIP.
pub(super) const TOWER: Layout = Layout {
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
};

/// The same where the mean of the patches goes into the classifier: SigLIP's own head is not in use then.
pub(super) const TOWER_WITHOUT_HEAD: Layout = Layout {
    dropped: &["head.", "text_model.", "logit_scale", "logit_bias", "embeddings.position_ids"],
    ..TOWER
};

/// The same where CLIP's patches are averaged as they leave the last block.
pub(super) const TOWER_WITHOUT_NORM: Layout = Layout {
    dropped: &["post_layernorm.", "text_model.", "logit_scale", "embeddings.position_ids"],
    ..TOWER
};

/// torchvision's `vit_b_16` and its like, and the checkpoints of SWAG.
pub(super) const TORCHVISION: Layout = Layout {
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
};

/// open_clip's image tower, of which the text's has been taken away.
pub(super) const OPEN_CLIP: Layout = Layout {
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
};

/// A tensor of the checkpoint, or a stretch of it.
#[derive(Debug, PartialEq)]
pub(super) struct Source {
    /// Its name there.
    pub name: String,
    /// Which thirds of its first dimension; all where there is none.
    pub thirds: Option<(u8, u8)>,
}

impl Layout {
    /// The tensors that each of timm's is put together from, in order. A name without a rule is timm's already, or
    /// nobody's, which the check of the weights will say.
    ///
    /// # Errors
    /// [`Error::Weight`] where two tensors claim the same place.
    pub fn assemble<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<BTreeMap<String, Vec<Source>>> {
        let mut all: BTreeMap<String, BTreeMap<u8, Source>> = BTreeMap::new();
        for name in names {
            for (target, part) in self.targets(name) {
                let (order, thirds) = match part {
                    Whole => (0, None),
                    Nth(order) => (order, None),
                    Thirds(from, to) => (0, Some((from, to))),
                };
                let source = Source { name: name.into(), thirds };
                if let Some(other) = all.entry(target).or_default().insert(order, source) {
                    let why = format!("means the same as `{}`", other.name);
                    return Err(Error::Weight { name: name.into(), why });
                }
            }
        }
        Ok(all.into_iter().map(|(target, parts)| (target, parts.into_values().collect())).collect())
    }

    /// What the checkpoint would call one of timm's tensors, where that is something else.
    pub fn original(&self, name: &str) -> Option<String> {
        let block = name.strip_prefix("blocks.").and_then(|rest| rest.split_once('.'));
        let (place, rest, rules) = match block {
            Some((number, rest)) => (format!("{}{number}.", self.blocks[0]), rest, self.inside),
            None => (String::new(), name, self.outside),
        };
        let (begin, to, _) = rules.iter().find(|(_, to, _)| rest.starts_with(to))?;
        Some(format!("{place}{begin}{}", &rest[to.len()..])).filter(|original| original != name)
    }

    /// The tensors that one of the checkpoint becomes: none of timm's, one, or several.
    fn targets(&self, name: &str) -> Vec<(String, Part)> {
        let inner = self.prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
        if self.dropped.iter().any(|dropped| inner.starts_with(dropped)) {
            return Vec::new();
        }
        let block = self.blocks.iter().find_map(|stem| inner.strip_prefix(stem)?.split_once('.'));
        let (place, rest, rules) = match block {
            Some((number, rest)) => (format!("blocks.{number}."), rest, self.inside),
            None => (String::new(), inner, self.outside),
        };
        let Some(&(begin, ..)) = rules.iter().find(|(begin, ..)| rest.starts_with(begin)) else {
            return vec![(name.to_owned(), Whole)];
        };
        let same = rules.iter().filter(|(other, ..)| *other == begin);
        same.map(|(_, to, part)| (format!("{place}{to}{}", &rest[begin.len()..]), *part)).collect()
    }
}
