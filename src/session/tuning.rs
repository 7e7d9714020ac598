//! How matrix products are cut into tiles on one device, measured there and kept on disk. Nobody measures unasked: without
//! such a file the table of device kinds holds, see [`Caps::tile_choice`](crate::Caps::tile_choice).

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::caps::{Element, Tile, TileChoice, Variant};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, guarded};
use crate::session::engine::Engine;
use crate::session::pipeline_file::{FOLDER, checksum, folder, write};
use crate::session::readback::{Wait, map, view};
use crate::vit::{Options, Plan};

/// A kind of tile and how its size is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tuning {
    /// The kind.
    pub tile: TileFamily,
    /// The largest size is taken of which there are so many in a product, see [`TileChoice::Fill`].
    pub fill: u32,
}

/// A kind of [`Tile`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TileFamily {
    /// [`Tile::Direct`].
    Direct,
    /// [`Tile::Workgroup`].
    Workgroup,
    /// [`Tile::Cooperative`], in the shape that the device's matrix units have.
    Matrices,
}

/// What [`Session::tune`](crate::Session::tune) measured.
#[derive(Debug)]
pub struct Tuned {
    /// All that differ in anything that was timed; first what the table of device kinds says.
    pub candidates: Vec<Candidate>,
    /// Why others were left out: what the device said, or that they compute something else.
    pub excluded: Vec<Error>,
}

/// A tuning and its times.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The tuning.
    pub tuning: Tuning,
    /// Of a forward pass, the median of all rounds, for each batch.
    pub seconds: Vec<f64>,
    /// The time against that of the table's choice, the geometric mean over batches.
    pub ratio: f64,
}

/// A choice must take less than this part of the time of the table's: medians of two runs differ by as much.
const WORTH: f64 = 0.98;
/// Fills to try: from the largest tiles to more workgroups than most devices have room for.
const FILLS: [u32; 7] = [1, 16, 32, 64, 96, 128, 256];

impl fmt::Display for Tuning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tile = match self.tile {
            TileFamily::Direct => "direct",
            TileFamily::Workgroup => "workgroup",
            TileFamily::Matrices => "matrix",
        };
        write!(f, "{tile} tiles, fill {}", self.fill)
    }
}

impl TileFamily {
    fn of(tile: Tile) -> Self {
        match tile {
            Tile::Direct => TileFamily::Direct,
            Tile::Workgroup => TileFamily::Workgroup,
            Tile::Cooperative { .. } => TileFamily::Matrices,
        }
    }
}

impl Tuned {
    /// The fastest, where it takes at least 2 % less time than the table's choice.
    pub fn choice(&self) -> Option<&Candidate> {
        let fastest = self.candidates.iter().min_by(|a, b| a.ratio.total_cmp(&b.ratio));
        fastest.filter(|candidate| candidate.ratio < WORTH)
    }
}

/// The kinds of tile to try on a device, its own first. Matrix units are among them where the device was opened for
/// them, which it is only once they have passed their test.
fn families(table: &Gpu) -> Vec<Tile> {
    let own = table.variant();
    let others = [Tile::Workgroup, Tile::Direct].into_iter().filter(|&tile| tile != own.tile);
    let runs = others.filter(|&tile| table.caps().runs(Variant { tile, ..own }));
    [own.tile].into_iter().chain(runs).collect()
}

/// Where the tuning of a device for a storage type lies.
fn file(info: &wgpu::AdapterInfo, element: Element) -> Option<PathBuf> {
    let wgpu::AdapterInfo { name, backend, vendor, device, driver, driver_info, .. } = info;
    let key = format!("{name} {backend:?} {vendor} {device} {driver} {driver_info}");
    let (key, version) = (checksum(key.as_bytes()), env!("CARGO_PKG_VERSION"));
    Some(folder()?.join(format!("tuning-{key:016x}-{}-{version}.json", element.name())))
}

/// The tuning that has been saved for a device and a storage type.
pub(super) fn saved(info: &wgpu::AdapterInfo, element: Element) -> Option<Tuning> {
    let path = file(info, element)?;
    let read = fs::read(&path).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
    read.inspect_err(|error| tracing::debug!("no tuning in {}: {error}", path.display())).ok()
}

/// One way to run a batch, of which several candidates may have the same.
struct Way {
    plan: Plan,
    /// It does not compute what the first does.
    wrong: bool,
    seconds: Vec<f64>,
}

