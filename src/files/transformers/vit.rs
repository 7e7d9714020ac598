//! ViT, DeiT, ViTMAE, ViT-MSN and I-JEPA.

use super::class::Head;
use super::family::Family;
use crate::files::{names, processor};
use crate::vit::Pool;

pub(super) const VIT: Family = Family {
    name: "vit",
    whole: false,
    sizes: [768, 12, 12, 3072],
    qkv_bias: true,
    patch_size: 16,
    hidden_act: "gelu",
    norm_eps: 1e-12,
    pictures: processor::VIT,
    own: |_, _, _| Ok(&names::VIT),
};

pub(super) const FAMILIES: [Family; 5] = [
    VIT,
    Family {
        name: "deit",
        pictures: processor::DEIT,
        own: |config, _, head| {
            config.dist_token = true;
            config.pool = if head == Head::Teacher { Pool::Distilled } else { Pool::Token };
            Ok(&names::VIT)
        },
        ..VIT
    },
    Family {
        name: "vit_mae",
        own: |config, _, _| {
            config.prop_attn = false;
            Ok(&names::VIT)
        },
        ..VIT
    },
    Family { name: "vit_msn", norm_eps: 1e-6, ..VIT },
    Family {
        name: "ijepa",
        own: |config, _, _| {
            (config.class_token, config.pool) = (false, Pool::Average);
            Ok(&names::VIT)
        },
        ..VIT
    },
];
