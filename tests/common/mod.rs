//! What tests and benches on a GPU share: a rig for each variant, inputs, comparison.
#![allow(dead_code, reason = "each test binary uses a part of it")]

#[allow(unused_imports, reason = "as above")]
mod place;
pub mod textures;
pub mod validation;

/// A value with some fields set: what `Params { rows: 1, ..base }` is for types that may grow fields.
#[allow(unused_macros, reason = "as above")]
macro_rules! set {
    ($base:expr; $($field:ident $(: $value:expr)?),* $(,)?) => {{
        let mut value = $base;
        $(set!(@field value $field $($value)?);)*
        value
    }};
    (@field $of:ident $field:ident $value:expr) => { $of.$field = $value };
    (@field $of:ident $field:ident) => { $of.$field = $field };
}
#[allow(unused_imports, reason = "as above")]
pub(crate) use {place::place, set};

use std::fmt::Display;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use tome_wgpu::kernel::{Access, Part};
use tome_wgpu::kernels::{split_tokens, token_energy};
use tome_wgpu::{
    Caps, Dispatch, Element, Gpu, KernelSpec, Lane, Partition, Tile, TileChoice, TileSize, Variant,
    cooperative_tile, wanted_device,
};

/// A device and its queue.
#[derive(Clone)]
pub struct Opened {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
}

/// A device made to run one variant of the kernels, with what a test needs to run them.
pub struct Rig {
    pub gpu: Gpu,
    pub queue: wgpu::Queue,
    /// The buffers that have zones behind them which nobody may write, and where those begin; looked at after each run.
    guarded: Mutex<Vec<(wgpu::Buffer, u64)>>,
}

/// Whether shaders run without run-time checks, as on GPUs, and zones behind all buffers are watched instead:
/// `TOME_GUARDED=1`.
fn guards() -> bool {
    std::env::var("TOME_GUARDED").is_ok_and(|value| value == "1")
}

/// Bytes of a zone: more than a slab's rows of a matrix 64 values wide.
const ZONE: u64 = 1 << 14;

impl Rig {
    /// A rig of a variant whose tiles have a size.
    fn new(device: &wgpu::Device, queue: &wgpu::Queue, variant: Variant, size: TileSize) -> Self {
        let gpu = Gpu::with_variant(device, variant).unwrap();
        let gpu = if guards() { gpu.unchecked() } else { gpu.checked() };
        Rig::of(gpu.with_tiles(TileChoice::Always(size)), queue)
    }

    /// A rig that runs what it is given.
    pub fn of(gpu: Gpu, queue: &wgpu::Queue) -> Self {
        Rig { gpu, queue: queue.clone(), guarded: Mutex::default() }
    }

    /// The same buffer with a zone behind it, where zones are wanted.
    fn guard(&self, buffer: wgpu::Buffer) -> wgpu::Buffer {
        if !guards() {
            return buffer;
        }
        let larger = self.gpu.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some("guarded"),
            size: buffer.size() + ZONE,
            usage: buffer.usage() | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&buffer, 0, &larger, 0, buffer.size());
        self.queue.submit([encoder.finish()]);
        self.queue.write_buffer(
            &larger,
            buffer.size(),
            bytemuck::cast_slice(&[UNWRITTEN; ZONE as usize / 4]),
        );
        self.guarded.lock().unwrap().push((larger.clone(), buffer.size()));
        larger
    }

    /// That no zone has been written. What lies in one is NaN, so that reading it shows as well.
    fn check_guards(&self) {
        let guarded = std::mem::take(&mut *self.guarded.lock().unwrap());
        if guarded.is_empty() {
            return;
        }
        // All zones at once, one behind the other.
        let zones = self.gpu.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some("zones"),
            size: ZONE * guarded.len() as u64,
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
        for (i, (buffer, start)) in guarded.iter().enumerate() {
            encoder.copy_buffer_to_buffer(buffer, *start, &zones, ZONE * i as u64, ZONE);
        }
        self.queue.submit([encoder.finish()]);
        let all: Vec<u32> = self.read(&zones, (zones.size() / 4) as u32);
        for ((_, start), zone) in guarded.iter().zip(all.chunks_exact(ZONE as usize / 4)) {
            if let Some(at) = zone.iter().position(|&value| value != UNWRITTEN) {
                panic!("{}: byte {} behind a buffer of {start} bytes has been written", self.id(), 4 * at);
            }
        }
    }
}

