//! The shaders' text against the Rust side, without a GPU: every part of every kernel is there, naga accepts every
//! variant and translates it for Vulkan, Metal and DirectX, and what naga reads out of the text (bindings, struct
//! layout, constants, workgroup sizes) is what Rust declares.

mod house;
#[path = "../common/place.rs"]
mod place;
mod reflection;
mod rules;
mod translation;
mod written;

use naga::Module;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use tome_wgpu::kernel::{Form, Part};
use tome_wgpu::{Element, KernelSpec, Lane, Tile, TileSize, Variant, kernels};

/// One head width for each that a row in registers may have.
const HEAD_WIDTHS: [u32; 5] = [16, 32, 64, 80, 128];

/// A form for each shader of a variant that a call may choose: every value that is compiled in, without any, with one and
/// with all of what may be absent.
fn forms(spec: &KernelSpec, variant: Variant) -> Vec<Form> {
    let has = |part| spec.parts.contains(&part);
    let widths = if has(Part::Attend) { &HEAD_WIDTHS[..] } else { &[0] };
    let sizes = if has(Part::Tile) { variant.tile.sizes() } else { &[TileSize::Medium] };
    let compiled: Vec<Vec<u32>> = match spec.compiled {
        [] => vec![vec![]],
        [choice] => (0..choice.values.len() as u32).map(|value| vec![value]).collect(),
        _ => panic!("{}: every pair of choices is not tested", spec.name),
    };
    let (optional, needed): (Vec<_>, Vec<_>) =
        spec.bindings.iter().enumerate().map(|(i, binding)| (binding.optional, 1 << i)).partition(|b| b.0);
    let needed: u32 = needed.iter().map(|(_, bit)| bit).sum();
    // The slabs of a product, and what becomes of its sums, are files and constants of their own: both at once.
    let fits = if has(Part::Tile) { &[true, false][..] } else { &[true] };
    let mut present = vec![needed];
    present.extend(optional.iter().map(|(_, bit)| needed | bit));
    present.push(u32::MAX);
    let mut forms = Vec::new();
    for &head_width in widths {
        for &tile_size in sizes {
            for (compiled, &fits) in compiled.iter().flat_map(|c| fits.iter().map(move |f| (c, f))) {
                forms.extend(present.iter().map(|&present| Form {
                    head_width,
                    tile_size,
                    whole_slabs: fits,
                    fours: fits,
                    present,
                    compiled: compiled.clone(),
                }));
            }
        }
    }
    forms
}

/// Calls `check` with every shader that the crate can assemble.
fn every_shader(check: impl Fn(&KernelSpec, (Variant, &Form), &str, &Module, &ModuleInfo)) {
    for spec in kernels::ALL {
        for variant in Variant::all() {
            for form in forms(spec, variant) {
                let name = format!("{} {} {form:?}", spec.name, variant.id());
                let assembled = spec.assemble(variant, &form);
                let module = naga::front::wgsl::parse_str(&assembled.text)
                    .unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(&assembled.text)));
                let info = Validator::new(ValidationFlags::all(), needs(variant))
                    .validate(&module)
                    .unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(&assembled.text)));
                check(spec, (variant, &form), &name, &module, &info);
            }
        }
    }
}

/// What a variant may ask of a device: nothing, unless it is made for subgroups or 16-bit floats.
fn needs(variant: Variant) -> Capabilities {
    let lane = match variant.lane {
        Lane::Tree => Capabilities::empty(),
        Lane::Subgroup => Capabilities::SUBGROUP,
    };
    let element = match variant.element {
        Element::F16 => Capabilities::SHADER_FLOAT16 | Capabilities::SHADER_FLOAT16_IN_FLOAT32,
        _ => Capabilities::empty(),
    };
    let tile = match variant.tile {
        Tile::Cooperative { .. } => Capabilities::COOPERATIVE_MATRIX,
        _ => Capabilities::empty(),
    };
    lane | element | tile
}
