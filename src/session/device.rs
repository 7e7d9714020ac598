//! The device that runs a network, and why that one.

use std::fmt;
use std::str::FromStr;

use crate::caps::{cooperative_tile, wanted_device, wanted_features};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::session::self_test::tested_tile;
use crate::session::tuning::{Tuning, saved};
use crate::store::Store;
use crate::variant::{Element, Variant};

/// The device to run on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceChoice {
    /// A real GPU where there is one, otherwise the CPU path: on machines without a GPU it is many times faster
    /// than shaders on a software driver.
    #[default]
    Auto,
    /// The CPU path.
    Cpu,
    /// An adapter by its place in [`adapters`], also a software driver.
    Index(usize),
    /// The first adapter that has this in its name and backend as `tome devices` lists them, `NAME (Backend)`, in upper or
    /// lower case; also a software driver.
    Name(String),
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.trim() {
            "auto" => Ok(DeviceChoice::Auto),
            "cpu" => Ok(DeviceChoice::Cpu),
            // Every name has it.
            "" => Err(Error::Input(
                "device ``; give auto, cpu, an adapter's number, or a part of `NAME (Backend)` as `tome devices` lists it"
                    .into(),
            )),
            name => Ok(name.parse().map_or_else(|_| DeviceChoice::Name(name.into()), DeviceChoice::Index)),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Auto => f.write_str("auto"),
            DeviceChoice::Cpu => f.write_str("cpu"),
            DeviceChoice::Index(index) => write!(f, "{index}"),
            DeviceChoice::Name(name) => f.write_str(name),
        }
    }
}

/// The device that runs a network, and why that one. Prints as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceReport {
    /// The adapter's name, or `CPU`.
    pub name: String,
    /// `Vulkan`, `Metal`, `Dx12`, or `CPU`.
    pub backend: String,
    /// Type of the stored activations and weights.
    pub precision: &'static str,
    /// The reason why this one.
    pub why: String,
    /// The tuning that [`Bench::save_tuning`](crate::tune::Bench::save_tuning) has saved for it, which is in use.
    pub tuning: Option<Tuning>,
}

impl fmt::Display for DeviceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.backend == self.name {
            true => write!(f, "{}, {}: {}", self.name, self.precision, self.why)?,
            false => write!(f, "{} ({}), {}: {}", self.name, self.backend, self.precision, self.why)?,
        }
        self.tuning.map_or(Ok(()), |tuning| write!(f, "; tuned: {tuning}"))
    }
}

impl DeviceReport {
    pub(super) fn cpu(why: String) -> Self {
        DeviceReport {
            name: "CPU".into(),
            backend: "CPU".into(),
            precision: Element::F32.name(),
            why,
            tuning: None,
        }
    }

    pub(super) fn gpu(info: &wgpu::AdapterInfo, element: Element, why: String) -> Self {
        DeviceReport {
            name: info.name.clone(),
            backend: format!("{:?}", info.backend),
            precision: element.name(),
            why,
            tuning: None,
        }
    }
}

/// An adapter as `tome devices` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdapterReport {
    /// Its place, for [`DeviceChoice::Index`].
    pub index: usize,
    /// Its name.
    pub name: String,
    /// `Vulkan`, `Metal` or `Dx12`.
    pub backend: String,
    /// Driver and version, as the driver says.
    pub driver: String,
    /// Its place on the PCI bus, `0000:65:00.0`, where the driver says it: by it the adapter is known to other programs.
    pub pci: Option<String>,
    /// `discrete GPU`, `integrated GPU`, `virtual GPU`, `software` or `other`.
    pub kind: String,
    /// PCI's number of its maker: 0x10de NVIDIA, 0x1002 AMD, 0x8086 Intel.
    pub vendor: u32,
    /// The optional features that this crate uses and the adapter has.
    pub features: Vec<String>,
    /// The limits that matter here, by their names in WebGPU.
    pub limits: Vec<(&'static str, u64)>,
    /// The tunings that have been saved for it in the user's store, by storage type, see
    /// [`Bench::tune`](crate::tune::Bench::tune).
    pub tunings: Vec<(&'static str, Tuning)>,
}

/// Every adapter, in the order of [`DeviceChoice::Index`].
pub fn adapters() -> Vec<AdapterReport> {
    pollster::block_on(list()).iter().enumerate().map(report).collect()
}

/// An adapter as it is listed and asked for.
fn listed(info: &wgpu::AdapterInfo) -> String {
    format!("{} ({:?})", info.name, info.backend)
}

/// The adapters of the backends that this crate is meant for, as wgpu's environment variables have them
/// (`WGPU_BACKEND`, `WGPU_DX12_COMPILER`); OpenGL is left out, as its compilers take minutes over these shaders.
async fn list() -> Vec<wgpu::Adapter> {
    let wanted = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    let backends = wanted.backends & wgpu::Backends::PRIMARY;
    let mut adapters = enumerate(wgpu::InstanceDescriptor { backends, ..wanted }).await;
    // With a `dxcompiler.dll` at hand wgpu passes over what ends at shader model 5.1: that is FXC's.
    let hidden = cfg!(windows) && backends.contains(wgpu::Backends::DX12) && {
        let gpu = |info: wgpu::AdapterInfo| {
            info.backend == wgpu::Backend::Dx12 && info.device_type != wgpu::DeviceType::Cpu
        };
        !adapters.iter().any(|a| gpu(a.get_info()))
    };
    if hidden && wgpu::Dx12Compiler::from_env().is_none() {
        let mut wanted = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        wanted.backends = wgpu::Backends::DX12;
        wanted.backend_options.dx12.shader_compiler = wgpu::Dx12Compiler::Fxc;
        let names: Vec<_> = adapters.iter().map(|a| listed(&a.get_info())).collect();
        let by_fxc = enumerate(wanted).await.into_iter();
        adapters.extend(by_fxc.filter(|a| !names.contains(&listed(&a.get_info()))));
    }
    adapters
}

async fn enumerate(wanted: wgpu::InstanceDescriptor) -> Vec<wgpu::Adapter> {
    let backends = wanted.backends;
    wgpu::Instance::new(wanted).enumerate_adapters(backends).await
}

fn report((index, adapter): (usize, &wgpu::Adapter)) -> AdapterReport {
    let info = adapter.get_info();
    let (limits, store) = (adapter.limits(), Store::user());
    AdapterReport {
        index,
        name: info.name.clone(),
        backend: format!("{:?}", info.backend),
        driver: format!("{} {}", info.driver, info.driver_info).trim().into(),
        pci: Some(info.device_pci_bus_id.clone()).filter(|id| !id.is_empty()),
        kind: kind(info.device_type).into(),
        vendor: info.vendor,
        features: wanted_features(adapter)
            .iter_names()
            .map(|(name, _)| name.to_lowercase())
            .chain(cooperative_tile(adapter).map(|_| "cooperative_matrix".into()))
            .collect(),
        limits: vec![
            ("maxBufferSize", limits.max_buffer_size),
            ("maxStorageBufferBindingSize", limits.max_storage_buffer_binding_size),
            ("maxComputeWorkgroupStorageSize", limits.max_compute_workgroup_storage_size.into()),
            ("maxComputeInvocationsPerWorkgroup", limits.max_compute_invocations_per_workgroup.into()),
        ],
        tunings: [Element::F32, Element::F16]
            .into_iter()
            .filter_map(|element| Some((element.name(), saved(&store, &info, element)?)))
            .collect(),
    }
}

fn kind(device_type: wgpu::DeviceType) -> &'static str {
    match device_type {
        wgpu::DeviceType::DiscreteGpu => "discrete GPU",
        wgpu::DeviceType::IntegratedGpu => "integrated GPU",
        wgpu::DeviceType::VirtualGpu => "virtual GPU",
        wgpu::DeviceType::Cpu => "software",
        wgpu::DeviceType::Other => "other",
    }
}