/// The adapter under test: the one with `TOME_ADAPTER` in its `NAME (Backend)`, else a GPU, else a software driver.
/// OpenGL is left out: it takes minutes to compile a tiled kernel.
pub fn adapter() -> Option<&'static wgpu::Adapter> {
    static ADAPTER: OnceLock<Option<wgpu::Adapter>> = OnceLock::new();
    let adapter = ADAPTER.get_or_init(|| {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        descriptor.backends &= wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
        descriptor.flags = validation::flags();
        let backends = descriptor.backends;
        let mut adapters = pollster::block_on(wgpu::Instance::new(descriptor).enumerate_adapters(backends));
        if let Ok(name) = std::env::var("TOME_ADAPTER") {
            let listed = |info: wgpu::AdapterInfo| format!("{} ({:?})", info.name, info.backend);
            adapters.retain(|a| listed(a.get_info()).to_lowercase().contains(&name.to_lowercase()));
        }
        adapters.into_iter().min_by_key(|a| match a.get_info().device_type {
            wgpu::DeviceType::DiscreteGpu => 0,
            wgpu::DeviceType::IntegratedGpu | wgpu::DeviceType::VirtualGpu => 1,
            _ => 2,
        })
    });
    if adapter.is_none() {
        assert!(
            std::env::var("TOME_REQUIRE_GPU").is_err(),
            "TOME_REQUIRE_GPU is set and there is no adapter"
        );
        eprintln!("SKIP: no Vulkan, Metal or DX12 adapter");
    }
    validation::check();
    adapter.as_ref()
}

/// A device with exactly these features and limits.
pub fn open(adapter: &wgpu::Adapter, features: wgpu::Features, limits: wgpu::Limits) -> Opened {
    let descriptor =
        wgpu::DeviceDescriptor { required_features: features, required_limits: limits, ..Default::default() };
    open_as(adapter, &descriptor)
}

/// A device as described.
pub fn open_as(adapter: &wgpu::Adapter, descriptor: &wgpu::DeviceDescriptor<'_>) -> Opened {
    let (device, queue) = pollster::block_on(adapter.request_device(descriptor)).expect("a device");
    Opened { device, queue }
}

/// A rig for every variant that the adapter can run, or for those whose names contain `TOME_VARIANT`; none, with a
/// message, where there is no adapter. What needs no feature runs on a device with exactly WebGPU's default limits and
/// no features.
pub fn rigs() -> &'static [Rig] {
    static RIGS: OnceLock<Vec<Rig>> = OnceLock::new();
    let Some(adapter) = adapter() else { return &[] };
    RIGS.get_or_init(|| {
        let plain = open(adapter, wgpu::Features::empty(), wgpu::Limits::default());
        let capable = open_as(adapter, &wanted_device(adapter, Element::F16));
        let matrices = cooperative_tile(adapter)
            .map(|tile| Variant { lane: Lane::Subgroup, ..Variant::new(Element::F16, tile) });
        let variants = Caps::of(&capable.device).variants().into_iter().chain(matrices);
        let sizes = variants.flat_map(|v| v.tile.sizes().iter().map(move |&size| (v, size)));
        let plainly = Caps::of(&plain.device);
        let rig = sizes.map(|(variant, size)| {
            let needs_nothing = plainly.runs(variant);
            let Opened { device, queue } = if needs_nothing { &plain } else { &capable };
            Rig::new(device, queue, variant, size)
        });
        let mut rigs: Vec<Rig> = rig.collect();
        if let Ok(part) = std::env::var("TOME_VARIANT") {
            rigs.retain(|rig| rig.id().contains(&part));
            assert!(!rigs.is_empty(), "the adapter has no variant {part}");
        }
        rigs
    })
}

