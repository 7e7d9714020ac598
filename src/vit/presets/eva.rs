//! timm's `Eva` networks that this crate can run: EVA, EVA-02, ViTs with rotary positions, Perception Encoder, DINOv3 and
//! what is built like it.

use super::families::*;
use crate::kernels::{Activation, NormKind};
use crate::vit::config::{Mlp, Pool, Wiring};
use crate::vit::preset::{Eva, Family, Preset, Size, row, size};
use crate::vit::rotary::{Angles, Coordinates, Rotary};

const HUGE_PLUS: Size = size(1280, 32, 20, 4.0);
const SEVEN: Size = size(4096, 40, 32, 2.0);
const LINGBOT_GIANT: Size = size(1536, 40, 24, 8.0 / 3.0);
const EVA_TINY: Size = size(192, 12, 3, 8.0 / 3.0);
const EVA_SMALL: Size = size(384, 12, 6, 8.0 / 3.0);
const EVA_BASE: Size = size(768, 12, 12, 8.0 / 3.0);
const EVA02_ENORMOUS: Size = size(1792, 64, 16, 15360.0 / 1792.0);
const EVA_LARGE: Size = size(1024, 24, 16, 8.0 / 3.0);
const FIVE: Size = size(2432, 56, 32, 4.0);
const PE_LANG_LARGE: Size = size(1024, 23, 16, 4.0);
const PE_GIGANTIC: Size = size(1536, 50, 16, 35.0 / 6.0);
const PE_LANG_GIGANTIC: Size = size(1536, 47, 16, 35.0 / 6.0);

/// Rows and columns by number, as if the grid had so many.
const fn numbers(first: f32, reference: Option<u32>) -> Coordinates {
    let reference = match reference {
        Some(side) => Some([side; 2]),
        None => None,
    };
    Coordinates::Numbers { first, reference }
}

const fn powers(theta: f32, coordinates: Coordinates) -> Rotary {
    Rotary { coordinates, angles: Angles::Powers { theta }, columns_first: false, halves: false }
}

const fn columns_first(rotary: Rotary) -> Rotary {
    Rotary { columns_first: true, ..rotary }
}

const NO_ROTARY: Eva = Eva {
    rotary: None,
    pos_embed: true,
    attn_norm: false,
    mlp_norm: false,
    pool_heads: None,
    half_kv: 0,
    attn_only_layer_scale: false,
    pixels: None,
};
/// EVA: average pooling, then the norm.
const EVA: Family =
    Family { pool: Pool::Average, fc_norm: None, norm_eps: 1e-6, eva: Some(NO_ROTARY), ..PLAIN };
const EVA_CLIP: Family = Family { pool: Pool::Token, ..EVA };

const OF_EVA02: Eva = Eva { rotary: Some(powers(10000.0, numbers(0.0, Some(16)))), ..NO_ROTARY };
/// EVA-02's smaller ones: SwiGLU in one.
const EVA02: Family =
    Family { mlp: Mlp::GateFirst, activation: Activation::Silu, eva: Some(OF_EVA02), ..EVA };
/// Its larger ones: SwiGLU apart, with a norm.
const EVA02_NORMED: Family =
    Family { mlp: Mlp::GateApart, eva: Some(Eva { mlp_norm: true, ..OF_EVA02 }), ..EVA02 };
const EVA02_CLIP: Family = Family {
    pool: Pool::Token,
    eva: Some(Eva { mlp_norm: true, attn_norm: true, ..OF_EVA02 }),
    ..EVA02_NORMED
};

/// timm's own with registers and without a class token.
const SBB: Family =
    Family { class_token: false, layer_scale: true, eva: Some(Eva { pos_embed: false, ..OF_EVA02 }), ..EVA };

/// Naver's.
const OF_AXIAL: Eva =
    Eva { rotary: Some(columns_first(powers(100.0, numbers(0.0, None)))), pos_embed: false, ..NO_ROTARY };
const LEARNED: Rotary = Rotary { angles: Angles::Learned, ..columns_first(powers(10.0, numbers(0.0, None))) };
const OF_MIXED: Eva = Eva { rotary: Some(LEARNED), ..OF_AXIAL };
const AXIAL: Family = Family { layer_scale: true, pool: Pool::Token, eva: Some(OF_AXIAL), ..EVA };
const MIXED: Family = Family { eva: Some(OF_MIXED), ..AXIAL };
/// The same with learned positions as well.
const AXIAL_APE: Family =
    Family { no_embed_class: true, eva: Some(Eva { pos_embed: true, ..OF_AXIAL }), ..AXIAL };
