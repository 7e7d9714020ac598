//! DINOv2 under its own names.

use super::families::*;
use crate::vit::preset::{Preset, row};

#[rustfmt::skip]
pub(super) static ROWS: [Preset; 16] = [
    row("dinov2_vits14", SMALL, 14, 518, SCALED.offset(), IMAGENET, 1.0, 0),
    row("dinov2_vitb14", BASE, 14, 518, SCALED.offset(), IMAGENET, 1.0, 0),
    row("dinov2_vitl14", LARGE, 14, 518, SCALED.offset(), IMAGENET, 1.0, 0),
    row("dinov2_vitg14", GIANT_GATED, 14, 518, GATED.offset(), IMAGENET, 1.0, 0),
    row("dinov2_vits14_reg", SMALL, 14, 518, SCALED.registers(4).unplaced(), IMAGENET, 1.0, 0),
    row("dinov2_vitb14_reg", BASE, 14, 518, SCALED.registers(4).unplaced(), IMAGENET, 1.0, 0),
    row("dinov2_vitl14_reg", LARGE, 14, 518, SCALED.registers(4).unplaced(), IMAGENET, 1.0, 0),
    row("dinov2_vitg14_reg", GIANT_GATED, 14, 518, GATED.registers(4).unplaced(), IMAGENET, 1.0, 0),
    row("dinov2_vits14_lc", SMALL, 14, 518, SCALED.linear().offset(), IMAGENET, 1.0, 1000),
    row("dinov2_vitb14_lc", BASE, 14, 518, SCALED.linear().offset(), IMAGENET, 1.0, 1000),
    row("dinov2_vitl14_lc", LARGE, 14, 518, SCALED.linear().offset(), IMAGENET, 1.0, 1000),
    row("dinov2_vitg14_lc", GIANT_GATED, 14, 518, GATED.linear().offset(), IMAGENET, 1.0, 1000),
    row("dinov2_vits14_reg_lc", SMALL, 14, 518, SCALED.linear().registers(4).unplaced(), IMAGENET, 1.0, 1000),
    row("dinov2_vitb14_reg_lc", BASE, 14, 518, SCALED.linear().registers(4).unplaced(), IMAGENET, 1.0, 1000),
    row("dinov2_vitl14_reg_lc", LARGE, 14, 518, SCALED.linear().registers(4).unplaced(), IMAGENET, 1.0, 1000),
    row("dinov2_vitg14_reg_lc", GIANT_GATED, 14, 518, GATED.linear().registers(4).unplaced(), IMAGENET, 1.0, 1000),
];
