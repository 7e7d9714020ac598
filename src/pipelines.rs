//! Pipelines: each compiled once, those of a network side by side, from what an earlier run left where there is a cache.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::caps::Caps;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::kernel::{Access, Binding, Form, KernelSpec};
use crate::scopes::{Reported, Scopes};
use crate::variant::Variant;

/// The pipelines of a device, compiled and to be compiled.
#[derive(Debug)]
pub(crate) struct Pipelines {
    device: wgpu::Device,
    scopes: Scopes,
    cache: Option<wgpu::PipelineCache>,
    checks: Checks,
    slots: Slots,
    compiled: AtomicUsize,
}

/// Locked only to look up, to add and to remove, never while something compiles.
type Slots = Arc<Mutex<HashMap<Key, Arc<Pipeline>>>>;

/// Whether shaders check their own accesses to buffers and arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checks {
    On,
    Off,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    kernel: &'static str,
    /// The constants that its shader begins with: calls whose shaders are the same share a pipeline.
    constants: Vec<(String, u32)>,
}

/// A kernel on a device in a variant and a form, which is compiled or will be.
#[derive(Debug)]
pub(crate) struct Pipeline {
    spec: &'static KernelSpec,
    variant: Variant,
    form: Form,
    /// The layout that its buffers are bound by.
    pub layout: wgpu::BindGroupLayout,
    /// Held while it compiles, so that nobody does the same at the same time.
    compiling: Mutex<()>,
    compiled: OnceLock<wgpu::ComputePipeline>,
}

impl Checks {
    /// The checks that suit a device. Software drivers compile a shader without checks ten times as long, as all loops
    /// over registers are unrolled, for some percent of speed: lavapipe 22.3 took 10 s instead of 2.5 s for ViT-Ti's
    /// shaders, and then 5.1 s instead of 5.5 s for a batch of 8, 4.6 s instead of 4.7 s for one image of ViT-B/16.
    pub fn for_device(caps: &Caps) -> Self {
        if cfg!(debug_assertions) || caps.software { Checks::On } else { Checks::Off }
    }
}

impl Pipeline {
    /// Pipelines that have been compiled.
    pub fn get(&self) -> Option<&wgpu::ComputePipeline> {
        self.compiled.get()
    }
}

impl Gpu {
    /// The same device with shaders that check nothing at run time, as real GPUs run them, whatever the device is.
    #[doc(hidden)]
    #[must_use]
    pub fn unchecked(mut self) -> Self {
        let Pipelines { device, scopes, cache, .. } = &*self.pipelines;
        let pipelines = Pipelines { cache: cache.clone(), ..Pipelines::new(device, scopes, Checks::Off) };
        self.pipelines = Arc::new(pipelines);
        self
    }
}

impl Pipelines {
    /// None yet.
    pub fn new(device: &wgpu::Device, scopes: &Scopes, checks: Checks) -> Self {
        Pipelines {
            device: device.clone(),
            scopes: scopes.clone(),
            cache: None,
            checks,
            slots: Slots::default(),
            compiled: AtomicUsize::new(0),
        }
    }

    /// None yet, to be compiled with what a cache has.
    pub fn with_cache(&self, cache: wgpu::PipelineCache) -> Self {
        Pipelines { cache: Some(cache), ..Pipelines::new(&self.device, &self.scopes, self.checks) }
    }

    /// None yet, to be compiled with run-time checks.
    pub fn checked(&self) -> Self {
        Pipelines { cache: self.cache.clone(), ..Pipelines::new(&self.device, &self.scopes, Checks::On) }
    }

    /// How many have been compiled.
    #[cfg(feature = "blocking")]
    pub fn compiled(&self) -> usize {
        self.compiled.load(Ordering::Relaxed)
    }