const MIXED_APE: Family =
    Family { no_embed_class: true, eva: Some(Eva { pos_embed: true, ..OF_MIXED }), ..AXIAL };

const OF_DINOV3: Eva = Eva {
    rotary: Some(Rotary { halves: true, ..powers(100.0, Coordinates::Centres) }),
    pos_embed: false,
    ..NO_ROTARY
};
/// DINOv3; timm averages after the norm.
const DINOV3: Family = Family {
    qkv_bias: false,
    layer_scale: true,
    reg_tokens: 4,
    fc_norm: Some(false),
    norm_eps: 1e-5,
    eva: Some(OF_DINOV3),
    ..EVA
};
const DINOV3_QKVB: Family = Family { qkv_bias: true, ..DINOV3 };
const DINOV3_GATED: Family = Family { mlp: Mlp::GateApart, activation: Activation::Silu, ..DINOV3 };
const DINOV3_GATED_QKVB: Family = Family { qkv_bias: true, ..DINOV3_GATED };
const LINGBOT: Family = Family { pool: Pool::Token, ..DINOV3_QKVB };
const LINGBOT_GATED: Family = Family { pool: Pool::Token, ..DINOV3_GATED };

/// Sapiens 2: portraits, queries and keys brought to norm, in the middle half as many keys and values.
const fn sapiens2(half_kv: u32) -> Family {
    let eva = Eva { half_kv, attn_only_layer_scale: true, pixels: Some([1024, 768]), ..OF_DINOV3 };
    Family {
        mlp: Mlp::GateFirst,
        activation: Activation::Silu,
        layer_scale: true,
        pool: Pool::Token,
        reg_tokens: 8,
        fc_norm: Some(false),
        qk_norm: true,
        norm: NormKind::Rms,
        eva: Some(eva),
        ..EVA
    }
}
const SAPIENS2_BASE: Family = sapiens2(0);
const SAPIENS2_LARGE: Family = sapiens2(8);
const SAPIENS2_HUGE: Family = sapiens2(16);
const SAPIENS2_GIANT: Family = sapiens2(24);
const SAPIENS2_5B: Family = sapiens2(40);

/// Perception Encoder's rotary positions: from `first` on, for a grid of so many.
const fn of_pe(first: f32, side: u32) -> Eva {
    Eva {
        rotary: Some(columns_first(powers(10000.0, numbers(first, Some(side))))),
        pool_heads: Some(8),
        ..NO_ROTARY
    }
}
/// Without a norm behind the blocks.
const PE: Family = Family { pre_norm: true, fc_norm: Some(false), final_norm: false, norm_eps: 1e-5, ..EVA };
/// With attention pooling.
const PE_CORE: Family = Family { pool: Pool::Attention, pool_prefix: true, final_norm: true, ..PE };
const PE_CORE_14: Family = Family { eva: Some(of_pe(1.0, 14)), ..PE_CORE };
const PE_CORE_24: Family = Family { eva: Some(of_pe(1.0, 24)), ..PE_CORE };
const PE_SPATIAL: Family = Family { eva: Some(of_pe(1.0, 32)), ..PE };
const PE_LANG: Family = Family { layer_scale: true, ..PE_SPATIAL };
const PE_LANG_G: Family = Family { class_token: false, layer_scale: true, eva: Some(of_pe(0.0, 32)), ..PE };

