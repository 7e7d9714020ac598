//! Whether a device's matrix units compute what the plain kernels do. Cooperative matrices are young, and drivers have
//! computed nonsense by them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::caps::{cooperative_tile, wanted_device};
use crate::dispatch::Dispatch;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::kernels::{self, attention, matmul};
use crate::run::read;
use crate::session::worker::Worker;
use crate::store::{Store, checksum};
use crate::variant::{Element, Lane, Tile, TileChoice, TileSize, Variant};

/// The verdicts of this process, by adapter, driver and shape; none while it is tested.
static VERDICTS: Mutex<Option<HashMap<String, Option<bool>>>> = Mutex::new(None);

/// The tile for an adapter's matrix units, where it has such that this crate can use and they have passed a test: on a
/// device of its own, matrix products in every tile size must be the plain kernel's to the last bit, and attention as
/// near to the plain one as rounding weights to 16 bits allows. The verdict is remembered by this process and by the
/// store; a test that the process did not survive counts as failed, one that could not be made or was given up as none.
///
/// `Session` asks this for itself. For a `Gpu` of your own, make the device as [`wanted_device`] says and hand
/// [`Gpu::with_variant`] this tile.
pub async fn tested_tile(adapter: &wgpu::Adapter, store: &Store) -> Option<Tile> {
    let tile = cooperative_tile(adapter)?;
    let info = adapter.get_info();
    let key = format!("{} {} {} {} {tile:?}", info.name, info.device, info.driver, info.driver_info);
    let known = || VERDICTS.lock().unwrap_or_else(PoisonError::into_inner);
    let verdict = known().get_or_insert_default().get(&key).copied();
    let passed = match verdict.unwrap_or_else(|| remembered(store, &key)) {
        Some(passed) => passed,
        None => {
            known().get_or_insert_default().insert(key.clone(), None);
            let mut test_made = Test { store, key: &key, verdict: None };
            remember(store, &key, false);
            match test(adapter, tile).await {
                Ok(true) => test_made.verdict = Some(true),
                Ok(false) => {
                    tracing::warn!(
                        "the matrix units of {} compute wrong numbers and are left alone",
                        info.name
                    );
                    test_made.verdict = Some(false);
                }
                // Memory may be short now and not later.
                Err(error) => {
                    tracing::warn!("the matrix units of {} could not be tested: {error}", info.name)
                }
            }
            test_made.verdict == Some(true)
        }
    };
    known().get_or_insert_default().insert(key, Some(passed));
    passed.then_some(tile)
}

/// A test on its way: what it leaves in the store however it ends.
struct Test<'a> {
    store: &'a Store,
    key: &'a str,
    verdict: Option<bool>,
}

impl Drop for Test<'_> {
    fn drop(&mut self) {
        match self.verdict {
            Some(passed) => remember(self.store, self.key, passed),
            None => _ = self.store.remove(&name(self.key)),
        }
    }
}

fn name(key: &str) -> String {
    format!("matrices-{:016x}-{}.txt", checksum(key.as_bytes()), env!("CARGO_PKG_VERSION"))
}

fn remembered(store: &Store, key: &str) -> Option<bool> {
    match store.read(&name(key)).ok()?.as_slice() {
        b"passed" => Some(true),
        b"failed" => Some(false),
        _ => None,
    }
}

fn remember(store: &Store, key: &str, passed: bool) {
    let verdict: &[u8] = if passed { b"passed" } else { b"failed" };
    if let Err(error) = store.write(&name(key), &[verdict]) {
        tracing::debug!("{}: {error}", store.place(&name(key)));
    }
}

