//! DINO under its own names.

use super::families::*;
use crate::vit::preset::{Preset, row};

#[rustfmt::skip]
pub(super) static ROWS: [Preset; 4] = [
    row("dino_vits16", SMALL, 16, 224, PLAIN.offset(), IMAGENET, 0.875, 0),
    row("dino_vits8", SMALL, 8, 224, PLAIN.offset(), IMAGENET, 0.875, 0),
    row("dino_vitb16", BASE, 16, 224, PLAIN.offset(), IMAGENET, 0.875, 0),
    row("dino_vitb8", BASE, 8, 224, PLAIN.offset(), IMAGENET, 0.875, 0),
];
