//! The sizes, options and pictures that rows of the tables share.

use crate::kernels::{Activation, NormKind};
use crate::vit::config::{Mlp, Pool, PositionResample, Wiring};
use crate::vit::preset::{Family, Picture, Size, picture, size};

pub(super) const TINY: Size = size(192, 12, 3, 4.0);
pub(super) const TEST: Size = size(64, 6, 2, 3.0);
pub(super) const TEST_2: Size = size(64, 8, 2, 3.0);
pub(super) const TEST_3: Size = size(96, 9, 3, 2.0);
pub(super) const TEST_4: Size = size(96, 9, 3, 3.0);
pub(super) const XSMALL: Size = size(256, 10, 4, 4.0);
pub(super) const WEE: Size = size(256, 14, 4, 5.0);
pub(super) const PWEE: Size = size(256, 16, 4, 5.0);
pub(super) const LITTLE: Size = size(320, 14, 5, 5.6);
pub(super) const SMALL: Size = size(384, 12, 6, 4.0);
pub(super) const SMALL_36: Size = size(384, 36, 6, 4.0);
pub(super) const MEDIUM: Size = size(512, 12, 8, 4.0);
pub(super) const MEDIUM_DEEP: Size = size(512, 20, 8, 4.0);
pub(super) const BETWIXT: Size = size(640, 12, 10, 4.0);
pub(super) const BASE: Size = size(768, 12, 12, 4.0);
pub(super) const BASE_16_HEADS: Size = size(768, 12, 16, 4.0);
pub(super) const SO150M2: Size = size(832, 21, 13, 34.0 / 13.0);
pub(super) const PLUS: Size = size(896, 12, 14, 4.0);
pub(super) const SO150M: Size = size(896, 18, 14, 2.572);
pub(super) const LARGE: Size = size(1024, 24, 16, 4.0);
pub(super) const SO400M: Size = size(1152, 27, 16, 3.7362);
pub(super) const HUGE: Size = size(1280, 32, 16, 4.0);
pub(super) const GIANT: Size = size(1408, 40, 16, 48.0 / 11.0);
pub(super) const GIANT_OPT: Size = size(1536, 40, 16, 4.0);
pub(super) const GIANT_24_HEADS: Size = size(1536, 40, 24, 4.0);
pub(super) const GIANT_GATED: Size = size(1536, 40, 24, 5.33334);
pub(super) const BEIT3_GIANT: Size = size(1408, 40, 16, 4.3637);
pub(super) const AIM_LARGE: Size = size(1024, 24, 8, 2.75);
pub(super) const AIM_HUGE: Size = size(1536, 24, 12, 2.6667);
pub(super) const AIM_1B: Size = size(2048, 24, 16, 2.75);
pub(super) const AIM_3B: Size = size(3072, 24, 24, 2.6667);
pub(super) const GIGANTIC: Size = size(1664, 48, 16, 64.0 / 13.0);

pub(super) const PLAIN: Family = Family {
    wiring: Wiring::Serial,
    mlp: Mlp::Plain,
    activation: Activation::Gelu,
    qkv_bias: true,
    proj_bias: true,
    inner_norms: false,
    qk_norm: false,
    pool: Pool::Token,
    class_token: true,
    dist_token: false,
    reg_tokens: 0,
    no_embed_class: false,
    embed_norm: false,
    pre_norm: false,
    pool_prefix: false,
    fc_norm: None,
    final_norm: true,
    layer_scale: false,
    norm: NormKind::Layer,
    norm_eps: 1e-6,
    position_resample: PositionResample::ANTIALIASED,
    eva: None,
    autoencoder: None,
    relative: None,
};
pub(super) const DISTILLED: Family = Family { pool: Pool::Distilled, dist_token: true, ..PLAIN };
/// LayerScale.
pub(super) const SCALED: Family = Family { layer_scale: true, ..PLAIN };
/// LayerScale and SwiGLU.
pub(super) const GATED: Family = Family { mlp: Mlp::GateFirst, activation: Activation::Silu, ..SCALED };
pub(super) const CLIP: Family = Family { pre_norm: true, norm_eps: 1e-5, ..PLAIN };
pub(super) const QUICK_CLIP: Family = Family { activation: Activation::QuickGelu, ..CLIP };
/// Attention pooling.
pub(super) const MAP: Family = Family { pool: Pool::Attention, class_token: false, ..PLAIN };
/// Average pooling after the final norm.
pub(super) const GAP: Family =
    Family { pool: Pool::Average, class_token: false, fc_norm: Some(false), ..PLAIN };
/// Average pooling before the final norm.
pub(super) const FC_GAP: Family = Family { fc_norm: Some(true), ..GAP };

/// AIMv2: RmsNorm, also of the patches, SwiGLU, and no biases.
pub(super) const AIM: Family = Family {
    mlp: Mlp::GateApart,
    activation: Activation::Silu,
    qkv_bias: false,
    proj_bias: false,
    embed_norm: true,
    norm: NormKind::Rms,
    norm_eps: 1e-5,
    ..GAP
};
/// Norms inside of the blocks, pooled as [`FC_GAP`].
pub(super) const BEIT3: Family = Family { inner_norms: true, norm_eps: 1e-5, class_token: true, ..FC_GAP };

/// The norms come behind the branches.
pub(super) const POST_NORM: Family = FC_GAP.no_qkv_bias().wired(Wiring::PostNorm);
/// The branches stand side by side.
pub(super) const PARALLEL: Family = Family {
    wiring: Wiring::Parallel,
    qkv_bias: false,
    qk_norm: true,
    no_embed_class: true,
    pre_norm: true,
    norm: NormKind::Rms,
    ..PLAIN
};

pub(super) const UNIT: Picture = picture([0.0; 3], [1.0; 3]);
pub(super) const HALF: Picture = picture([0.5; 3], [0.5; 3]);
pub(super) const IMAGENET: Picture = picture([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
pub(super) const OPENAI: Picture =
    picture([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.261_302_6, 0.275_777_1]);
