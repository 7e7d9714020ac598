//! Every shader that an adapter may be given, and its SPIR-V as wgpu makes it for this crate.

use std::collections::HashSet;

use naga::back::spv;
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ShaderStage, TypeInner};
use tome_wgpu::{Element, Lane, Tile, Variant, cooperative_tile, kernels};

use crate::forms::{forms, needs};

/// A shader, as assembled.
pub struct Shader {
    /// `VARIANT/KERNEL.FORM`.
    pub name: String,
    /// Whether it has to run on matrix units.
    pub by_matrices: bool,
    /// The name of its entry point.
    pub entry: String,
    /// By their numbers.
    pub bindings: Vec<(u32, Binding)>,
    module: Module,
    info: ModuleInfo,
}

/// What a shader binds.
#[derive(Clone, Copy)]
pub enum Binding {
    Uniform,
    Storage,
    Texture,
}

/// The variants that an adapter runs, on a GPU those for software drivers only where `all` are wanted. Those with
/// subgroups come first: a shader that several share has the name of what a GPU would be given.
fn variants(adapter: &wgpu::Adapter, all: bool) -> Vec<Variant> {
    let (features, matrices, info) = (adapter.features(), cooperative_tile(adapter), adapter.get_info());
    let direct = all || info.device_type == wgpu::DeviceType::Cpu;
    let runs = |variant: &Variant| {
        let by_subgroup = variant.lane == Lane::Subgroup;
        (features.contains(wgpu::Features::SHADER_F16) || variant.element == Element::F32)
            && (features.contains(wgpu::Features::SUBGROUP) || !by_subgroup)
            && match variant.tile {
                Tile::Workgroup => true,
                // Vectors are handed round among eight lanes.
                Tile::Direct => direct && (info.subgroup_min_size >= 8 || !by_subgroup),
                Tile::Cooperative { .. } => matrices == Some(variant.tile),
            }
    };
    let mut variants: Vec<Variant> = Variant::all().filter(runs).collect();
    variants.sort_by_key(|variant| variant.lane == Lane::Tree);
    variants
}

/// Every shader whose name is `wanted`, once each, as kernels do not differ in every variant; `all` as above.
pub fn shaders(adapter: &wgpu::Adapter, all: bool, wanted: impl Fn(&str) -> bool) -> Vec<Shader> {
    let mut known = HashSet::new();
    let mut shaders = Vec::new();
    for variant in variants(adapter, all) {
        for spec in kernels::ALL {
            for form in &forms(spec, variant) {
                let name = format!("{}/{}", variant.id(), spec.form_id(variant, form));
                let text = spec.assemble(variant, form).text;
                if known.insert(text.clone()) && wanted(&name) {
                    shaders.push(Shader::new(name, spec.by_matrices(variant), variant, &text));
                }
            }
        }
    }
    shaders.sort_by(|a, b| a.name.cmp(&b.name));
    shaders
}

impl Shader {
    fn new(name: String, by_matrices: bool, variant: Variant, text: &str) -> Shader {
        let module = naga::front::wgsl::parse_str(text)
            .unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(text)));
        let info = Validator::new(ValidationFlags::all(), needs(variant)).validate(&module);
        let info = info.unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(text)));
        let bound = module.global_variables.iter().filter_map(|(_, variable)| {
            let kind = match (variable.space, &module.types[variable.ty].inner) {
                (AddressSpace::Uniform, _) => Binding::Uniform,
                (_, TypeInner::Image { .. }) => Binding::Texture,
                _ => Binding::Storage,
            };
            Some((variable.binding?.binding, kind))
        });
        let bindings = bound.collect();
        let entry = module.entry_points[0].name.clone();
        Shader { name, by_matrices, entry, bindings, module, info }
    }

    /// Its SPIR-V of a version: without run-time checks, and workgroup memory is not zeroed.
    pub fn spirv(&self, version: (u8, u8)) -> Vec<u32> {
        let unchecked = BoundsCheckPolicy::Unchecked;
        let numbers = self.module.global_variables.iter().filter_map(|(_, variable)| variable.binding);
        let own = |binding: naga::ResourceBinding| spv::BindingInfo {
            descriptor_set: binding.group,
            binding: binding.binding,
            binding_array_size: None,
        };
        let options = spv::Options {
            lang_version: version,
            flags: spv::WriterFlags::empty(),
            binding_map: numbers.map(|binding| (binding, own(binding))).collect(),
            bounds_check_policies: BoundsCheckPolicies {
                index: unchecked,
                buffer: unchecked,
                image_load: unchecked,
                binding_array: unchecked,
            },
            zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
            force_loop_bounding: false,
            emit_int_div_checks: false,
            ..Default::default()
        };
        let entry =
            spv::PipelineOptions { entry_point: self.entry.clone(), shader_stage: ShaderStage::Compute };
        spv::write_vec(&self.module, &self.info, &options, Some(&entry))
            .unwrap_or_else(|e| panic!("{}: SPIR-V: {e}", self.name))
    }
}
