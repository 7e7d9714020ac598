//! What a run writes, in words, and whether an earlier one has written just that.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tome_wgpu::files::TensorReader;
use tome_wgpu::vit::{Config, Options, Want};

use crate::args::{DeviceArgs, ModelArgs};
use crate::inputs::Inputs;
use crate::model;
use crate::results::is_table;
use crate::shard::{Shard, mixed};
use crate::table;
use crate::text::shown;

/// For the metadata of an output: two runs that say the same write the same, up to rounding.
pub fn about(
    model: &ModelArgs,
    device: &DeviceArgs,
    shard: Option<Shard>,
    inputs: &Inputs,
    config: &Config,
    options: &Options,
    want: Want,
) -> BTreeMap<String, String> {
    let network = model.model.as_deref().map_or_else(|| "built-in digits".to_owned(), shown);
    let names = (0..inputs.count()).map(|image| inputs.name(image));
    let names = names.fold(0u64, |all, name| all.rotate_left(1).wrapping_add(mixed(&name)));
    let wanted: Vec<&str> = want.outputs().map(|output| output.name()).collect();
    let mut about = BTreeMap::from([
        ("model", network),
        ("precision", device.precision.name().to_owned()),
        ("preprocess", model::described(config).to_string()),
        ("r", options.schedule.to_string()),
        ("options", format!("{options:?}")),
        ("want", wanted.join(",")),
        ("inputs", format!("{} images, {names:016x}", inputs.count())),
    ]);
    if let Some(threshold) = options.threshold {
        about.insert("threshold", threshold.to_string());
        about.insert("least", options.least.to_string());
    }
    if let Some(shard) = shard {
        about.insert("shard", shard.to_string());
    }
    about.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// How many of a finished output's images could not be read; none where there is no output. One of another run is an error.
pub fn unreadable(path: &Path, about: &BTreeMap<String, String>, count: usize) -> Result<Option<usize>> {
    if !path.exists() {
        return Ok(None);
    }
    let tensors = if is_table(path) { None } else { Some(TensorReader::open(path)?) };
    let found = match &tensors {
        Some(tensors) => tensors.about(),
        None => table::metadata(path)?,
    };
    for (key, now) in about {
        let before = found.get(key).map_or("not said", String::as_str);
        if before != now {
            bail!(
                "{}: is of another run: {key} is {now} now and was {before}. Give the same arguments or another name, or \
                 remove it",
                shown(path)
            );
        }
    }
    match found.get("unreadable") {
        _ if tensors.is_some() => unreadable_rows(&path.with_extension("jsonl"), count).map(Some),
        Some(number) => Ok(Some(number.parse().with_context(|| shown(path))?)),
        None => bail!("{}: does not say how many images could not be read; remove it", shown(path)),
    }
}

fn unreadable_rows(path: &Path, count: usize) -> Result<usize> {
    let broken = || format!("{}: cannot be read; remove it and its output to begin anew", shown(path));
    let (mut rows, mut unreadable) = (0, 0);
    for line in BufReader::new(File::open(path).with_context(broken)?).lines() {
        let row: Value = serde_json::from_str(&line.with_context(broken)?).with_context(broken)?;
        rows += 1;
        unreadable += usize::from(!row["error"].is_null());
    }
    if rows != count {
        bail!("{}: has {rows} rows of {count}; remove it and its output to begin anew", shown(path));
    }
    Ok(unreadable)
}
