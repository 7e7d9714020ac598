//! The caller's device, what it can do, and the pipelines compiled for it. No queue: nothing here submits.

use std::sync::Arc;

use crate::caps::Caps;
use crate::dispatch::Dispatch;
use crate::error::{Error, Result};
use crate::kernel::{Form, KernelSpec};
use crate::pipelines::{Checks, Pipelines};
use crate::scopes::Scopes;
use crate::variant::{Element, Tile, TileChoice, TileSize, Variant};
use crate::view::{View, refuse_aliases};

/// A `wgpu::Device` of the caller with this crate's pipelines on it. Cloning is cheap and shares them.
#[derive(Clone, Debug)]
pub struct Gpu {
    device: wgpu::Device,
    caps: Arc<Caps>,
    variant: Variant,
    tiles: TileChoice,
    empty: wgpu::Buffer,
    scopes: Scopes,
    pub(crate) pipelines: Arc<Pipelines>,
    /// Dispatches are made without compiling; [`Gpu::compile`] does it for all of them.
    defers: bool,
    /// In browsers what writes data into buffers: where memory is short, one that is mapped when it is made ends the
    /// program.
    #[cfg(target_arch = "wasm32")]
    pub(crate) writer: Option<wgpu::Queue>,
}

/// A call as a kernel's function hands it over once it has checked its `Params`.
pub(crate) struct Call<'a> {
    pub spec: &'static KernelSpec,
    /// Its `present` is filled in.
    pub form: Form,
    /// The uniform.
    pub params: &'a [u8],
    /// The bindings in order; nothing for one that is absent.
    pub views: &'a [Option<View<'a>>],
    /// Values used of each.
    pub elements: &'a [u64],
    /// Workgroups in all.
    pub workgroups: u64,
    /// For people: the shape of the call.
    pub shape: String,
}

impl Gpu {
    /// Wraps a device and computes in 32-bit floats. Pipelines are compiled when they are first needed and then shared.
    ///
    /// # Errors
    /// [`Error::Limit`] where the device was made with less than WebGPU's default limits in what kernels use.
    pub fn new(device: &wgpu::Device) -> Result<Self> {
        let caps = Caps::of(device);
        let variant = caps.variant();
        Gpu::with_variant(device, variant)
    }

    /// Wraps a device and stores activations and weights in the given type.
    ///
    /// # Errors
    /// As [`Gpu::new`], and [`Error::Device`] where the device was made without the feature for it.
    pub fn with_element(device: &wgpu::Device, element: Element) -> Result<Self> {
        let variant = Variant { element, weights: element, ..Caps::of(device).variant() };
        Gpu::with_variant(device, variant)
    }