    /// The place of a pipeline, compiled or not.
    pub fn slot(&self, spec: &'static KernelSpec, variant: Variant, form: &Form) -> Result<Arc<Pipeline>> {
        let key = Key { kernel: spec.name, constants: spec.constants(variant, form) };
        // A poisoned lock means another thread panicked between two insertions; the map itself is whole.
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&key) {
            return Ok(slot.clone());
        }
        let entries: Vec<_> = std::iter::once(uniform_entry())
            .chain(spec.bindings.iter().enumerate().map(layout_entry))
            .collect();
        let layout = self.scopes.guarded(spec.name, 0, || {
            self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some(spec.name),
                entries: &entries,
            })
        })?;
        let (compiling, compiled) = (Mutex::new(()), OnceLock::new());
        let slot = Arc::new(Pipeline { spec, variant, form: form.clone(), layout, compiling, compiled });
        slots.insert(key, slot.clone());
        Ok(slot)
    }

    /// Compiles those that have not been yet, side by side where there are threads.
    pub fn compile(&self, wanted: &[Arc<Pipeline>]) -> Result<()> {
        let mut missing: Vec<&Arc<Pipeline>> = Vec::new();
        for pipeline in wanted.iter().filter(|pipeline| pipeline.get().is_none()) {
            if !missing.iter().any(|other| Arc::ptr_eq(other, pipeline)) {
                missing.push(pipeline);
            }
        }
        self.fill_all(&missing)
    }

    /// One after the other: the browser compiles on its own.
    #[cfg(target_arch = "wasm32")]
    fn fill_all(&self, missing: &[&Arc<Pipeline>]) -> Result<()> {
        missing.iter().try_for_each(|pipeline| self.fill(pipeline))
    }

    /// On as many threads as there are cores.
    #[cfg(not(target_arch = "wasm32"))]
    fn fill_all(&self, missing: &[&Arc<Pipeline>]) -> Result<()> {
        use std::{num::NonZero, panic::resume_unwind, thread};

        let taken = AtomicUsize::new(0);
        let work = || {
            while let Some(pipeline) = missing.get(taken.fetch_add(1, Ordering::Relaxed)) {
                self.fill(pipeline)?;
            }
            Ok(())
        };
        // This thread works too: where no other can be had it does all.
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let others = cores.min(missing.len()).saturating_sub(1);
        thread::scope(|scope| {
            let start = || thread::Builder::new().name("tome-compile".into()).spawn_scoped(scope, work).ok();
            let others: Vec<_> = (0..others).map_while(|_| start()).collect();
            let own = work();
            let results =
                others.into_iter().map(|other| other.join().unwrap_or_else(|why| resume_unwind(why)));
            // Every thread is waited for, whatever the first of them says.
            results.fold(own, Result::and)
        })
    }

    fn fill(&self, pipeline: &Arc<Pipeline>) -> Result<()> {
        let _compiling = pipeline.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been faster.
        if pipeline.get().is_none() {
            let compiled = self.compile_one(pipeline)?;
            // Cannot be set already: only who holds the lock sets it.
            _ = pipeline.compiled.set(compiled);
            self.compiled.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// A pipeline of which the device says only later that it does not compile loses its place, so that the next who
    /// wants it is told too.
    fn compile_one(&self, pipeline: &Arc<Pipeline>) -> Result<wgpu::ComputePipeline> {
        let Pipeline { spec, variant, form, .. } = &**pipeline;
        let assembled = spec.assemble(*variant, form);
        let label = format!("tome.{}", spec.name);
        let broken = Broken { slots: self.slots.clone(), pipeline: pipeline.clone(), label: label.clone() };
        // SAFETY: the shaders are this crate's own. Every loop counts up to a number from `Params` or a constant, and
        // every divisor is checked to be positive when the dispatch is made.
        //
        // No access lies outside of its buffer or array. Nearly every index is reckoned from workgroup, lane and
        // `Params` alone; `Params` are bound where nobody else can write them, and when the dispatch is made each
        // buffer is checked to hold the shape that follows from them and each shape to have less than 2^32 elements,
        // so that no index wraps. The strides of embed_patches are made with its dispatch, of the same `Params`. The
        // other data that become indices may hold anything: they are the caller's, or come from kernels whose input
        // was NaN. These are all:
        // - lists of who may merge into whom (lib/split.wgsl) and source maps (unmerge, merge_source) name tokens, and
        //   are clamped to the last token where they are read;
        // - plans (merge_tokens) name tokens: a place that keeps none is empty, and a chain of members ends at the first
        //   that is no token, after as many steps as there are tokens at the latest;
        // - scores (rank_matches) become ranks by counting, at most as many as there are sources whatever the scores,
        //   and ranks become places in the image's plan below twice the tokens, of which a plan has room for more;
        //   where sizes decide as well (choose_matches), places are clamped to those that there are;
        // - tables of pixels (resize_image) name rows and columns, and are clamped to the texture's last ones;
        // - `best` (rank_matches, choose_matches) becomes a value of the plan, which is looked at as above where it is an
        //   index, or is clamped where it is one at once.
        let (module, reported) = self.scopes.watched(|| unsafe {
            self.device.create_shader_module_trusted(
                wgpu::ShaderModuleDescriptor {
                    label: Some(&label),
                    source: wgpu::ShaderSource::Wgsl(assembled.text.as_str().into()),
                },
                wgpu::ShaderRuntimeChecks {
                    bounds_checks: self.checks == Checks::On,
                    ..wgpu::ShaderRuntimeChecks::unchecked()
                },
            )
        });
        self.scopes.answered({
            let (broken, module) = (broken.clone(), module.clone());
            async move {
                let Some(reported) = reported.await else { return Ok(()) };
                let info = module.get_compilation_info().await;
                let first = info.messages.iter().find_map(|message| message.location);
                let place = first.map_or_else(String::new, |at| assembled.locate(at.line_number as usize));
                Err(broken.error(place, reported))
            }
        })?;
        let (compiled, reported) = self.scopes.watched(|| {
            let layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(&label),
                bind_group_layouts: &[Some(&pipeline.layout)],
                immediate_size: 0,
            });
            self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&label),
                layout: Some(&layout),
                module: &module,
                entry_point: Some(spec.name),
                // Every kernel writes workgroup memory before it reads it.
                compilation_options: wgpu::PipelineCompilationOptions {
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: self.cache.as_ref(),
            })
        });
        self.scopes.answered(async move {
            match reported.await {
                Some(reported) => Err(broken.error("pipeline".into(), reported)),
                None => Ok(()),
            }
        })?;
        Ok(compiled)
    }
}

