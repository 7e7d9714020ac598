//! Figures in a file: JSON with one line a shader, sorted, so that what changed can be read.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::{fs, io};

use serde_json::{Value, json};

use crate::figures::{COLUMNS, Figures, faults};

/// What a device's driver made of every shader.
pub struct Table {
    pub device: String,
    pub driver: String,
    /// By their names.
    pub shaders: BTreeMap<String, Figures>,
}

impl Table {
    /// Reads one, also of other columns: those that it lacks are empty.
    pub fn read(file: &str) -> Table {
        let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{file}: {e}"));
        let json: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{file}: {e}"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let columns: Vec<String> = json["columns"].as_array().into_iter().flatten().map(text).collect();
        let place = |name| columns.iter().position(|column| column == name);
        let figures =
            |row: &Value| COLUMNS.each_ref().map(|column| Some(row[place(column.name)?].as_u64()? as u32));
        let shaders = json["shaders"].as_object().into_iter().flatten();
        Table {
            device: text(&json["device"]),
            driver: text(&json["driver"]),
            shaders: shaders.map(|(name, row)| (name.clone(), figures(row))).collect(),
        }
    }

    /// Writes it, with more below a name of its own where there is more.
    pub fn write(
        &self,
        file: &str,
        statistics: Option<&BTreeMap<String, BTreeMap<String, f64>>>,
    ) -> io::Result<()> {
        let mut text = String::from("{\n");
        let columns = COLUMNS.each_ref().map(|column| column.name);
        let head =
            [("device", json!(self.device)), ("driver", json!(self.driver)), ("columns", json!(columns))];
        for (name, value) in head {
            // Writing to a string does not fail.
            _ = writeln!(text, "\"{name}\": {value},");
        }
        text += "\"shaders\": {\n";
        text += &rows(&self.shaders);
        if let Some(statistics) = statistics {
            text += "},\n\"statistics\": {\n";
            text += &rows(statistics);
        }
        text += "}\n}\n";
        fs::write(file, text)
    }
}

fn rows(of: &BTreeMap<String, impl serde::Serialize>) -> String {
    let lines: Vec<String> =
        of.iter().map(|(name, row)| format!("{}: {}", json!(name), json!(row))).collect();
    lines.join(",\n") + "\n"
}

/// What is more than 5 % worse than in another table: less is a few registers or instructions here or there.
fn worse(than: &Figures, now: &Figures) -> Vec<String> {
    let columns = COLUMNS.iter().zip(than.iter().zip(now));
    let worse = columns.filter_map(|(column, (&than, &now))| {
        let than = than?;
        let Some(now) = now else { return Some(format!("{} {than} -> unknown", column.name)) };
        let (small, large) = if column.more_is_better { (now, than) } else { (than, now) };
        let is = f64::from(large) > f64::from(small) * 1.05;
        is.then(|| format!("{} {than} -> {now}", column.name))
    });
    worse.collect()
}

/// Says what is worse or wrong now, and counts it. Of the other table those shaders count that are `wanted`.
pub fn complaints(
    old: &Table,
    now: &Table,
    wanted: impl Fn(&str) -> bool,
    by_matrices: impl Fn(&str) -> bool,
) -> usize {
    let mut count = 0;
    let mut complain = |name: &str, what: String| {
        println!("WORSE: {name}: {what}");
        count += 1;
    };
    for (name, figures) in &now.shaders {
        let faults = faults(figures, by_matrices(name));
        if !faults.is_empty() {
            complain(name, faults.join(", "));
        }
        match old.shaders.get(name).map(|old| worse(old, figures)) {
            None => complain(name, "is not in the table".into()),
            Some(worse) if worse.is_empty() => {}
            Some(worse) => complain(name, worse.join(", ")),
        }
    }
    for name in old.shaders.keys().filter(|name| wanted(name) && !now.shaders.contains_key(*name)) {
        complain(name, "is in the table and no shader".into());
    }
    if count > 0 && old.driver != now.driver {
        println!("The table is of another driver: {}", old.driver);
    }
    count
}