    /// Wraps a device and runs the given variant of every kernel instead of the one that suits the device.
    ///
    /// # Errors
    /// As [`Gpu::new`], and [`Error::Device`] where the device lacks a feature that the variant needs, or its compiler does
    /// not take it, see [`Caps::fxc`].
    pub fn with_variant(device: &wgpu::Device, variant: Variant) -> Result<Self> {
        let caps = Caps::of(device);
        if !caps.runs(variant) {
            let (what, message) = (format!("variant {}", variant.id()), caps.refusal().into());
            return Err(Error::Device { what, message });
        }
        let (has, wants) = (&caps.limits, wgpu::Limits::default());
        let limits = [
            (
                "max_storage_buffers_per_shader_stage",
                has.max_storage_buffers_per_shader_stage,
                wants.max_storage_buffers_per_shader_stage,
            ),
            (
                "max_compute_invocations_per_workgroup",
                has.max_compute_invocations_per_workgroup,
                wants.max_compute_invocations_per_workgroup,
            ),
            (
                "max_compute_workgroup_size_x",
                has.max_compute_workgroup_size_x,
                wants.max_compute_workgroup_size_x,
            ),
            (
                "max_compute_workgroup_storage_size",
                has.max_compute_workgroup_storage_size,
                wants.max_compute_workgroup_storage_size,
            ),
        ];
        for (limit, have, need) in limits {
            if have < need {
                return Err(Error::Limit {
                    what: "tome-wgpu".into(),
                    limit,
                    need: need.into(),
                    have: have.into(),
                });
            }
        }
        let scopes = Scopes::new(device);
        let empty = scopes.guarded("an empty buffer", 256, || {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("tome.empty"),
                size: 256,
                usage: wgpu::BufferUsages::STORAGE,
                mapped_at_creation: false,
            })
        })?;
        let pipelines = Arc::new(Pipelines::new(device, &scopes, Checks::for_device(&caps)));
        let device = device.clone();
        let tiles = caps.tile_choice();
        Ok(Gpu {
            device,
            caps: Arc::new(caps),
            variant,
            tiles,
            empty,
            scopes,
            pipelines,
            defers: false,
            #[cfg(target_arch = "wasm32")]
            writer: None,
        })
    }

    /// The same device and pipelines, matrix products cut into tiles as told instead of as suits the kind of device.
    #[must_use]
    pub fn with_tiles(self, tiles: TileChoice) -> Self {
        Gpu { tiles, ..self }
    }

    /// The same device with shaders that check at run time that they stay within buffers and arrays, sharing no
    /// pipelines. Debug builds always check, and software drivers are made to, as they compile such shaders sooner.
    /// Elsewhere it is left out, since every index is known to be within: sizes are checked when a dispatch is made, and
    /// indices that come from data are clamped in the shaders. The checks are for tests of shaders.
    #[must_use]
    pub fn checked(self) -> Self {
        Gpu { pipelines: Arc::new(self.pipelines.checked()), ..self }
    }

    /// The same device with a cache that pipelines are taken from and added to, sharing no pipelines. Keeping its data
    /// from run to run is the caller's business (`Session` does it for its own device).
    #[must_use]
    pub fn with_pipeline_cache(self, cache: wgpu::PipelineCache) -> Self {
        Gpu { pipelines: Arc::new(self.pipelines.with_cache(cache)), ..self }
    }

    /// Waits for what the device has still to say about everything made by this `Gpu` and its clones so far, and gives
    /// the first error. Only browsers answer later: there a buffer without memory or a shader that does not compile is
    /// told here, and everywhere else by the call that makes it, so that nothing is ever waited for.
    ///
    /// # Errors
    /// Those of the calls so far: [`Error::OutOfMemory`], [`Error::Shader`], [`Error::Device`].
    pub async fn settle(&self) -> Result<()> {
        self.scopes.settle().await
    }

    /// The device's reports about calls.
    pub(crate) fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// The device.
    pub fn device(&self) -> &wgpu::Device {
        &self.device
    }

    /// The features and limits of the device.
    pub fn caps(&self) -> &Caps {
        &self.caps
    }

    /// The variant that its kernels run.
    pub fn variant(&self) -> Variant {
        self.variant
    }

    /// The rule by which matrix products are cut into tiles.
    pub fn tiles(&self) -> TileChoice {
        self.tiles
    }

    /// The size of the tiles for a product of so many rows and columns.
    pub(crate) fn tile_size(&self, rows: u32, columns: u32) -> TileSize {
        self.variant.tile.size(self.tiles, rows, columns)
    }

    /// The same device and pipelines with other tiles, which the device must run.
    #[cfg(feature = "blocking")]
    pub(crate) fn with_tile(&self, tile: Tile) -> Gpu {
        Gpu { variant: Variant { tile, ..self.variant }, ..self.clone() }
    }

    /// The same device and pipelines with the variant in 32-bit floats.
    pub(crate) fn in_f32(&self) -> Gpu {
        let tile = match self.variant.tile {
            Tile::Cooperative { .. } => self.caps.variant().tile,
            plain => plain,
        };
        let variant = Variant { element: Element::F32, weights: Element::F32, tile, ..self.variant };
        Gpu { variant, ..self.clone() }
    }

    /// The same, making dispatches that are not to be encoded before [`Gpu::compile`] has had them.
    pub(crate) fn deferring(&self) -> Gpu {
        Gpu { defers: true, ..self.clone() }
    }

    /// Compiles what the dispatches lack, side by side.
    pub(crate) fn compile<'a>(&self, dispatches: impl IntoIterator<Item = &'a Dispatch>) -> Result<()> {
        let wanted: Vec<_> = dispatches.into_iter().map(|dispatch| dispatch.pipeline.clone()).collect();
        self.pipelines.compile(&wanted)
    }

    /// The same device, writing data into buffers by its queue.
    #[cfg(all(target_arch = "wasm32", feature = "run"))]
    pub(crate) fn writing_by(self, queue: &wgpu::Queue) -> Gpu {
        Gpu { writer: Some(queue.clone()), ..self }
    }

    /// How many pipelines have been compiled.
    #[cfg(feature = "blocking")]
    pub(crate) fn compiled(&self) -> usize {
        self.pipelines.compiled()
    }

    /// Checks a call's buffers and makes it a dispatch.
    pub(crate) fn dispatch(&self, call: Call<'_>) -> Result<Dispatch> {
        let params = self.uniform(call.spec.name, call.params)?;
        self.bind(call, &params)
    }

    /// A call's uniform.
    pub(crate) fn uniform(&self, label: &str, params: &[u8]) -> Result<wgpu::Buffer> {
        let size = params.len().next_multiple_of(16) as u64;
        self.create(label, size, wgpu::BufferUsages::UNIFORM, Some(params))
    }

    /// [`dispatch`](Self::dispatch) with the uniform on the device already.
    pub(crate) fn bind(&self, call: Call<'_>, params: &wgpu::Buffer) -> Result<Dispatch> {
        let Call { spec, views, elements, shape, .. } = call;
        let name = spec.name;
        let there = |i: usize| u32::from(views[i].is_some()) << i;
        let form = Form { present: (0..views.len()).map(there).sum(), ..call.form };
        let workgroups = self.grid(name, call.workgroups)?;
        refuse_aliases(spec, views)?;
        let pipeline = self.pipelines.slot(spec, self.variant, &form)?;
        // What is bound to be written may be bound nowhere else, even where nothing is.
        let nowhere =
            match spec.bindings.iter().zip(views).any(|(binding, view)| binding.written && view.is_none()) {
                true => Some(self.buffer("tome.nowhere", 4)?),
                false => None,
            };
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: params.as_entire_binding() }];
        let mut all = 0u64;
        for (i, (binding, view)) in spec.bindings.iter().zip(views).enumerate() {
            let (view, elements) = match view {
                Some(view) => (*view, elements[i]),
                None => (
                    (if binding.written { nowhere.as_ref().unwrap_or(&self.empty) } else { &self.empty })
                        .into(),
                    4,
                ),
            };
            let bytes = elements.saturating_mul(spec.bytes(binding, self.variant, &form));
            let resource = view.bind(name, binding, bytes, &self.caps.limits)?;
            all = all.saturating_add(bytes);
            entries.push(wgpu::BindGroupEntry { binding: i as u32 + 1, resource });
        }
        let bind_group = self.scopes.guarded(name, 0, || {
            self.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(name),
                layout: &pipeline.layout,
                entries: &entries,
            })
        })?;
        if !self.defers {
            self.pipelines.compile(std::slice::from_ref(&pipeline))?;
        }
        Ok(Dispatch { kernel: name, shape, pipeline, bind_group, workgroups, flops: 0, bytes: all })
    }

    /// Workgroups counted in x, then y: a single dimension ends at 65,535.
    fn grid(&self, kernel: &'static str, count: u64) -> Result<[u32; 2]> {
        let most = u64::from(self.caps.limits.max_compute_workgroups_per_dimension);
        let y = count.div_ceil(most).max(1);
        if y > most {
            let limit = "max_compute_workgroups_per_dimension";
            return Err(Error::Limit { what: kernel.into(), limit, need: y, have: most });
        }
        Ok([count.div_ceil(y) as u32, y as u32])
    }
}
