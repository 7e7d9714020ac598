//! The features and limits of a device, and which variant of each kernel follows from it. The only file that reads
//! features.

use crate::variant::{Element, Lane, Matrix, Tile, TileChoice, Variant};

/// The features and limits of a device that decide between variants of a kernel.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Caps {
    /// The device was made with `Features::SUBGROUP`.
    pub subgroups: bool,
    /// Lanes of the smallest subgroup that the device may use.
    pub smallest_subgroup: u32,
    /// The device was made with `Features::SHADER_F16`.
    pub half: bool,
    /// The device was made with `Features::EXPERIMENTAL_COOPERATIVE_MATRIX`.
    pub matrices: bool,
    /// A software driver (lavapipe, SwiftShader, WARP): workgroup memory and barriers are slow there.
    pub software: bool,
    /// DX12 without shader model 6, whose compiler FXC does not compile tiles in workgroup memory. It is what wgpu takes
    /// where it finds no `dxcompiler.dll`; a device does not say, so that one on DX12 made without `Features::SUBGROUP`
    /// counts as such.
    pub fxc: bool,
    /// The kind of device.
    pub kind: wgpu::DeviceType,
    /// The device's limits.
    pub limits: wgpu::Limits,
}

impl Caps {
    /// Reads a device.
    pub fn of(device: &wgpu::Device) -> Self {
        Caps {
            subgroups: device.features().contains(wgpu::Features::SUBGROUP),
            smallest_subgroup: device.adapter_info().subgroup_min_size,
            half: device.features().contains(wgpu::Features::SHADER_F16),
            matrices: device.features().contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX),
            software: device.adapter_info().device_type == wgpu::DeviceType::Cpu,
            fxc: device.adapter_info().backend == wgpu::Backend::Dx12
                && !device.features().contains(wgpu::Features::SUBGROUP),
            kind: device.adapter_info().device_type,
            limits: device.limits(),
        }
    }

    /// The variant in 32-bit floats that suits the device.
    pub fn variant(&self) -> Variant {
        let tile = if self.software || self.fxc { Tile::Direct } else { Tile::Workgroup };
        let by_subgroup = Variant { lane: Lane::Subgroup, ..Variant::new(Element::F32, tile) };
        if self.runs(by_subgroup) { by_subgroup } else { Variant { lane: Lane::Tree, ..by_subgroup } }
    }

    /// Every variant that the device can run, but for matrix units, which only its adapter knows: see
    /// [`cooperative_tile`].
    pub fn variants(&self) -> Vec<Variant> {
        let plain = |v: &Variant| !matches!(v.tile, Tile::Cooperative { .. });
        Variant::all().filter(|v| plain(v) && self.runs(*v)).collect()
    }

    /// Whether the device has the features of a variant, and its compiler takes it. That its matrix units have the right
    /// shape is [`cooperative_tile`]'s to say.
    pub fn runs(&self, variant: Variant) -> bool {
        // Direct tiles hand vectors round among eight lanes.
        let smallest = if variant.tile == Tile::Direct { 8 } else { 1 };
        (self.subgroups && self.smallest_subgroup >= smallest || variant.lane != Lane::Subgroup)
            && (self.half || variant.element == Element::F32 && variant.weights == Element::F32)
            && match variant.tile {
                Tile::Direct => true,
                Tile::Workgroup => !self.fxc,
                Tile::Cooperative { matrix, .. } => {
                    variant.element == Element::F16
                        && self.matrices
                        && self.limits.max_compute_workgroup_storage_size >= matrix.memory()
                }
            }
    }

    /// Why a variant does not run.
    pub(crate) fn refusal(&self) -> &'static str {
        match self.fxc {
            true => {
                "the device was made without Features::SUBGROUP or SHADER_F16, and so for FXC, which takes Tile::Direct \
                 only; DX12 has both by drivers of shader model 6 with dxcompiler.dll (1.8.2502 or newer) beside the \
                 program"
            }
            false => {
                "the device was made without Features::SUBGROUP, SHADER_F16 or EXPERIMENTAL_COOPERATIVE_MATRIX"
            }
        }
    }

    /// The tiles of matrix products where nobody has measured: the table of device kinds.
    pub fn tile_choice(&self) -> TileChoice {
        TileChoice::Fill(match self.kind {
            wgpu::DeviceType::DiscreteGpu | wgpu::DeviceType::VirtualGpu => 96,
            wgpu::DeviceType::IntegratedGpu => 24,
            wgpu::DeviceType::Cpu => 4,
            wgpu::DeviceType::Other => 48,
        })
    }
}