/// Rigs that store weights otherwise than activations, where the adapter has 16 bits.
fn mixed_rigs() -> &'static [Rig] {
    static RIGS: OnceLock<Vec<Rig>> = OnceLock::new();
    let Some(adapter) = adapter() else { return &[] };
    RIGS.get_or_init(|| {
        let Opened { device, queue } = open_as(adapter, &wanted_device(adapter, Element::F16));
        let caps = Caps::of(&device);
        let tiles = [Tile::Workgroup, Tile::Direct].into_iter();
        let variants = tiles.flat_map(|tile| {
            let of =
                |element, weights| Variant { weights, lane: Lane::Subgroup, ..Variant::new(element, tile) };
            [of(Element::F32, Element::F16), of(Element::F16, Element::F32)]
        });
        let rig = variants
            .filter(|&variant| caps.runs(variant))
            .map(|variant| Rig::new(&device, &queue, variant, TileSize::Medium));
        let asked = std::env::var("TOME_VARIANT").unwrap_or_default();
        rig.filter(|rig| rig.id().contains(&asked)).collect()
    })
}

/// A rig for each variant in which the kernel's shader differs.
pub fn rigs_for(spec: &KernelSpec) -> impl Iterator<Item = &'static Rig> {
    let has = |part| spec.parts.contains(&part);
    let [lane, tile, element] = [Part::Search, Part::Tile, Part::Element].map(has);
    let attend = has(Part::Attend);
    let weights = spec.bindings.iter().any(|binding| binding.access == Access::Weight);
    let mixed = mixed_rigs().iter().filter(move |_| weights);
    let alike = rigs().iter().filter(move |rig| {
        let variant = rig.gpu.variant();
        // What all tiles share runs by one kind: that in workgroup memory, where the device's compiler takes it.
        let usual = if rig.gpu.caps().fxc { Tile::Direct } else { Tile::Workgroup };
        let usual = variant.tile == usual && rig.tile_size() == TileSize::Medium;
        let matrices = matches!(variant.tile, Tile::Cooperative { .. });
        let direct = (tile || attend) && variant.tile == Tile::Direct;
        (lane || direct || variant.lane == Lane::Tree || matrices)
            && (tile || direct || usual || attend && matrices && rig.tile_size() == TileSize::Medium)
            && (element || variant.element == Element::F32)
    });
    alike.chain(mixed)
}

/// Fills buffers that a kernel is to write, so that what it leaves out shows: NaN as a float, no index as a u32.
const UNWRITTEN: u32 = 0x7fc0_dead;

impl Rig {
    /// The variant's name, for messages.
    pub fn id(&self) -> String {
        format!("{}-{:?}", self.gpu.variant().id(), self.tile_size()).to_lowercase()
    }

    /// The size of its tiles.
    pub fn tile_size(&self) -> TileSize {
        match self.gpu.tiles() {
            TileChoice::Always(size) => size,
            TileChoice::Fill(_) => panic!("rigs have tiles of one size"),
        }
    }

    /// Rows of a tile.
    pub fn tile_rows(&self) -> u32 {
        self.gpu.variant().tile.covers(self.tile_size())[0]
    }

    /// A buffer holding `data`.
    pub fn data<T: bytemuck::NoUninit>(&self, data: &[T]) -> wgpu::Buffer {
        self.guard(self.gpu.buffer_with("test", data).unwrap())
    }

    /// A buffer holding values of the storage type. What is to be the same in every type must be multiples of
    /// 1/1024, as [`Random::floats`] are.
    pub fn elems(&self, data: &[f32]) -> wgpu::Buffer {
        self.guard(self.gpu.elem_buffer_with("test", data).unwrap())
    }

    /// The same for weights.
    pub fn weights(&self, data: &[f32]) -> wgpu::Buffer {
        self.guard(self.gpu.weight_buffer_with("test", data).unwrap())
    }

