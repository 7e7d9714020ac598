//! How matrix products are cut into tiles on one device, where it has been measured and kept. Nobody measures unasked:
//! where nothing is kept the table of device kinds holds, see [`Caps::tile_choice`](crate::Caps::tile_choice).

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::store::{Store, checksum};
use crate::variant::{Element, Tile, TileChoice, Variant};

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
    pub(crate) fn of(tile: Tile) -> Self {
        match tile {
            Tile::Direct => TileFamily::Direct,
            Tile::Workgroup => TileFamily::Workgroup,
            Tile::Cooperative { .. } => TileFamily::Matrices,
        }
    }
}

/// The kinds of tile to choose from on a device, its own first. Matrix units are among them where the device was opened
/// for them, which it is only once they have passed their test.
pub(crate) fn families(table: &Gpu) -> Vec<Tile> {
    let own = table.variant();
    let others = [Tile::Workgroup, Tile::Direct].into_iter().filter(|&tile| tile != own.tile);
    let runs = others.filter(|&tile| table.caps().runs(Variant { tile, ..own }));
    [own.tile].into_iter().chain(runs).collect()
}

/// A device by what is kept for it; by itself where nothing is.
pub(super) fn taken_up(table: &Gpu, store: &Store) -> (Gpu, Option<Tuning>) {
    let info = table.device().adapter_info();
    let Some(tuning) = saved(store, &info, table.variant().element) else { return (table.clone(), None) };
    match families(table).into_iter().find(|&tile| TileFamily::of(tile) == tuning.tile) {
        Some(tile) => (table.with_tile(tile).with_tiles(TileChoice::Fill(tuning.fill)), Some(tuning)),
        None => {
            tracing::debug!("{tuning}: the device has no such tiles");
            (table.clone(), None)
        }
    }
}

/// The tuning that is kept for a device and a storage type.
pub(super) fn saved(store: &Store, info: &wgpu::AdapterInfo, element: Element) -> Option<Tuning> {
    let name = name(info, element);
    let read = store.read(&name).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
    read.inspect_err(|error| tracing::debug!("no tuning in {}: {error}", store.place(&name))).ok()
}

/// Keeps a tuning; says where.
pub(crate) fn save(store: &Store, table: &Gpu, tuning: Tuning) -> Result<String> {
    let name = name(&table.device().adapter_info(), table.variant().element);
    let text = serde_json::to_vec(&tuning).map_err(io::Error::from);
    let written = text.and_then(|text| store.write(&name, &[&text]));
    written.map_err(|error| broken(store, &name, &error))?;
    Ok(store.place(&name))
}

/// Removes what is kept; says whether there was anything.
pub(crate) fn forget(store: &Store, table: &Gpu) -> Result<bool> {
    let name = name(&table.device().adapter_info(), table.variant().element);
    store.remove(&name).map_err(|error| broken(store, &name, &error))
}

/// The name under which the tuning of a device for a storage type is kept.
fn name(info: &wgpu::AdapterInfo, element: Element) -> String {
    let wgpu::AdapterInfo { name, backend, vendor, device, driver, driver_info, .. } = info;
    let key = format!("{name} {backend:?} {vendor} {device} {driver} {driver_info}");
    let (key, version) = (checksum(key.as_bytes()), env!("CARGO_PKG_VERSION"));
    format!("tuning-{key:016x}-{}-{version}.json", element.name())
}

fn broken(store: &Store, name: &str, error: &io::Error) -> Error {
    Error::File { path: store.place(name), why: error.to_string() }
}
