//! What a device can do, and which variant of each kernel follows from it. The only file that reads features.

/// The features and limits of a device that decide between variants of a kernel.
#[derive(Clone, Debug)]
pub struct Caps {
    /// The device was made with `Features::SUBGROUP`.
    pub subgroups: bool,
    /// The device was made with `Features::SHADER_F16`.
    pub half: bool,
    /// A software driver (lavapipe, SwiftShader, WARP): workgroup memory and barriers are slow there.
    pub software: bool,
    /// The device's limits.
    pub limits: wgpu::Limits,
}

impl Caps {
    /// Reads a device.
    pub fn of(device: &wgpu::Device) -> Self {
        Caps {
            subgroups: device.features().contains(wgpu::Features::SUBGROUP),
            half: device.features().contains(wgpu::Features::SHADER_F16),
            software: device.adapter_info().device_type == wgpu::DeviceType::Cpu,
            limits: device.limits(),
        }
    }

    /// The variant in 32-bit floats that suits the device.
    pub fn variant(&self) -> Variant {
        Variant {
            element: Element::F32,
            lane: if self.subgroups { Lane::Subgroup } else { Lane::Tree },
            tile: if self.software { Tile::Direct } else { Tile::Workgroup },
        }
    }

    /// Every variant that the device can run: what the tests go through.
    pub fn variants(&self) -> Vec<Variant> {
        let can = |v: &Variant| {
            (self.subgroups || v.lane != Lane::Subgroup) && (self.half || v.element != Element::F16)
        };
        Variant::all().filter(can).collect()
    }
}

/// The features worth asking for when an application makes its device: those of [`Caps`] that the adapter has.
pub fn wanted_features(adapter: &wgpu::Adapter) -> wgpu::Features {
    adapter.features()
        & (wgpu::Features::SUBGROUP | wgpu::Features::SHADER_F16 | wgpu::Features::TIMESTAMP_QUERY)
}

/// The limits worth asking for when an application makes its device: WebGPU's defaults, with buffers and
/// bindings as large as the adapter allows.
pub fn wanted_limits(adapter: &wgpu::Adapter) -> wgpu::Limits {
    let has = adapter.limits();
    wgpu::Limits {
        max_buffer_size: has.max_buffer_size,
        max_storage_buffer_binding_size: has.max_storage_buffer_binding_size,
        ..wgpu::Limits::default().or_worse_values_from(&has)
    }
}

/// Type of the stored activations and weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Element {
    /// 32-bit floats.
    F32,
    /// 16-bit floats; sums, sizes, metrics and the residual stream stay 32-bit.
    F16,
}

impl Element {
    /// `f32` or `f16`.
    pub fn name(self) -> &'static str {
        match self {
            Element::F32 => "f32",
            Element::F16 => "f16",
        }
    }

    /// Bytes of a value.
    pub fn bytes(self) -> u64 {
        match self {
            Element::F32 => 4,
            Element::F16 => 2,
        }
    }
}

/// How the lanes of a workgroup reduce a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// A tree in workgroup memory; runs everywhere.
    Tree,
    /// Subgroup operations, then workgroup memory between subgroups.
    Subgroup,
}

/// How a workgroup multiplies a tile of two matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tile {
    /// Each lane reads what it needs from the buffers: fastest on software drivers.
    Direct,
    /// The workgroup shares slabs of both operands in workgroup memory: fastest on GPUs.
    Workgroup,
}

/// One choice of all swapped parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variant {
    /// Storage type.
    pub element: Element,
    /// Reductions.
    pub lane: Lane,
    /// Matrix tiles.
    pub tile: Tile,
}

impl Variant {
    /// Every variant.
    pub fn all() -> impl Iterator<Item = Variant> {
        let tiles = [Tile::Workgroup, Tile::Direct];
        let of = move |element, lane| tiles.map(|tile| Variant { element, lane, tile });
        let pairs =
            [Element::F32, Element::F16].into_iter().flat_map(|e| [(e, Lane::Tree), (e, Lane::Subgroup)]);
        pairs.flat_map(move |(element, lane)| of(element, lane))
    }

    /// The name under which tests and benches list it, such as `f32-subgroup-workgroup`.
    pub fn id(&self) -> String {
        format!("{:?}-{:?}-{:?}", self.element, self.lane, self.tile).to_lowercase()
    }
}

impl Tile {
    /// Rows and columns that one workgroup covers: the constants `TILE_ROWS` and `TILE_COLUMNS` of its file.
    pub fn covers(self) -> [u32; 2] {
        match self {
            Tile::Direct => [16, 64],
            Tile::Workgroup => [64, 64],
        }
    }
}
