//! timm's `NaFlexVit` networks, for pictures of one size.

use super::families::*;
use crate::vit::config::PositionResample;
use crate::vit::preset::{Family, Preset, Size, row, size};

const SO400M_RADIO: Size = size(1152, 27, 16, 4304.0 / 1152.0);

const LINEAR: PositionResample = PositionResample { linear: true, ..PositionResample::ANTIALIASED };
/// Proportions stay, and nothing widens.
const LINEAR_SQUARE: PositionResample =
    PositionResample { linear: true, square: true, ..PositionResample::BICUBIC };
const REGISTERED: Family = FC_GAP.scaled().registers(4).unplaced();
/// A grid keeps its proportions.
const PROPORTIONAL: Family = Family {
    position_resample: PositionResample { square: true, ..PositionResample::ANTIALIASED },
    ..REGISTERED
};
/// The same of positions by rows and by columns.
const BY_SIDES: Family = Family { position_resample: LINEAR_SQUARE, ..REGISTERED };
const SIGLIP: Family = Family { position_resample: LINEAR, ..MAP.tanh() };
const RADIO: Family =
    Family { position_resample: LINEAR_SQUARE, ..PLAIN.registers(7).unplaced().no_final_norm() };
const RADIO_CORNERS: Family =
    Family { position_resample: PositionResample { corners: true, ..LINEAR_SQUARE }, ..RADIO };

#[rustfmt::skip]
pub(super) static ROWS: [Preset; 14] = [
    row("naflexvit_base_patch16_gap", BASE, 16, 384, REGISTERED, HALF, 1.0, 1000),
    row("naflexvit_base_patch16_map", BASE, 16, 384, MAP.scaled().registers(1).unplaced(), HALF, 1.0, 1000),
    row("naflexvit_base_patch16_par_gap", BASE, 16, 384, PROPORTIONAL, HALF, 1.0, 1000),
    row("naflexvit_base_patch16_parfac_gap", BASE, 16, 384, BY_SIDES, HALF, 1.0, 1000),
    row("naflexvit_base_patch16_radio_v3", BASE, 16, 512, RADIO_CORNERS.scaled(), OPENAI, 1.0, 0),
    row("naflexvit_base_patch16_siglip", BASE, 16, 384, SIGLIP, HALF, 1.0, 0),
    row("naflexvit_giant_patch16_radio_v3", GIANT_24_HEADS, 16, 512, RADIO, OPENAI, 1.0, 0),
    row("naflexvit_huge_patch16_radio_v3", HUGE, 16, 512, RADIO_CORNERS, OPENAI, 1.0, 0),
    row("naflexvit_huge_patch16_radio_v4", HUGE, 16, 512, RADIO.registers(9), OPENAI, 1.0, 0),
    row("naflexvit_large_patch16_radio_v3", LARGE, 16, 512, RADIO.scaled(), OPENAI, 1.0, 0),
    row("naflexvit_so150m2_patch16_reg1_gap", SO150M2, 16, 384, FC_GAP.scaled().registers(1).unplaced().no_qkv_bias(), HALF, 1.0, 1000),
    row("naflexvit_so150m2_patch16_reg1_map", SO150M2, 16, 384, MAP.scaled().registers(1).unplaced().no_qkv_bias(), HALF, 1.0, 1000),
    row("naflexvit_so400m_patch16_radio_v4", SO400M_RADIO, 16, 512, RADIO.registers(9), OPENAI, 1.0, 0),
    row("naflexvit_so400m_patch16_siglip", SO400M, 16, 384, SIGLIP, HALF, 1.0, 0),
];
