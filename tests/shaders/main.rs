//! The shaders' text against the Rust side, without a GPU: every part of every kernel is there, naga accepts every
//! variant and translates it for Vulkan, Metal and DirectX, and what naga reads out of the text (bindings, struct
//! layout, constants, workgroup sizes) is what Rust declares.

#[cfg(windows)]
mod directx;
mod forms;
mod house;
#[path = "../common/place.rs"]
mod place;
mod reflection;
mod rules;
mod translation;
mod written;

use naga::Module;
use naga::valid::{ModuleInfo, ValidationFlags, Validator};
use tome_wgpu::kernel::Form;
use tome_wgpu::{KernelSpec, Variant, kernels};

use forms::{forms, needs};

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
