//! The architectures that are known by name, as data: timm's `VisionTransformer`s that this crate can run, and DINOv2
//! under its own names. `tests/golden/check_presets.py` holds every row against timm itself.

use super::config::{Config, Mlp, Pool, PositionResample};
use super::preset::{Family, Picture, Preset, Size, picture, row, size};
use crate::error::{Error, Result};
use crate::kernels::Activation;

impl Config {
    /// The architectures that are known by name: timm's, and DINOv2's own (`dinov2_vits14` and its like).
    pub const PRESETS: [&'static str; ALL.len()] = names();

    /// An architecture with timm's defaults.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a name that is not in [`Config::PRESETS`].
    pub fn preset(name: &str) -> Result<Self> {
        named(name).map(Preset::config)
    }
}

/// The row of this name.
///
/// # Errors
/// [`Error::Unsupported`] where there is none.
pub(crate) fn named(name: &str) -> Result<&'static Preset> {
    ALL.iter().find(|preset| preset.name == name).ok_or_else(|| Error::Unsupported {
        field: "architecture".into(),
        value: format!("`{name}`"),
        why: format!(
            "{} architectures are known, among them {}",
            Config::PRESETS.len(),
            close(name).iter().take(6).copied().collect::<Vec<_>>().join(", ")
        ),
    })
}

/// Those that begin most like a name, the closest first.
fn close(name: &str) -> Vec<&'static str> {
    let alike = |other: &str| name.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let mut all = Config::PRESETS.to_vec();
    all.sort_by_key(|other| std::cmp::Reverse(alike(other)));
    all
}

/// The names in the order of the table.
const fn names<const N: usize>() -> [&'static str; N] {
    let mut names = [""; N];
    let mut i = 0;
    while i < N {
        names[i] = ALL[i].name;
        i += 1;
    }
    names
}

const TINY: Size = size(192, 12, 3, 4.0);
const XSMALL: Size = size(256, 10, 4, 4.0);
const WEE: Size = size(256, 14, 4, 5.0);
const LITTLE: Size = size(320, 14, 5, 5.6);
const SMALL: Size = size(384, 12, 6, 4.0);
const SMALL_36: Size = size(384, 36, 6, 4.0);
const MEDIUM: Size = size(512, 12, 8, 4.0);
const MEDIUM_DEEP: Size = size(512, 20, 8, 4.0);
const BETWIXT: Size = size(640, 12, 10, 4.0);
const BASE: Size = size(768, 12, 12, 4.0);
const BASE_16_HEADS: Size = size(768, 12, 16, 4.0);
const SO150M2: Size = size(832, 21, 13, 34.0 / 13.0);
const PLUS: Size = size(896, 12, 14, 4.0);
const SO150M: Size = size(896, 18, 14, 2.572);
const LARGE: Size = size(1024, 24, 16, 4.0);
const SO400M: Size = size(1152, 27, 16, 3.7362);
const HUGE: Size = size(1280, 32, 16, 4.0);
const GIANT: Size = size(1408, 40, 16, 48.0 / 11.0);
const GIANT_OPT: Size = size(1536, 40, 16, 4.0);
const GIANT_24_HEADS: Size = size(1536, 40, 24, 4.0);
const GIANT_GATED: Size = size(1536, 40, 24, 5.33334);
const GIGANTIC: Size = size(1664, 48, 16, 64.0 / 13.0);

const PLAIN: Family = Family {
    mlp: Mlp::Plain,
    activation: Activation::Gelu,
    qkv_bias: true,
    pool: Pool::Token,
    class_token: true,
    dist_token: false,
    reg_tokens: 0,
    no_embed_class: false,
    pre_norm: false,
    fc_norm: None,
    final_norm: true,
    layer_scale: false,
    norm_eps: 1e-6,
    position_resample: PositionResample { antialias: true, offset: 0.0 },
};
const DISTILLED: Family = Family { pool: Pool::Distilled, dist_token: true, ..PLAIN };
/// LayerScale.
const SCALED: Family = Family { layer_scale: true, ..PLAIN };
/// LayerScale and SwiGLU.
const GATED: Family = Family { mlp: Mlp::GateFirst, activation: Activation::Silu, ..SCALED };
const CLIP: Family = Family { pre_norm: true, norm_eps: 1e-5, ..PLAIN };
const QUICK_CLIP: Family = Family { activation: Activation::QuickGelu, ..CLIP };
/// Attention pooling.
const MAP: Family = Family { pool: Pool::Attention, class_token: false, ..PLAIN };
/// Average pooling after the final norm.
const GAP: Family = Family { pool: Pool::Average, class_token: false, fc_norm: Some(false), ..PLAIN };
/// Average pooling before the final norm.
const FC_GAP: Family = Family { fc_norm: Some(true), ..GAP };

