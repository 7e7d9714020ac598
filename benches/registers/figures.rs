//! What every driver says of a shader, under common names.

use std::collections::BTreeMap;

use crate::assembly;

/// What a driver says of a shader.
#[derive(Default)]
pub struct Compiled {
    /// By the driver's own names.
    pub statistics: BTreeMap<String, f64>,
    /// Its texts by their names: intermediate code, and for many drivers that of the device.
    pub texts: Vec<(String, String)>,
}

impl Compiled {
    /// The device's own code, where the driver shows it.
    pub fn assembly(&self) -> Option<&str> {
        let is =
            |name: &str| ["assembly", "isa", "sass"].iter().any(|word| name.to_lowercase().contains(word));
        self.texts.iter().find(|(name, _)| is(name)).map(|(_, text)| text.as_str())
    }
}

/// A figure: its name, by which names drivers know it, and whether more of it is better.
pub struct Column {
    pub name: &'static str,
    /// In the order in which they are looked for; the sum of those in the first group of which any is there.
    statistics: &'static [&'static [&'static str]],
    pub more_is_better: bool,
}

const fn less(name: &'static str, statistics: &'static [&'static [&'static str]]) -> Column {
    Column { name, statistics, more_is_better: false }
}

const fn more(name: &'static str, statistics: &'static [&'static [&'static str]]) -> Column {
    Column { name, statistics, more_is_better: true }
}

/// In the order of the tables. Registers are those of a lane; memory is in bytes, local memory a lane's or a subgroup's
/// as the driver counts; occupancy is in subgroups: of a SIMD on AMD, of an SM on NVIDIA. The last two are of the hot
/// loop, from the device's code where that is shown and has one.
pub const COLUMNS: [Column; 8] = [
    less("registers", &[&["VGPRs"], &["Register Count"], &["Number of GPRs"], &["Max live registers"]]),
    less(
        "spills",
        &[
            &["Spilled VGPRs", "Spilled SGPRs"],
            &["Spills to memory", "Fills from memory"],
            &["Spill count", "Fill count"],
        ],
    ),
    less(
        "local",
        &[&["Scratch size"], &["Scratch Memory Size"], &["Local Memory Size", "Stack Size"], &["SLM Size"]],
    ),
    less("workgroup", &[&["LDS size"], &["Workgroup Memory Size"], &["Shared Memory Size"]]),
    more("occupancy", &[&["Subgroups per SIMD"], &["Max warps/SM"]]),
    less("instructions", &[&["Instructions"], &["Instruction count"]]),
    less("loop", &[]),
    more("matrices", &[]),
];

/// The places of some in [`COLUMNS`].
pub const SPILLS: usize = 1;
pub const LOCAL: usize = 2;
pub const MATRICES: usize = 7;

/// A shader's, in the order of [`COLUMNS`]; none where the driver does not say.
pub type Figures = [Option<u32>; COLUMNS.len()];

/// The common figures of what a driver says.
pub fn figures(compiled: &Compiled) -> Figures {
    let of = |name: &str| {
        let own = compiled.statistics.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        own.map(|(_, &value)| value as u32)
    };
    let mut all = COLUMNS.map(|column| {
        column
            .statistics
            .iter()
            .find_map(|group| group.iter().filter_map(|name| of(name)).reduce(|a, b| a + b))
    });
    if let Some(mix) = compiled.assembly().and_then(assembly::hot_loop) {
        [all[MATRICES - 1], all[MATRICES]] = [Some(mix.all), Some(mix.matrices)];
    }
    all
}

/// What no shader may have.
pub fn faults(figures: &Figures, by_matrices: bool) -> Vec<String> {
    let mut all = Vec::new();
    for column in [SPILLS, LOCAL] {
        if let Some(count @ 1..) = figures[column] {
            all.push(format!("{count} {}", ["registers spilled", "bytes of local memory"][column - SPILLS]));
        }
    }
    if by_matrices && figures[MATRICES] == Some(0) {
        all.push("no matrix units in its loop".into());
    }
    all
}