/// A device's descriptor with everything that this crate can use of an adapter for a storage type: features, limits,
/// and for 16 bits the adapter's matrix units, which wgpu counts among its experimental features.
pub fn wanted_device(adapter: &wgpu::Adapter, element: Element) -> wgpu::DeviceDescriptor<'static> {
    let plain = wgpu::DeviceDescriptor {
        label: Some("tome"),
        required_features: wanted_features(adapter),
        required_limits: wanted_limits(adapter),
        ..Default::default()
    };
    if element == Element::F32 || cooperative_tile(adapter).is_none() {
        return plain;
    }
    wgpu::DeviceDescriptor {
        required_features: plain.required_features | wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX,
        // SAFETY: of the experimental features only cooperative matrices are asked for, and only this crate's shaders
        // use them: in the shapes that the adapter names and within their buffers and arrays.
        experimental_features: unsafe { wgpu::ExperimentalFeatures::enabled() },
        ..plain
    }
}

/// The tile for an adapter's matrix units, where it has such that multiply f16 to sums in f32 in a shape that shaders
/// can name, and one size of subgroup. Whether they compute what they should is for a test to say.
pub fn cooperative_tile(adapter: &wgpu::Adapter) -> Option<Tile> {
    let needs = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX
        | wgpu::Features::SHADER_F16
        | wgpu::Features::SUBGROUP;
    if !adapter.features().contains(needs) {
        return None;
    }
    let there = adapter.cooperative_matrix_properties();
    let has = |matrix: &Matrix| {
        let of = |p: &wgpu::CooperativeMatrixProperties| {
            [p.m_size, p.n_size, p.k_size] == [matrix.rows(); 3]
                && p.ab_type == wgpu::CooperativeScalarType::F16
                && p.cr_type == wgpu::CooperativeScalarType::F32
        };
        there.iter().any(of)
    };
    let matrix = [Matrix::Sixteen, Matrix::Eight].into_iter().find(has)?;
    if adapter.limits().max_compute_workgroup_storage_size < matrix.memory() {
        return None;
    }
    // Where drivers choose between sizes, the larger: too many subgroups repeat each other's work, too few leave some undone.
    let tile = Tile::Cooperative { matrix, subgroup: adapter.get_info().subgroup_max_size };
    Tile::cooperative().any(|known| known == tile).then_some(tile)
}

/// The features worth asking for when an application makes its device: those of [`Caps`] that the adapter has, but for
/// the experimental ones, see [`wanted_device`].
pub fn wanted_features(adapter: &wgpu::Adapter) -> wgpu::Features {
    adapter.features()
        & (wgpu::Features::SUBGROUP
            | wgpu::Features::SHADER_F16
            | wgpu::Features::TIMESTAMP_QUERY
            | wgpu::Features::PIPELINE_CACHE)
}

/// The limits worth asking for when an application makes its device: WebGPU's defaults, with buffers and
/// bindings as large as the adapter allows, and workgroup memory for matrix units.
pub fn wanted_limits(adapter: &wgpu::Adapter) -> wgpu::Limits {
    let has = adapter.limits();
    let memory = has.max_compute_workgroup_storage_size.min(Matrix::Sixteen.memory());
    wgpu::Limits {
        max_buffer_size: has.max_buffer_size,
        max_storage_buffer_binding_size: has.max_storage_buffer_binding_size,
        max_compute_workgroup_storage_size: memory,
        ..wgpu::Limits::default().or_worse_values_from(&has)
    }
}