/// A candidate while it is measured, and which way it goes for each batch.
struct Entry {
    tuning: Tuning,
    gpu: Gpu,
    ways: Vec<usize>,
    seconds: Vec<f64>,
}

impl Engine {
    /// Takes up what has been saved for the device; says what.
    pub(super) fn take_up_tuning(&mut self) -> Option<Tuning> {
        let tuning = saved(&self.device.adapter_info(), self.table.variant().element)?;
        let Some(tile) = families(&self.table).into_iter().find(|&tile| TileFamily::of(tile) == tuning.tile)
        else {
            tracing::debug!("{tuning}: the device has no such tiles");
            return None;
        };
        let tiles = TileChoice::Fill(tuning.fill);
        self.vit = self.vit.on(self.table.with_tile(tile).with_tiles(tiles));
        Some(tuning)
    }

    fn tuning_file(&self) -> Result<PathBuf> {
        let nowhere = || Error::File { path: FOLDER.into(), why: "there is no folder for a tuning".into() };
        file(&self.device.adapter_info(), self.table.variant().element).ok_or_else(nowhere)
    }

    pub(super) fn save_tuning(&self, tuning: Tuning) -> Result<PathBuf> {
        let path = self.tuning_file()?;
        let text = serde_json::to_vec(&tuning).map_err(io::Error::from);
        match text.and_then(|text| write(&path, &[&text])) {
            Ok(()) => Ok(path),
            Err(error) => Err(broken(path, error)),
        }
    }