async fn test(adapter: &wgpu::Adapter, tile: Tile) -> Result<bool> {
    let opened = adapter.request_device(&wanted_device(adapter, Element::F16)).await;
    let (device, queue) = opened.map_err(|e| Error::Device {
        what: format!("a device on {}", adapter.get_info().name),
        message: e.to_string(),
    })?;
    let of = |tile| {
        Gpu::with_variant(&device, Variant { lane: Lane::Subgroup, ..Variant::new(Element::F16, tile) })
    };
    let (plain, units) = (of(Tile::Workgroup)?, of(tile)?);
    let bench = Bench { queue, worker: Worker::default(), plain, units };
    for &size in tile.sizes() {
        for with_residual in [false, true] {
            if !bench.multiplies(size, with_residual).await? {
                return Ok(false);
            }
        }
    }
    bench.attends().await
}

/// One device seen without and with its matrix units.
struct Bench {
    queue: wgpu::Queue,
    worker: Worker,
    plain: Gpu,
    units: Gpu,
}

impl Bench {
    /// Whether products agree to the last bit: sums of so few multiples of 1/256 are exact in any order. Past one tile
    /// in rows and columns, and past whole slabs within.
    async fn multiplies(&self, size: TileSize, with_residual: bool) -> Result<bool> {
        let [high, wide] = self.units.variant().tile.covers(size);
        let (rows, inner, columns) = (high + 5, 100, wide + 3);
        let params = matmul::Params::new(rows, inner, columns);
        let [x, w, residual] =
            [rows * inner, columns * inner, rows * columns].map(|count| self.sixteenths(count, 5));
        let [x, w] = [self.plain.elem_buffer_with("x", &x)?, self.plain.weight_buffer_with("w", &w)?];
        let residual = self.plain.buffer_with("residual", &residual)?;
        let run = async |gpu: &Gpu| {
            let y = gpu.buffer("y", u64::from(rows * columns))?;
            let io = matmul::Io {
                residual: with_residual.then_some((&residual).into()),
                ..matmul::Io::new(&x, &w, &y)
            };
            self.run(&kernels::matmul(gpu, params, io)?, &y).await
        };
        let units = self.units.clone().with_tiles(TileChoice::Always(size));
        Ok(run(&self.plain).await? == run(&units).await?)
    }

    /// Whether attention agrees to 4e-3: values are below 1, and weights and results are rounded to 11 binary digits.
    async fn attends(&self) -> Result<bool> {
        let params = attention::Params::fused(2, 70, 2, 32);
        let qkv = self.plain.elem_buffer_with("qkv", &self.sixteenths(2 * 70 * params.stride, 31))?;
        let size: Vec<f32> = (0..2 * 70u16).map(|i| f32::from(1 + i % 3)).collect();
        let size = self.plain.buffer_with("size", &size)?;
        let run = async |gpu: &Gpu| {
            let y = gpu.elem_buffer("y", 2 * 70 * 64)?;
            let qkv = &qkv;
            let io = attention::Io::new(qkv, qkv, qkv, &y).size(&size);
            let bytes = self.run(&kernels::attention(gpu, params, io)?, &y).await?;
            Ok::<_, Error>(bytemuck::pod_collect_to_vec::<u8, half::f16>(&bytes))
        };
        let (plain, units) = (run(&self.plain).await?, run(&self.units).await?);
        let near = |(a, b): (&half::f16, &half::f16)| (a.to_f32() - b.to_f32()).abs() <= 4e-3;
        Ok(plain.iter().zip(&units).all(near))
    }

    /// Multiples of 1/16 around 0, so many different ones, in no order.
    fn sixteenths(&self, count: u32, different: u32) -> Vec<f32> {
        let place = |i: u32| (i.wrapping_mul(2_654_435_761) >> 16) % different;
        (0..count).map(|i| (place(i) as f32 - (different / 2) as f32) / 16.0).collect()
    }

    /// The values that a call writes.
    async fn run(&self, dispatch: &Dispatch, y: &wgpu::Buffer) -> Result<Vec<u8>> {
        let wait = |submission| self.worker.poll(self.plain.device(), submission);
        let encode = |encoder: &mut wgpu::CommandEncoder| {
            dispatch.encode(&mut encoder.begin_compute_pass(&Default::default()));
        };
        read(&self.plain, &self.queue, y, y.size(), encode, &wait).await
    }
}