    /// The first values of a buffer of the storage type.
    pub fn read_elems(&self, buffer: &wgpu::Buffer, elements: u32) -> Vec<f32> {
        match self.gpu.variant().element {
            Element::F16 => {
                let pairs: Vec<[half::f16; 2]> = self.read(buffer, elements.div_ceil(2));
                pairs.as_flattened()[..elements as usize].iter().map(|v| v.to_f32()).collect()
            }
            _ => self.read(buffer, elements),
        }
    }

    /// A tolerance for results in the storage type: rounding to 16 bits takes off half a unit in the 11th digit, or
    /// 3e-8 of what is below 6e-5.
    pub fn stored(&self, tol: Tol) -> Tol {
        match self.gpu.variant().element {
            Element::F32 => tol,
            _ => Tol { abs: tol.abs + 3e-8, rel: tol.rel + 4.9e-4 },
        }
    }

    /// A buffer to write to.
    pub fn unwritten(&self, elements: u32) -> wgpu::Buffer {
        self.data(&vec![UNWRITTEN; elements as usize])
    }

    /// Runs dispatches in one pass.
    pub fn run(&self, dispatches: &[Dispatch]) {
        let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for dispatch in dispatches {
            dispatch.encode(&mut pass);
        }
        drop(pass);
        self.queue.submit([encoder.finish()]);
        self.check_guards();
    }

    /// How long a call takes `count` times by the clock, 32 in a submit so that the cost of submitting does not count.
    pub fn elapsed(&self, count: u64, encode: impl Fn(&mut wgpu::ComputePass<'_>)) -> Duration {
        self.wait();
        let start = Instant::now();
        let mut left = count;
        while left > 0 {
            let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for _ in 0..left.min(32) {
                encode(&mut pass);
            }
            drop(pass);
            self.queue.submit([encoder.finish()]);
            left = left.saturating_sub(32);
        }
        self.wait();
        start.elapsed()
    }

    /// The first elements of a buffer, once everything before is done.
    pub fn read<T: bytemuck::Pod>(&self, buffer: &wgpu::Buffer, elements: u32) -> Vec<T> {
        read(self.gpu.device(), &self.queue, buffer, elements)
    }

    /// Waits for everything submitted.
    pub fn wait(&self) {
        self.gpu.device().poll(wgpu::PollType::wait_indefinitely()).unwrap();
    }
}

/// The first elements of a buffer, once everything before is done.
pub fn read<T: bytemuck::Pod>(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    buffer: &wgpu::Buffer,
    elements: u32,
) -> Vec<T> {
    if elements == 0 {
        return Vec::new();
    }
    let size = u64::from(elements) * 4;
    let staging = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("read"),
        size,
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, size);
    queue.submit([encoder.finish()]);
    staging.map_async(wgpu::MapMode::Read, .., |result| result.unwrap());
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    bytemuck::pod_collect_to_vec(&staging.get_mapped_range(..).unwrap())
}

/// Every kind of partition, for so many unprotected tokens.
pub fn partitions(free: u32) -> Vec<Partition> {
    let mut all = vec![Partition::Alternating, Partition::Sequential, Partition::Random { seed: 9 }];
    all.extend([2, 3, 7].map(Partition::EveryKth));
    // As square as it gets.
    let rows = (1..=free).rev().find(|rows| rows * rows <= free && free.is_multiple_of(*rows)).unwrap_or(1);
    let grid = |stride, seed| Partition::Grid { rows, columns: free / rows, stride, seed };
    all.extend(
        [([2, 2], None), ([2, 3], Some(1)), ([1, 4], Some(2))].map(|(stride, seed)| grid(stride, seed)),
    );
    // One grid, one that loses rows, and as many frames of one row as there are rows.
    let [grid, turned, frames] = [[rows, free / rows], [free / rows, rows], [1, free / rows]];
    all.extend([grid, turned, frames].map(|grid| Partition::Lines { grid: Some(grid) }));
    // One group, and as many as there are rows.
    all.extend([1, rows].map(|groups| Partition::Frames { groups: Some(groups) }));
    all.push(Partition::Energy { margin: Some(0.3) });
    all
}