const UNIT: Picture = picture([0.0; 3], [1.0; 3]);
const HALF: Picture = picture([0.5; 3], [0.5; 3]);
const IMAGENET: Picture = picture([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
const OPENAI: Picture = picture([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.261_302_6, 0.275_777_1]);

/// The table.
#[rustfmt::skip]
static ALL: [Preset; 157] = [
    row("deit3_base_patch16_224", BASE, 16, 224, SCALED.unplaced(), IMAGENET, 0.9, 1000),
    row("deit3_base_patch16_384", BASE, 16, 384, SCALED.unplaced(), IMAGENET, 1.0, 1000),
    row("deit3_huge_patch14_224", HUGE, 14, 224, SCALED.unplaced(), IMAGENET, 0.9, 1000),
    row("deit3_large_patch16_224", LARGE, 16, 224, SCALED.unplaced(), IMAGENET, 0.9, 1000),
    row("deit3_large_patch16_384", LARGE, 16, 384, SCALED.unplaced(), IMAGENET, 1.0, 1000),
    row("deit3_medium_patch16_224", MEDIUM, 16, 224, SCALED.unplaced(), IMAGENET, 0.9, 1000),
    row("deit3_small_patch16_224", SMALL, 16, 224, SCALED.unplaced(), IMAGENET, 0.9, 1000),
    row("deit3_small_patch16_384", SMALL, 16, 384, SCALED.unplaced(), IMAGENET, 1.0, 1000),
    row("deit_base_distilled_patch16_224", BASE, 16, 224, DISTILLED, IMAGENET, 0.9, 1000),
    row("deit_base_distilled_patch16_384", BASE, 16, 384, DISTILLED, IMAGENET, 1.0, 1000),
    row("deit_base_patch16_224", BASE, 16, 224, PLAIN, IMAGENET, 0.9, 1000),
    row("deit_base_patch16_384", BASE, 16, 384, PLAIN, IMAGENET, 1.0, 1000),
    row("deit_small_distilled_patch16_224", SMALL, 16, 224, DISTILLED, IMAGENET, 0.9, 1000),
    row("deit_small_patch16_224", SMALL, 16, 224, PLAIN, IMAGENET, 0.9, 1000),
    row("deit_tiny_distilled_patch16_224", TINY, 16, 224, DISTILLED, IMAGENET, 0.9, 1000),
    row("deit_tiny_patch16_224", TINY, 16, 224, PLAIN, IMAGENET, 0.9, 1000),
    row("eva_large_patch14_196", LARGE, 14, 196, FC_GAP.with_class_token(), OPENAI, 1.0, 1000),
    row("eva_large_patch14_336", LARGE, 14, 336, FC_GAP.with_class_token(), OPENAI.squash(), 1.0, 1000),
    row("flexivit_base", BASE, 16, 240, PLAIN.unplaced(), HALF, 0.95, 1000),
    row("flexivit_large", LARGE, 16, 240, PLAIN.unplaced(), HALF, 0.95, 1000),
    row("flexivit_small", SMALL, 16, 240, PLAIN.unplaced(), HALF, 0.95, 1000),
    row("vit_base_patch8_224", BASE, 8, 224, PLAIN, HALF, 0.9, 1000),
    row("vit_base_patch14_dinov2", BASE, 14, 518, SCALED, IMAGENET, 1.0, 0),
    row("vit_base_patch14_reg1_tipsv2", BASE, 14, 448, SCALED.registers(1).unplaced(), UNIT, 1.0, 0),
    row("vit_base_patch14_reg4_dinov2", BASE, 14, 518, SCALED.registers(4).unplaced(), IMAGENET, 1.0, 0),
    row("vit_base_patch16_224", BASE, 16, 224, PLAIN, HALF, 0.9, 1000),
    row("vit_base_patch16_224_miil", BASE, 16, 224, PLAIN.no_qkv_bias(), UNIT.bilinear(), 0.875, 11221),
    row("vit_base_patch16_384", BASE, 16, 384, PLAIN, HALF, 1.0, 1000),
    row("vit_base_patch16_clip_224", BASE, 16, 224, CLIP, OPENAI, 0.95, 1000),
    row("vit_base_patch16_clip_384", BASE, 16, 384, CLIP, OPENAI.squash(), 1.0, 1000),
    row("vit_base_patch16_clip_quickgelu_224", BASE, 16, 224, QUICK_CLIP, OPENAI, 1.0, 512),
    row("vit_base_patch16_gap_224", BASE_16_HEADS, 16, 224, GAP, HALF, 0.9, 1000),
    row("vit_base_patch16_plus_240", PLUS, 16, 240, SCALED, HALF, 0.95, 1000),
    row("vit_base_patch16_plus_clip_240", PLUS, 16, 240, CLIP, OPENAI, 1.0, 640),
    row("vit_base_patch16_radio_v3", BASE, 16, 512, SCALED.registers(7).unplaced().no_final_norm(), OPENAI, 1.0, 0),
    row("vit_base_patch16_reg4_gap_256", BASE, 16, 256, FC_GAP.registers(4).unplaced(), HALF, 0.9, 1000),
    row("vit_base_patch16_siglip_224", BASE, 16, 224, MAP, HALF, 0.9, 0),
    row("vit_base_patch16_siglip_256", BASE, 16, 256, MAP, HALF, 0.9, 0),
    row("vit_base_patch16_siglip_384", BASE, 16, 384, MAP, HALF, 0.9, 0),
    row("vit_base_patch16_siglip_512", BASE, 16, 512, MAP, HALF, 0.9, 0),
    row("vit_base_patch16_siglip_gap_224", BASE, 16, 224, GAP, HALF, 0.9, 0),
    row("vit_base_patch16_siglip_gap_256", BASE, 16, 256, GAP, HALF, 0.9, 0),
    row("vit_base_patch16_siglip_gap_384", BASE, 16, 384, GAP, HALF, 0.9, 0),
    row("vit_base_patch16_siglip_gap_512", BASE, 16, 512, GAP, HALF, 0.9, 0),
    row("vit_base_patch32_224", BASE, 32, 224, PLAIN, HALF, 0.9, 1000),
    row("vit_base_patch32_384", BASE, 32, 384, PLAIN, HALF, 1.0, 1000),
    row("vit_base_patch32_clip_224", BASE, 32, 224, CLIP, OPENAI, 0.9, 1000),
    row("vit_base_patch32_clip_256", BASE, 32, 256, CLIP, OPENAI, 1.0, 512),
    row("vit_base_patch32_clip_384", BASE, 32, 384, CLIP, OPENAI, 1.0, 1000),
    row("vit_base_patch32_clip_448", BASE, 32, 448, CLIP, OPENAI, 1.0, 1000),
    row("vit_base_patch32_clip_quickgelu_224", BASE, 32, 224, QUICK_CLIP, OPENAI, 0.9, 512),
    row("vit_base_patch32_plus_256", PLUS, 32, 256, SCALED, HALF, 0.95, 1000),
    row("vit_base_patch32_siglip_256", BASE, 32, 256, MAP.tanh(), HALF, 0.9, 0),
    row("vit_base_patch32_siglip_gap_256", BASE, 32, 256, GAP.tanh(), HALF, 0.9, 0),
    row("vit_betwixt_patch16_gap_256", BETWIXT, 16, 256, GAP.scaled().no_qkv_bias(), HALF, 0.95, 1000),
    row("vit_betwixt_patch16_reg1_gap_256", BETWIXT, 16, 256, FC_GAP.scaled().registers(1).unplaced(), HALF, 0.95, 1000),
    row("vit_betwixt_patch16_reg4_gap_256", BETWIXT, 16, 256, FC_GAP.scaled().registers(4).unplaced(), HALF, 0.95, 1000),
    row("vit_betwixt_patch16_reg4_gap_384", BETWIXT, 16, 384, FC_GAP.scaled().registers(4).unplaced(), HALF, 1.0, 1000),
    row("vit_betwixt_patch32_clip_224", BETWIXT, 32, 224, CLIP, OPENAI, 0.9, 512),
    row("vit_giant_patch14_224", GIANT, 14, 224, PLAIN, HALF, 0.9, 1000),
    row("vit_giant_patch14_clip_224", GIANT, 14, 224, CLIP, OPENAI, 1.0, 1024),
    row("vit_giant_patch14_dinov2", GIANT_GATED, 14, 518, GATED, IMAGENET, 1.0, 0),
    row("vit_giant_patch14_reg1_tipsv2", GIANT_GATED, 14, 448, GATED.registers(1).unplaced(), UNIT, 1.0, 0),
    row("vit_giant_patch14_reg4_dinov2", GIANT_GATED, 14, 518, GATED.registers(4).unplaced(), IMAGENET, 1.0, 0),
    row("vit_giant_patch16_gap_224", GIANT, 16, 224, GAP, IMAGENET, 0.9, 0),
    row("vit_giant_patch16_radio_v3", GIANT_24_HEADS, 16, 512, PLAIN.registers(7).unplaced().no_final_norm(), OPENAI, 1.0, 0),
    row("vit_giantopt_patch16_siglip_256", GIANT_OPT, 16, 256, MAP.tanh(), HALF, 0.9, 0),
    row("vit_giantopt_patch16_siglip_384", GIANT_OPT, 16, 384, MAP.tanh(), HALF, 0.9, 0),
    row("vit_giantopt_patch16_siglip_gap_256", GIANT_OPT, 16, 256, GAP.tanh(), HALF, 0.9, 0),
    row("vit_giantopt_patch16_siglip_gap_384", GIANT_OPT, 16, 384, GAP.tanh(), HALF, 0.9, 0),
    row("vit_gigantic_patch14_224", GIGANTIC, 14, 224, PLAIN, HALF, 0.9, 1000),
    row("vit_gigantic_patch14_clip_224", GIGANTIC, 14, 224, CLIP, OPENAI, 1.0, 1280),
    row("vit_gigantic_patch14_clip_378", GIGANTIC, 14, 378, CLIP, OPENAI.squash(), 1.0, 1280),
    row("vit_gigantic_patch14_clip_quickgelu_224", GIGANTIC, 14, 224, QUICK_CLIP, OPENAI, 1.0, 1280),
    row("vit_huge_patch14_224", HUGE, 14, 224, PLAIN, HALF, 0.9, 0),
    row("vit_huge_patch14_clip_224", HUGE, 14, 224, CLIP, OPENAI, 1.0, 1000),
    row("vit_huge_patch14_clip_336", HUGE, 14, 336, CLIP, OPENAI.squash(), 1.0, 1000),
    row("vit_huge_patch14_clip_378", HUGE, 14, 378, CLIP, OPENAI, 1.0, 1024),
    row("vit_huge_patch14_clip_quickgelu_224", HUGE, 14, 224, QUICK_CLIP, OPENAI, 1.0, 1024),
    row("vit_huge_patch14_clip_quickgelu_378", HUGE, 14, 378, QUICK_CLIP, OPENAI, 1.0, 1024),
    row("vit_huge_patch14_gap_224", HUGE, 14, 224, GAP, IMAGENET, 0.9, 0),
    row("vit_huge_patch16_gap_448", HUGE, 16, 448, GAP, IMAGENET, 1.0, 0),
    row("vit_huge_patch16_radio_v3", HUGE, 16, 512, PLAIN.registers(7).unplaced().no_final_norm(), OPENAI, 1.0, 0),
    row("vit_huge_patch16_radio_v4", HUGE, 16, 512, PLAIN.registers(9).unplaced().no_final_norm(), OPENAI, 1.0, 0),
    row("vit_intern300m_patch14_448", LARGE, 14, 448, SCALED.no_final_norm(), IMAGENET, 1.0, 0),
    row("vit_large_patch14_224", LARGE, 14, 224, PLAIN, HALF, 0.9, 1000),
    row("vit_large_patch14_clip_224", LARGE, 14, 224, CLIP, HALF, 1.0, 1000),
    row("vit_large_patch14_clip_336", LARGE, 14, 336, CLIP, HALF.squash(), 1.0, 1000),
    row("vit_large_patch14_clip_quickgelu_224", LARGE, 14, 224, QUICK_CLIP, OPENAI, 1.0, 768),
    row("vit_large_patch14_clip_quickgelu_336", LARGE, 14, 336, QUICK_CLIP, OPENAI, 1.0, 768),
    row("vit_large_patch14_dinov2", LARGE, 14, 518, SCALED, IMAGENET, 1.0, 0),
    row("vit_large_patch14_reg1_tipsv2", LARGE, 14, 448, SCALED.registers(1).unplaced(), UNIT, 1.0, 0),
    row("vit_large_patch14_reg4_dinov2", LARGE, 14, 518, SCALED.registers(4).unplaced(), IMAGENET, 1.0, 0),
    row("vit_large_patch16_224", LARGE, 16, 224, PLAIN, HALF, 0.9, 1000),
    row("vit_large_patch16_384", LARGE, 16, 384, PLAIN, HALF, 1.0, 1000),
    row("vit_large_patch16_radio_v3", LARGE, 16, 512, SCALED.registers(7).unplaced().no_final_norm(), OPENAI, 1.0, 0),
    row("vit_large_patch16_siglip_256", LARGE, 16, 256, MAP, HALF, 0.9, 0),
    row("vit_large_patch16_siglip_384", LARGE, 16, 384, MAP, HALF, 0.9, 0),
    row("vit_large_patch16_siglip_512", LARGE, 16, 512, MAP.tanh(), HALF, 0.9, 0),
    row("vit_large_patch16_siglip_gap_256", LARGE, 16, 256, GAP, HALF, 0.9, 0),
    row("vit_large_patch16_siglip_gap_384", LARGE, 16, 384, GAP, HALF, 0.9, 0),
    row("vit_large_patch16_siglip_gap_512", LARGE, 16, 512, GAP.tanh(), HALF, 0.9, 0),
    row("vit_large_patch32_224", LARGE, 32, 224, PLAIN, HALF, 0.9, 0),
    row("vit_large_patch32_384", LARGE, 32, 384, PLAIN, HALF, 1.0, 1000),
    row("vit_little_patch16_reg1_gap_256", LITTLE, 16, 256, FC_GAP.scaled().registers(1).unplaced(), HALF, 0.95, 1000),
    row("vit_little_patch16_reg4_gap_256", LITTLE, 16, 256, FC_GAP.scaled().registers(4).unplaced(), HALF, 0.95, 1000),
    row("vit_medium_patch16_clip_224", MEDIUM, 16, 224, CLIP, OPENAI, 0.9, 512),
    row("vit_medium_patch16_gap_240", MEDIUM, 16, 240, GAP.scaled().no_qkv_bias(), HALF, 0.95, 11821),
    row("vit_medium_patch16_gap_256", MEDIUM, 16, 256, GAP.scaled().no_qkv_bias(), HALF, 0.95, 1000),
    row("vit_medium_patch16_gap_384", MEDIUM, 16, 384, GAP.scaled().no_qkv_bias(), HALF.squash(), 0.95, 1000),
    row("vit_medium_patch16_reg1_gap_256", MEDIUM, 16, 256, FC_GAP.scaled().registers(1).unplaced(), HALF, 0.95, 1000),
    row("vit_medium_patch16_reg4_gap_256", MEDIUM, 16, 256, FC_GAP.scaled().registers(4).unplaced(), HALF, 0.95, 1000),
    row("vit_medium_patch32_clip_224", MEDIUM, 32, 224, CLIP, OPENAI, 0.9, 512),
    row("vit_mediumd_patch16_reg4_gap_256", MEDIUM_DEEP, 16, 256, FC_GAP.scaled().registers(4).unplaced(), HALF, 0.95, 1000),
    row("vit_mediumd_patch16_reg4_gap_384", MEDIUM_DEEP, 16, 384, FC_GAP.scaled().registers(4).unplaced(), HALF, 1.0, 1000),
    row("vit_small_patch8_224", SMALL, 8, 224, PLAIN, IMAGENET, 0.9, 0),
    row("vit_small_patch14_dinov2", SMALL, 14, 518, SCALED, IMAGENET, 1.0, 0),
    row("vit_small_patch14_reg4_dinov2", SMALL, 14, 518, SCALED.registers(4).unplaced(), IMAGENET, 1.0, 0),
    row("vit_small_patch16_36x1_224", SMALL_36, 16, 224, SCALED, HALF, 0.9, 1000),
    row("vit_small_patch16_224", SMALL, 16, 224, PLAIN, HALF, 0.9, 1000),
    row("vit_small_patch16_384", SMALL, 16, 384, PLAIN, HALF, 1.0, 1000),
    row("vit_small_patch32_224", SMALL, 32, 224, PLAIN, HALF, 0.9, 1000),
    row("vit_small_patch32_384", SMALL, 32, 384, PLAIN, HALF, 1.0, 1000),
    row("vit_so150m2_patch16_reg1_gap_256", SO150M2, 16, 256, FC_GAP.scaled().registers(1).no_qkv_bias(), HALF, 1.0, 1000),
    row("vit_so150m2_patch16_reg1_gap_384", SO150M2, 16, 384, FC_GAP.scaled().registers(1).no_qkv_bias(), HALF, 1.0, 1000),
    row("vit_so150m2_patch16_reg1_gap_448", SO150M2, 16, 448, FC_GAP.scaled().registers(1).no_qkv_bias(), HALF.squash(), 1.0, 1000),
    row("vit_so150m_patch16_reg4_gap_256", SO150M, 16, 256, GAP.registers(4), HALF, 0.95, 1000),
    row("vit_so150m_patch16_reg4_gap_384", SO150M, 16, 384, GAP.registers(4), HALF, 1.0, 1000),
    row("vit_so150m_patch16_reg4_map_256", SO150M, 16, 256, MAP.registers(4), HALF, 0.9, 1000),
    row("vit_so400m_patch14_reg1_tipsv2", SO400M, 14, 448, SCALED.registers(1).unplaced(), UNIT, 1.0, 0),
    row("vit_so400m_patch14_siglip_224", SO400M, 14, 224, MAP, HALF, 0.9, 0),
    row("vit_so400m_patch14_siglip_378", SO400M, 14, 378, MAP, HALF, 0.9, 0),
    row("vit_so400m_patch14_siglip_384", SO400M, 14, 384, MAP, HALF, 0.9, 0),
    row("vit_so400m_patch14_siglip_gap_224", SO400M, 14, 224, GAP, HALF, 0.9, 0),
    row("vit_so400m_patch14_siglip_gap_378", SO400M, 14, 378, GAP, HALF, 0.9, 0),
    row("vit_so400m_patch14_siglip_gap_384", SO400M, 14, 384, GAP, HALF, 1.0, 0),
    row("vit_so400m_patch14_siglip_gap_448", SO400M, 14, 448, GAP, HALF, 1.0, 0),
    row("vit_so400m_patch14_siglip_gap_896", SO400M, 14, 896, GAP, HALF, 1.0, 0),
    row("vit_so400m_patch16_radio_v4", SO400M, 16, 512, PLAIN.registers(9).unplaced().no_final_norm(), OPENAI, 1.0, 0),
    row("vit_so400m_patch16_siglip_256", SO400M, 16, 256, MAP.tanh(), HALF, 0.9, 0),
    row("vit_so400m_patch16_siglip_384", SO400M, 16, 384, MAP.tanh(), HALF, 0.9, 0),
    row("vit_so400m_patch16_siglip_512", SO400M, 16, 512, MAP.tanh(), HALF, 0.9, 0),
    row("vit_so400m_patch16_siglip_gap_256", SO400M, 16, 256, GAP.tanh(), HALF, 0.9, 0),
    row("vit_so400m_patch16_siglip_gap_384", SO400M, 16, 384, GAP.tanh(), HALF, 0.9, 0),
    row("vit_so400m_patch16_siglip_gap_512", SO400M, 16, 512, GAP.tanh(), HALF, 0.9, 0),
    row("vit_tiny_patch16_224", TINY, 16, 224, PLAIN, HALF, 0.9, 1000),
    row("vit_tiny_patch16_384", TINY, 16, 384, PLAIN, HALF, 1.0, 1000),
    row("vit_wee_patch16_reg1_gap_256", WEE, 16, 256, FC_GAP.scaled().registers(1).unplaced(), HALF, 0.95, 1000),
    row("vit_xsmall_patch16_clip_224", XSMALL, 16, 224, CLIP, OPENAI, 0.9, 512),
    row("dinov2_vits14", SMALL, 14, 518, SCALED.offset(), IMAGENET, 1.0, 0),
    row("dinov2_vitb14", BASE, 14, 518, SCALED.offset(), IMAGENET, 1.0, 0),
    row("dinov2_vitl14", LARGE, 14, 518, SCALED.offset(), IMAGENET, 1.0, 0),
    row("dinov2_vitg14", GIANT_GATED, 14, 518, GATED.offset(), IMAGENET, 1.0, 0),
    row("dinov2_vits14_reg", SMALL, 14, 518, SCALED.registers(4).unplaced(), IMAGENET, 1.0, 0),
    row("dinov2_vitb14_reg", BASE, 14, 518, SCALED.registers(4).unplaced(), IMAGENET, 1.0, 0),
    row("dinov2_vitl14_reg", LARGE, 14, 518, SCALED.registers(4).unplaced(), IMAGENET, 1.0, 0),
    row("dinov2_vitg14_reg", GIANT_GATED, 14, 518, GATED.registers(4).unplaced(), IMAGENET, 1.0, 0),
];