#[rustfmt::skip]
pub(super) static ROWS: [Preset; 64] = [
    row("eva02_base_patch14_224", EVA_BASE, 14, 224, EVA02_NORMED, OPENAI, 0.9, 0),
    row("eva02_base_patch14_448", EVA_BASE, 14, 448, EVA02_NORMED, OPENAI.squash(), 1.0, 1000),
    row("eva02_base_patch16_clip_224", EVA_BASE, 16, 224, EVA02_CLIP, OPENAI, 0.9, 512),
    row("eva02_enormous_patch14_clip_224", EVA02_ENORMOUS, 14, 224, EVA_CLIP.wired(Wiring::PostNorm), OPENAI, 1.0, 1024),
    row("eva02_large_patch14_224", EVA_LARGE, 14, 224, EVA02_NORMED, OPENAI, 0.9, 0),
    row("eva02_large_patch14_448", EVA_LARGE, 14, 448, EVA02_NORMED, OPENAI.squash(), 1.0, 1000),
    row("eva02_large_patch14_clip_224", EVA_LARGE, 14, 224, EVA02_CLIP, OPENAI, 0.9, 768),
    row("eva02_large_patch14_clip_336", EVA_LARGE, 14, 336, EVA02_CLIP, OPENAI, 1.0, 768),
    row("eva02_small_patch14_224", EVA_SMALL, 14, 224, EVA02, OPENAI, 0.9, 0),
    row("eva02_small_patch14_336", EVA_SMALL, 14, 336, EVA02, OPENAI, 1.0, 1000),
    row("eva02_tiny_patch14_224", EVA_TINY, 14, 224, EVA02, OPENAI, 0.9, 0),
    row("eva02_tiny_patch14_336", EVA_TINY, 14, 336, EVA02, OPENAI, 1.0, 1000),
    row("eva_giant_patch14_224", GIANT, 14, 224, EVA, OPENAI, 0.9, 1000),
    row("eva_giant_patch14_336", GIANT, 14, 336, EVA, OPENAI.squash(), 1.0, 1000),
    row("eva_giant_patch14_560", GIANT, 14, 560, EVA, IMAGENET.squash(), 1.0, 1000),
    row("eva_giant_patch14_clip_224", GIANT, 14, 224, EVA_CLIP, OPENAI, 0.9, 1024),
    row("vit_5b_patch16_sapiens2", FIVE, 16, 1024, SAPIENS2_5B, IMAGENET.bilinear().squash(), 1.0, 0),
    row("vit_7b_patch16_dinov3", SEVEN, 16, 256, DINOV3_GATED, IMAGENET, 1.0, 0),
    row("vit_base_patch16_dinov3", BASE, 16, 256, DINOV3, IMAGENET, 1.0, 0),
    row("vit_base_patch16_dinov3_qkvb", BASE, 16, 256, DINOV3_QKVB, IMAGENET, 1.0, 0),
    row("vit_base_patch16_lingbot", BASE, 16, 512, LINGBOT, IMAGENET.bilinear().squash(), 1.0, 0),
    row("vit_base_patch16_rope_224", BASE, 16, 224, AXIAL, IMAGENET, 0.9, 1000),
    row("vit_base_patch16_rope_ape_224", BASE, 16, 224, AXIAL_APE, IMAGENET, 0.9, 1000),
    row("vit_base_patch16_rope_mixed_224", BASE, 16, 224, MIXED, IMAGENET, 0.9, 1000),
    row("vit_base_patch16_rope_mixed_ape_224", BASE, 16, 224, MIXED_APE, IMAGENET, 0.9, 1000),
    row("vit_base_patch16_rope_reg1_gap_256", BASE, 16, 256, SBB.registers(1), HALF, 0.95, 1000),
    row("vit_base_patch16_sapiens2", BASE, 16, 1024, SAPIENS2_BASE, IMAGENET.bilinear().squash(), 1.0, 0),
    row("vit_betwixt_patch16_rope_reg4_gap_256", BETWIXT, 16, 256, SBB.registers(4), OPENAI, 0.95, 1000),
    row("vit_giant_patch16_lingbot", LINGBOT_GIANT, 16, 512, LINGBOT_GATED, IMAGENET.bilinear().squash(), 1.0, 0),
    row("vit_giant_patch16_sapiens2", GIANT_24_HEADS, 16, 1024, SAPIENS2_GIANT, IMAGENET.bilinear().squash(), 1.0, 0),
    row("vit_huge_patch16_sapiens2", HUGE, 16, 1024, SAPIENS2_HUGE, IMAGENET.bilinear().squash(), 1.0, 0),
    row("vit_huge_plus_patch16_dinov3", HUGE_PLUS, 16, 256, DINOV3_GATED, IMAGENET, 1.0, 0),
    row("vit_huge_plus_patch16_dinov3_qkvb", HUGE_PLUS, 16, 256, DINOV3_GATED_QKVB, IMAGENET, 1.0, 0),
    row("vit_large_patch16_dinov3", LARGE, 16, 256, DINOV3, IMAGENET, 1.0, 0),
    row("vit_large_patch16_dinov3_qkvb", LARGE, 16, 256, DINOV3_QKVB, IMAGENET, 1.0, 0),
    row("vit_large_patch16_lingbot", LARGE, 16, 512, LINGBOT, IMAGENET.bilinear().squash(), 1.0, 0),
    row("vit_large_patch16_rope_224", LARGE, 16, 224, AXIAL, IMAGENET, 0.9, 1000),
    row("vit_large_patch16_rope_ape_224", LARGE, 16, 224, AXIAL_APE, IMAGENET, 0.9, 1000),
    row("vit_large_patch16_rope_mixed_224", LARGE, 16, 224, MIXED, IMAGENET, 0.9, 1000),
    row("vit_large_patch16_rope_mixed_ape_224", LARGE, 16, 224, MIXED_APE, IMAGENET, 0.9, 1000),
    row("vit_large_patch16_sapiens2", LARGE, 16, 1024, SAPIENS2_LARGE, IMAGENET.bilinear().squash(), 1.0, 0),
    row("vit_medium_patch16_rope_reg1_gap_256", MEDIUM, 16, 256, SBB.registers(1), HALF, 0.95, 1000),
    row("vit_mediumd_patch16_rope_reg1_gap_256", MEDIUM_DEEP, 16, 256, SBB.registers(1).no_qkv_bias(), HALF, 0.95, 1000),
    row("vit_pe_core_base_patch16_224", BASE, 16, 224, PE_CORE_14, HALF, 1.0, 1024),
    row("vit_pe_core_large_patch14_336", LARGE, 14, 336, PE_CORE_24, HALF, 1.0, 1024),
    row("vit_pe_core_small_patch16_384", SMALL, 16, 384, PE_CORE_24, HALF, 1.0, 512),
    row("vit_pe_core_tiny_patch16_384", TINY, 16, 384, PE_CORE_24, HALF, 1.0, 512),
    row("vit_pe_lang_gigantic_patch14_448", PE_LANG_GIGANTIC, 14, 448, PE_LANG_G, HALF, 1.0, 0),
    row("vit_pe_lang_large_patch14_448", PE_LANG_LARGE, 14, 448, PE_LANG, HALF, 1.0, 0),
    row("vit_pe_spatial_base_patch16_512", BASE, 16, 512, PE_SPATIAL, HALF, 1.0, 0),
    row("vit_pe_spatial_gigantic_patch14_448", PE_GIGANTIC, 14, 448, PE_LANG_G, HALF, 1.0, 0),
    row("vit_pe_spatial_large_patch14_448", LARGE, 14, 448, PE_SPATIAL, HALF, 1.0, 0),
    row("vit_pe_spatial_small_patch16_512", SMALL, 16, 512, PE_SPATIAL, HALF, 1.0, 0),
    row("vit_pe_spatial_tiny_patch16_512", TINY, 16, 512, PE_SPATIAL, HALF, 1.0, 0),
    row("vit_small_patch16_dinov3", SMALL, 16, 256, DINOV3, IMAGENET, 1.0, 0),
    row("vit_small_patch16_dinov3_qkvb", SMALL, 16, 256, DINOV3_QKVB, IMAGENET, 1.0, 0),
    row("vit_small_patch16_lingbot", SMALL, 16, 512, LINGBOT, IMAGENET.bilinear().squash(), 1.0, 0),
    row("vit_small_patch16_rope_224", SMALL, 16, 224, AXIAL, IMAGENET, 0.9, 1000),
    row("vit_small_patch16_rope_ape_224", SMALL, 16, 224, AXIAL_APE, IMAGENET, 0.9, 1000),
    row("vit_small_patch16_rope_mixed_224", SMALL, 16, 224, MIXED, IMAGENET, 0.9, 1000),
    row("vit_small_patch16_rope_mixed_ape_224", SMALL, 16, 224, MIXED_APE, IMAGENET, 0.9, 1000),
    row("vit_small_plus_patch16_dinov3", SMALL, 16, 256, DINOV3_GATED, IMAGENET, 1.0, 0),
    row("vit_small_plus_patch16_dinov3_qkvb", SMALL, 16, 256, DINOV3_GATED_QKVB, IMAGENET, 1.0, 0),
    row("vit_tiny_patch16_dinov3_qkvb", TINY, 16, 256, DINOV3_QKVB, IMAGENET, 1.0, 0),
];