/// Energies as token_energy leaves them for a list: few different ones, so that there are ties, and marks.
pub fn energies(list: &split_tokens::Params, random: &mut Random) -> Vec<f32> {
    let energy = |token| match random.below(9) {
        _ if token < list.protect => token_energy::PROTECTED,
        0 => token_energy::UNDIRECTED,
        n => n as f32 / 4.0 - 1.0,
    };
    (0..list.lists).flat_map(|_| 0..list.tokens).map(energy).collect()
}

/// Reproducible numbers without symmetry (splitmix64).
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`.
    pub fn below(&mut self, end: u32) -> u32 {
        (self.next() % u64::from(end)) as u32
    }

    /// A multiple of 1/1024 in [-1, 1), which 16 bits hold exactly.
    pub fn float(&mut self) -> f32 {
        (self.next() >> 53) as f32 / 1024.0 - 1.0
    }

    /// Floats in [-1, 1).
    pub fn floats(&mut self, count: u32) -> Vec<f32> {
        (0..count).map(|_| self.float()).collect()
    }

    /// Multiples of 1/16 in [-1/8, 1/8]: dot products of up to 64 of them lie in [-1, 1] and are exact in f32 in
    /// any order, and equal ones are common.
    pub fn sixteenths(&mut self, count: u32) -> Vec<f32> {
        (0..count).map(|_| (self.below(5) as f32 - 2.0) / 16.0).collect()
    }

    /// Sizes of tokens: small whole numbers.
    pub fn sizes(&mut self, count: u32) -> Vec<f32> {
        (0..count).map(|_| 1.0 + self.below(5) as f32).collect()
    }
}

/// `|got - want| <= abs + rel * |want|`.
#[derive(Clone, Copy, Debug)]
pub struct Tol {
    pub abs: f32,
    pub rel: f32,
}

/// Asserts that two results agree; a NaN agrees with nothing.
#[track_caller]
pub fn close(what: impl Display, got: &[f32], want: &[f32], tol: Tol) {
    assert_eq!(got.len(), want.len(), "{what}: lengths");
    // How many tolerances apart; above 1 is wrong.
    let apart = |(&got, &want): (&f32, &f32)| {
        let apart = (f64::from(got) - f64::from(want)).abs() / f64::from(tol.abs + tol.rel * want.abs());
        // 0 / 0 where no error is allowed and there is none.
        if got == want {
            0.0
        } else if apart.is_nan() {
            f64::INFINITY
        } else {
            apart
        }
    };
    let errors: Vec<f64> = got.iter().zip(want).map(apart).collect();
    let wrong = errors.iter().filter(|&&e| e > 1.0).count();
    let Some((worst, error)) = errors.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)) else { return };
    if std::env::var("TOME_SHOW_ERRORS").is_ok() {
        eprintln!("{what}: at most {error:.2} of {tol:?}");
    }
    assert!(
        wrong == 0,
        "{what}: {wrong} of {} wrong by {tol:?}, worst at {worst}: {:e} instead of {:e}, {error:.1} times too far",
        got.len(),
        got[worst],
        want[worst],
    );
}

/// Asserts that two results are the same to the last bit.
#[track_caller]
pub fn same<T: bytemuck::NoUninit + std::fmt::Debug>(what: impl Display, got: &[T], want: &[T]) {
    assert_eq!(got.len(), want.len(), "{what}: lengths");
    let differ = |(got, want): (&T, &T)| bytemuck::bytes_of(got) != bytemuck::bytes_of(want);
    let wrong: Vec<usize> =
        got.iter().zip(want).enumerate().filter(|(_, p)| differ(*p)).map(|(i, _)| i).collect();
    if let Some(&first) = wrong.first() {
        let (got, want, count, of) = (got[first], want[first], wrong.len(), got.len());
        panic!("{what}: {count} of {of} differ, the first at {first}: {got:?} instead of {want:?}");
    }
}