/// A pipeline that may turn out broken, and where it is kept.
#[derive(Clone)]
struct Broken {
    slots: Slots,
    pipeline: Arc<Pipeline>,
    label: String,
}

impl Broken {
    fn error(self, place: String, reported: Reported) -> Error {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|_, pipeline| !Arc::ptr_eq(pipeline, &self.pipeline));
        match reported {
            Reported::NoMemory => Error::OutOfMemory { what: self.label, bytes: 0 },
            Reported::Refused(message) => Error::Shader { kernel: self.pipeline.spec.name, place, message },
        }
    }
}

fn uniform_entry() -> wgpu::BindGroupLayoutEntry {
    entry(0, buffer(wgpu::BufferBindingType::Uniform))
}

fn layout_entry((i, binding): (usize, &Binding)) -> wgpu::BindGroupLayoutEntry {
    let ty = match binding.access {
        Access::Texture => wgpu::BindingType::Texture {
            sample_type: wgpu::TextureSampleType::Float { filterable: false },
            view_dimension: wgpu::TextureViewDimension::D2,
            multisampled: false,
        },
        _ => buffer(wgpu::BufferBindingType::Storage { read_only: !binding.written }),
    };
    entry(i as u32 + 1, ty)
}

fn buffer(ty: wgpu::BufferBindingType) -> wgpu::BindingType {
    wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None }
}

fn entry(binding: u32, ty: wgpu::BindingType) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry { binding, visibility: wgpu::ShaderStages::COMPUTE, ty, count: None }
}
