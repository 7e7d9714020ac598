//! timm's `Beit` and `VisionTransformerRelPos` networks: BEiT, BEiT v2, and ViTs with a relative position bias.

use super::families::*;
use crate::vit::config::{Pool, Wiring};
use crate::vit::preset::{Family, Preset, row};
use crate::vit::relative::{BiasSource, Relative, TableResample};

/// BEiT: a table of each block, average pooling, then the norm.
const BEIT: Family = Family {
    pool: Pool::Average,
    relative: Some(Relative {
        of_blocks: true,
        shared: false,
        source: BiasSource::Table(TableResample::Progression),
    }),
    ..SCALED
};

/// An MLP of each block or of all, of so many hidden values; the norm comes before pooling or behind it.
const fn relpos(hidden: u32, shared: bool, fc_norm: bool) -> Family {
    Family {
        pool: Pool::Average,
        class_token: false,
        qkv_bias: false,
        fc_norm: Some(fc_norm),
        relative: Some(Relative { of_blocks: !shared, shared, source: BiasSource::Mlp { hidden } }),
        ..SCALED
    }
}
const OWN: Family = relpos(128, false, true);
const SHARED_384: Family = relpos(384, true, false);
const SHARED_512: Family = relpos(512, true, false);
/// With a class token, which is pooled.
const CLASS: Family = Family { pool: Pool::Token, ..relpos(128, false, false).with_class_token() };
const CLASS_256: Family = Family { pool: Pool::Token, ..relpos(256, false, false).with_class_token() };
const PLUS_BIASED: Family = Family { qkv_bias: true, ..relpos(128, false, false) };
/// The norms come behind the branches.
const BEHIND: Family = Family { layer_scale: false, ..relpos(128, false, false).wired(Wiring::PostNorm) };

#[rustfmt::skip]
pub(super) static ROWS: [Preset; 21] = [
    row("beit_base_patch16_224", BASE, 16, 224, BEIT, HALF, 0.9, 1000),
    row("beit_base_patch16_384", BASE, 16, 384, BEIT, HALF, 1.0, 1000),
    row("beit_large_patch16_224", LARGE, 16, 224, BEIT, HALF, 0.9, 1000),
    row("beit_large_patch16_384", LARGE, 16, 384, BEIT, HALF, 1.0, 1000),
    row("beit_large_patch16_512", LARGE, 16, 512, BEIT, HALF, 1.0, 1000),
    row("beitv2_base_patch16_224", BASE, 16, 224, BEIT, IMAGENET, 0.9, 1000),
    row("beitv2_large_patch16_224", LARGE, 16, 224, BEIT, IMAGENET, 0.95, 1000),
    row("test_vit_relpos", TEST_3, 16, 160, OWN, HALF, 0.95, 1000),
    row("vit_relpos_base_patch16_224", BASE, 16, 224, OWN, HALF, 0.9, 1000),
    row("vit_relpos_base_patch16_cls_224", BASE, 16, 224, CLASS, HALF, 0.9, 1000),
    row("vit_relpos_base_patch16_clsgap_224", BASE, 16, 224, OWN.with_class_token(), HALF, 0.9, 1000),
    row("vit_relpos_base_patch16_plus_240", PLUS, 16, 240, PLUS_BIASED, HALF, 0.9, 1000),
    row("vit_relpos_base_patch16_rpn_224", BASE, 16, 224, BEHIND, HALF, 0.9, 1000),
    row("vit_relpos_base_patch32_plus_rpn_256", PLUS, 32, 256, Family { qkv_bias: true, ..BEHIND }, HALF, 0.9, 1000),
    row("vit_relpos_medium_patch16_224", MEDIUM, 16, 224, OWN, HALF, 0.9, 1000),
    row("vit_relpos_medium_patch16_cls_224", MEDIUM, 16, 224, CLASS_256, HALF, 0.9, 1000),
    row("vit_relpos_medium_patch16_rpn_224", MEDIUM, 16, 224, BEHIND, HALF, 0.9, 1000),
    row("vit_relpos_small_patch16_224", SMALL, 16, 224, OWN, HALF, 0.9, 1000),
    row("vit_relpos_small_patch16_rpn_224", SMALL, 16, 224, BEHIND, HALF, 0.9, 1000),
    row("vit_srelpos_medium_patch16_224", MEDIUM, 16, 224, SHARED_512, HALF, 0.9, 1000),
    row("vit_srelpos_small_patch16_224", SMALL, 16, 224, SHARED_384, HALF, 0.9, 1000),
];
