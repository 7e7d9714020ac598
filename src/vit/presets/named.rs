//! The architectures that are known by name. `tests/golden/check_presets.py` holds every row of the tables against timm
//! itself.

use super::{autoencoders, dino, dinov2, eva, naflex, refused, relative, timm};
use crate::error::{Error, Result};
use crate::vit::config::Config;
use crate::vit::preset::Preset;

/// The tables.
const TABLES: [&[Preset]; 7] = [
    &timm::ROWS,
    &eva::ROWS,
    &naflex::ROWS,
    &relative::ROWS,
    &dino::ROWS,
    &dinov2::ROWS,
    &autoencoders::ROWS,
];

/// Rows in all of them.
const COUNT: usize = {
    let (mut count, mut table) = (0, 0);
    while table < TABLES.len() {
        (count, table) = (count + TABLES[table].len(), table + 1);
    }
    count
};

impl Config {
    /// The architectures that are known by name: timm's, DINO's and DINOv2's own (`dinov2_vits14` and its like), and
    /// masked autoencoders of videos and sounds under their own names (`videomae_vit_base_patch16_224`,
    /// `mae_st_vit_large_patch16_224`, `audiomae_vit_base_patch16`).
    pub const PRESETS: [&'static str; COUNT] = names();

    /// An architecture with its library's defaults.
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
    TABLES.iter().copied().flatten().find(|preset| preset.name == name).ok_or_else(|| Error::Unsupported {
        field: "architecture".into(),
        value: format!("`{name}`"),
        why: refused::why(name).map(str::to_owned).unwrap_or_else(|| {
            format!(
                "{} architectures are known, among them {}",
                Config::PRESETS.len(),
                close(name).take(6).collect::<Vec<_>>().join(", ")
            )
        }),
    })
}

/// Those that begin most like a name, the closest first.
fn close(name: &str) -> impl Iterator<Item = &'static str> {
    let alike = |other: &str| name.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let all = || TABLES.iter().copied().flatten().map(|preset| preset.name);
    (0..=name.len()).rev().flat_map(move |count| all().filter(move |other| alike(other) == count))
}

/// The names in the order of the tables.
const fn names() -> [&'static str; COUNT] {
    let mut names = [""; COUNT];
    let (mut i, mut table) = (0, 0);
    while table < TABLES.len() {
        let mut row = 0;
        while row < TABLES[table].len() {
            names[i] = TABLES[table][row].name;
            (i, row) = (i + 1, row + 1);
        }
        table += 1;
    }
    names
}