/// The adapters to try in turn, and why these; none for the CPU path.
pub(super) async fn candidates(choice: &DeviceChoice) -> Result<(Vec<wgpu::Adapter>, String)> {
    let asked_for = || "asked for".to_owned();
    if *choice == DeviceChoice::Cpu {
        return Ok((Vec::new(), asked_for()));
    }
    let mut adapters = list().await;
    let missing = |what: String| {
        let names: Vec<_> = adapters.iter().map(|a| listed(&a.get_info())).collect();
        let there = if names.is_empty() { "none".into() } else { names.join(", ") };
        Error::NoAdapter(format!("{what}; there is {there}"))
    };
    match choice {
        DeviceChoice::Index(index) => {
            let adapter = adapters.get(*index).cloned().ok_or_else(|| missing(format!("number {index}")))?;
            Ok((vec![adapter], asked_for()))
        }
        DeviceChoice::Name(name) => {
            let (text, part) =
                (|a: &wgpu::Adapter| listed(&a.get_info()).to_lowercase(), name.to_lowercase());
            // An empty part would be in every name.
            let holds = |a: &&wgpu::Adapter| !part.trim().is_empty() && text(a).contains(&part);
            let adapter =
                adapters.iter().find(holds).cloned().ok_or_else(|| missing(format!("named `{name}`")))?;
            Ok((vec![adapter], asked_for()))
        }
        DeviceChoice::Auto | DeviceChoice::Cpu => {
            let why = adapters.first().map_or_else(
                || "no Vulkan, Metal or DX12 adapter found".into(),
                |a| {
                    format!(
                        "the only adapter is a software driver ({}), slower than the CPU path",
                        a.get_info().name
                    )
                },
            );
            adapters.retain(|a| preference(a) > 0);
            // Stable: of two alike the first.
            adapters.sort_by_key(|a| std::cmp::Reverse(preference(a)));
            let why = if adapters.is_empty() { why } else { "the best adapter".into() };
            Ok((adapters, why))
        }
    }
}

/// A device with what the crate can use of the adapter for a storage type: matrix units only where they have passed
/// their test, and not on software drivers, where they are slower than plain loops.
pub(super) async fn open(
    adapter: &wgpu::Adapter,
    element: Element,
    store: &Store,
) -> Result<(Gpu, wgpu::Queue)> {
    let software = adapter.get_info().device_type == wgpu::DeviceType::Cpu;
    let units = if element == Element::F16 && !software { tested_tile(adapter, store).await } else { None };
    let wanted = wanted_device(adapter, if units.is_some() { element } else { Element::F32 });
    let opened = adapter.request_device(&wanted).await;
    let (device, queue) = opened.map_err(|e| Error::Device {
        what: format!("a device on {}", adapter.get_info().name),
        message: e.to_string(),
    })?;
    let gpu = Gpu::with_element(&device, element)?;
    let gpu = match units {
        Some(tile) => Gpu::with_variant(&device, Variant { tile, ..gpu.variant() })?,
        None => gpu,
    };
    Ok((gpu, queue))
}

fn preference(adapter: &wgpu::Adapter) -> u32 {
    match adapter.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => 4,
        wgpu::DeviceType::IntegratedGpu => 3,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 1,
        wgpu::DeviceType::Cpu => 0,
    }
}
