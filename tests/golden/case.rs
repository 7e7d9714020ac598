//! A case on disk.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use tome_wgpu::files::load_model;
use tome_wgpu::vit::{Config, Options, PoolBy, Protect, Weights};

use crate::common::place;

/// A network, how it was run, and what PyTorch computed.
pub struct Case {
    pub name: String,
    pub network: (Config, Weights),
    pub options: Options,
    /// Tokens an image that enter each block, and that leave the last.
    pub tokens: Vec<u32>,
    /// How far the nearest other merge decision is; none where nothing merges.
    pub gap: Option<f64>,
    pub images: Vec<f32>,
    /// All values as f64, which holds those of every type in the files.
    pub expected: BTreeMap<String, Vec<f64>>,
}

/// The cases beside this file and those in `TOME_GOLDEN_DIR`.
pub fn cases() -> Vec<Case> {
    let own = place!("CARGO_MANIFEST_DIR").join("tests/golden/cases");
    let other = std::env::var_os("TOME_GOLDEN_DIR").map(PathBuf::from);
    let mut folders: Vec<PathBuf> = [Some(own), other]
        .into_iter()
        .flatten()
        .flat_map(|parent| fs::read_dir(&parent).unwrap_or_else(|e| panic!("{}: {e}", parent.display())))
        .map(|entry| entry.expect("a folder").path())
        .filter(|path| path.join("case.json").is_file())
        .collect();
    folders.sort();
    folders.iter().map(|folder| load(folder)).collect()
}

fn load(folder: &Path) -> Case {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let run = json(&folder.join("case.json"));
    let text = |key: &str| run[key].as_str().unwrap_or_else(|| panic!("{name}: no {key}"));
    let knob = |key: &str, absent: &'static str| run.get(key).map_or(absent, |_| text(key));
    let mut options = Options::with_schedule(text("r").parse().unwrap_or_else(|e| panic!("{name}: {e}")));
    options.prop_attn = text("prop_attn") == "on";
    options.pool_by = if text("pool") == "size" { PoolBy::Size } else { PoolBy::Plain };
    options.protect = if text("protect") == "prefix" { Protect::Prefix } else { Protect::Class };
    options.positions = named(knob("positions", "mean"), &name);
    options.merge = named(knob("merge_mode", "wmean"), &name);
    options.partition = named(knob("partition", "alternating"), &name);
    options.threshold = run.get("threshold").map(|value| value.as_f64().expect("a number") as f32);
    options.least = named(knob("least", "0"), &name);
    options.matching = named(knob("matching", "bipartite"), &name);
    options.metric = named(knob("metric", "keys"), &name);
    options.similarity = named(knob("similarity", "cosine"), &name);
    options.by_size = named(knob("by_size", "0"), &name);
    let tokens = run["tokens_per_layer"].as_array().expect("tokens_per_layer");
    let network = load_model(folder, None)
        .and_then(|(config, checkpoint)| Ok((config, checkpoint.read_all()?)))
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    Case {
        images: images(&folder.join("input.safetensors"), &network.0),
        network,
        options,
        tokens: tokens.iter().map(|n| n.as_u64().expect("a number") as u32).collect(),
        gap: run["smallest_decisive_gap"].as_f64(),
        expected: tensors(&folder.join("expected.safetensors")),
        name,
    }
}

/// The one tensor of a file as the network reads it: a spectrogram lies there with time first, `[B, T, mel]`.
fn images(path: &Path, config: &Config) -> Vec<f32> {
    let (name, values) = tensors(path).pop_first().unwrap_or_else(|| panic!("{}: no tensor", path.display()));
    let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
    if name != "input_values" {
        return values;
    }
    let [bands, times] = config.image_size.map(|side| side as usize);
    let turned = |image: &[f32]| -> Vec<f32> {
        (0..bands).flat_map(|band| (0..times).map(move |time| image[time * bands + band])).collect()
    };
    values.chunks_exact(bands * times).flat_map(turned).collect()
}

/// What a knob of a case says.
fn named<T: FromStr<Err: Display>>(text: &str, case: &str) -> T {
    text.parse().unwrap_or_else(|e| panic!("{case}: {e}"))
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn tensors(path: &Path) -> BTreeMap<String, Vec<f64>> {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let values = |dtype: Dtype, data: &[u8]| match dtype {
        Dtype::F32 => data.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b).into()).collect(),
        Dtype::F64 => data.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect(),
        Dtype::I32 => data.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b).into()).collect(),
        Dtype::U32 => data.as_chunks().0.iter().map(|&b| u32::from_le_bytes(b).into()).collect(),
        other => panic!("{}: {other}", path.display()),
    };
    file.iter().map(|(name, tensor)| (name.into(), values(tensor.dtype(), tensor.data()))).collect()
}
