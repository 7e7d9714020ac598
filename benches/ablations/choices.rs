//! The rows of the table: one choice each, all others as they are by default.

use std::fmt;

use tome_wgpu::kernels::{MergeMode, Similarity};
use tome_wgpu::vit::{Config, Metric, Options};
use tome_wgpu::{Error, Schedule};

use crate::schedules;

/// One way to merge.
pub struct Row {
    pub what: &'static str,
    pub choice: String,
    pub options: Options,
}

/// A group of rows: what is chosen, from what, and how a choice is made.
struct Group {
    what: &'static str,
    choices: fn() -> Vec<&'static str>,
    set: fn(&mut Options, &str) -> Result<(), Error>,
}

/// The paper's Tables 1 and 2, and the choices that came later. A new one is a name in a list here, or none where the type
/// lists its own names.
const GROUPS: [Group; 7] = [
    Group {
        what: "feature",
        choices: || Metric::names().collect(),
        set: |options, name| name.parse().map(|metric| options.metric = metric),
    },
    Group {
        what: "distance",
        choices: || Similarity::names().collect(),
        set: |options, name| name.parse().map(|similarity| options.similarity = similarity),
    },
    Group {
        what: "combination",
        choices: || MergeMode::names().collect(),
        set: |options, name| name.parse().map(|merge| options.merge = merge),
    },
    Group {
        what: "partition",
        choices: || vec!["alternating", "sequential", "random:1", "every:4", "lines", "energy"],
        set: |options, name| name.parse().map(|partition| options.partition = partition),
    },
    Group {
        what: "matching",
        choices: || vec!["bipartite", "greedy", "kmeans:2", "kmeans:5", "prune-random:1", "prune-attention"],
        set: |options, name| name.parse().map(|matching| options.matching = matching),
    },
    Group {
        what: "sizes in matching",
        choices: || vec!["0", "0.5", "1"],
        set: |options, name| {
            let share = name.parse().map_err(|_| Error::Input(format!("`{name}` is no number")));
            share.map(|share| options.by_size = share)
        },
    },
    Group {
        what: "attention",
        choices: || vec!["proportional", "plain"],
        set: |options, name| {
            options.prop_attn = name == "proportional";
            Ok(())
        },
    },
];

/// The way of the network without merging, then every choice by itself.
pub fn rows(config: &Config, r: u32) -> Result<Vec<Row>, Error> {
    let of = |schedule: Schedule| Options::for_network(config, schedule);
    let constant = of(Schedule::constant(r));
    let mut rows = vec![Row { what: "merging", choice: "none".into(), options: of(Schedule::NONE) }];
    for group in &GROUPS {
        for name in (group.choices)() {
            let mut options = constant.clone();
            (group.set)(&mut options, name)?;
            let by_default = if options == constant { " (default)" } else { "" };
            rows.push(Row { what: group.what, choice: format!("{name}{by_default}"), options });
        }
    }
    for (choice, schedule) in schedules::alike(config, &constant) {
        rows.push(Row { what: "schedule", choice, options: of(schedule) });
    }
    Ok(rows)
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.choice)
    }
}