    pub(super) fn forget_tuning(&self) -> Result<bool> {
        let path = self.tuning_file()?;
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(broken(path, error)),
        }
    }

    /// Times every candidate on each batch; `inputs` are enough for the largest.
    pub(super) fn tune(&self, inputs: &[f32], batches: &[u32], rounds: usize) -> Result<Tuned> {
        let TileChoice::Fill(usual) = self.table.caps().tile_choice() else {
            return Err(Error::Input("the table of device kinds names a size".into()));
        };
        let entry = |tile: Tile, fill| Entry {
            tuning: Tuning { tile: TileFamily::of(tile), fill },
            gpu: self.table.with_tile(tile).with_tiles(TileChoice::Fill(fill)),
            ways: Vec::new(),
            seconds: Vec::new(),
        };
        let families = families(&self.table);
        let all = families.iter().flat_map(|&tile| FILLS.map(|fill| (tile, fill)));
        let first = (self.table.variant().tile, usual);
        let others = all.filter(|&other| other != first);
        let mut entries: Vec<Entry> =
            [first].into_iter().chain(others).map(|(tile, fill)| entry(tile, fill)).collect();
        let mut excluded = Vec::new();
        for &batch in batches {
            self.time_batch(inputs, batch, rounds, &mut entries, &mut excluded)?;
        }
        let mut different: Vec<Entry> = Vec::new();
        for entry in entries {
            if !different.iter().any(|other| other.ways == entry.ways) {
                different.push(entry);
            }
        }
        let usual = different[0].seconds.clone();
        let candidate = |Entry { tuning, seconds, .. }: Entry| {
            let logs: f64 = seconds.iter().zip(&usual).map(|(mine, usual)| (mine / usual).ln()).sum();
            Candidate { tuning, ratio: (logs / seconds.len() as f64).exp(), seconds }
        };
        Ok(Tuned { candidates: different.into_iter().map(candidate).collect(), excluded })
    }

    /// Times every way to run a batch, in turns, and leaves out the entries whose ways are wrong.
    fn time_batch(
        &self,
        inputs: &[f32],
        batch: u32,
        rounds: usize,
        entries: &mut Vec<Entry>,
        excluded: &mut Vec<Error>,
    ) -> Result<()> {
        let inputs = &inputs[..batch as usize * self.vit.config().image_values()];
        let mut ways: Vec<Way> = Vec::new();
        let mut usual: Option<(Tuning, Vec<f32>)> = None;
        let mut sound = Vec::new();
        for mut entry in entries.drain(..) {
            let (plan, logits) = match self.try_out(&entry, &ways, inputs, batch) {
                Ok(Tried::Known(way)) => {
                    entry.ways.push(way);
                    sound.push(entry);
                    continue;
                }
                Ok(Tried::New(plan, logits)) => (*plan, logits),
                // What nobody chose may fail, unless it takes the device along.
                Err(error)
                    if usual.is_some()
                        && !matches!(error, Error::OutOfMemory { .. } | Error::DeviceLost(_)) =>
                {
                    excluded.push(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let apart = usual.as_ref().map_or(0.0, |(_, usual)| apart(&logits, usual));
            let wrong = apart.is_nan() || apart > tolerance(entry.gpu.variant().element);
            match &usual {
                Some((usual, _)) if wrong => excluded.push(Error::Disagreement {
                    what: format!("{}, batch {batch}", entry.tuning),
                    with: usual.to_string(),
                    apart,
                }),
                Some(_) => {}
                None => usual = Some((entry.tuning, logits)),
            }
            entry.ways.push(ways.len());
            ways.push(Way { plan, wrong, seconds: Vec::with_capacity(rounds) });
            sound.push(entry);
        }
        tracing::info!("batch {batch}: {} ways to cut, {rounds} rounds", ways.len());
        for _ in 0..rounds {
            for way in ways.iter_mut().filter(|way| !way.wrong) {
                way.seconds.push(self.time(&way.plan)?);
            }
        }
        ways.iter_mut().for_each(|way| way.seconds.sort_by(f64::total_cmp));
        for mut entry in sound {
            let way = &ways[entry.ways[entry.ways.len() - 1]];
            if !way.wrong {
                entry.seconds.push(way.seconds[rounds / 2]);
                entries.push(entry);
            }
        }
        Ok(())
    }

    /// Makes an entry's plan and, unless one of the ways is the same, runs it.
    fn try_out(&self, entry: &Entry, ways: &[Way], inputs: &[f32], batch: u32) -> Result<Tried> {
        let plan = self.vit.on(entry.gpu.clone()).plan(batch, &Options::default())?;
        if let Some(way) = ways.iter().position(|way| same(&way.plan, &plan)) {
            return Ok(Tried::Known(way));
        }
        let logits = self.logits(&plan, inputs)?;
        Ok(Tried::New(plan.into(), logits))
    }

    /// Runs a plan once.
    fn logits(&self, plan: &Plan, inputs: &[f32]) -> Result<Vec<f32>> {
        let bytes = u64::from(plan.batch()) * u64::from(self.vit.config().outputs()) * 4;
        let staging = guarded(&self.device, "a batch", bytes, || {
            let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("tome.tuning"),
                size: bytes,
                usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
                mapped_at_creation: false,
            });
            self.queue.write_buffer(plan.input(), 0, bytemuck::cast_slice(inputs));
            let mut encoder = self.device.create_command_encoder(&Default::default());
            plan.encode(&mut encoder);
            encoder.copy_buffer_to_buffer(plan.logits(), 0, &staging, 0, bytes);
            self.queue.submit([encoder.finish()]);
            staging
        })?;
        pollster::block_on(map(&self.device, &staging, Wait::Block))?;
        Ok(bytemuck::pod_collect_to_vec(&view(&staging)?))
    }
}

enum Tried {
    /// It is that way once more.
    Known(usize),
    /// A plan and its logits.
    New(Box<Plan>, Vec<f32>),
}

/// Whether two plans of one network and batch run the same shaders: tile sizes are part of them.
fn same(a: &Plan, b: &Plan) -> bool {
    let shaders = |plan: &Plan| -> Vec<_> {
        plan.steps().iter().map(|step| Arc::as_ptr(&step.dispatch.pipeline)).collect()
    };
    shaders(a) == shaders(b)
}

/// The largest difference by the largest value.
fn apart(got: &[f32], want: &[f32]) -> f64 {
    let nan_or_larger = |a: f64, b: f64| if a.is_nan() || a > b { a } else { b };
    let largest = |values: &mut dyn Iterator<Item = f32>| {
        values.map(|value| f64::from(value.abs())).fold(0.0, nan_or_larger)
    };
    let difference = largest(&mut got.iter().zip(want).map(|(got, want)| got - want));
    difference / largest(&mut want.iter().copied()).max(f64::MIN_POSITIVE)
}

/// Sums in another order, through all blocks; in 16 bits what half precision may differ by at all.
fn tolerance(element: Element) -> f64 {
    match element {
        Element::F32 => 1e-3,
        Element::F16 => 2e-2,
    }
}

fn broken(path: PathBuf, error: io::Error) -> Error {
    Error::File { path: path.display().to_string(), why: error.to_string() }
}
