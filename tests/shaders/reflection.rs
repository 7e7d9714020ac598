//! What naga reads out of the text against what Rust declares.

use std::collections::HashMap;

use naga::{AddressSpace, Module, StorageAccess, TypeInner};
use tome_wgpu::kernel::Form;
use tome_wgpu::{Element, Tile, Variant, kernels};

use crate::{every_shader, forms};

#[test]
fn the_entry_point_has_the_kernels_name_and_fits_the_default_limits() {
    let limits = wgpu::Limits::default();
    every_shader(|spec, (variant, _), name, module, _| {
        let names: Vec<_> = module.entry_points.iter().map(|e| e.name.as_str()).collect();
        assert_eq!(names, [spec.name], "{name}");

        let lanes = module.entry_points[0].workgroup_size;
        assert!(lanes[0] <= limits.max_compute_workgroup_size_x && lanes[1..] == [1, 1], "{name}: {lanes:?}");
        assert!(lanes[0] <= limits.max_compute_invocations_per_workgroup, "{name}: {lanes:?}");

        let globals = || module.global_variables.iter().map(|(_, g)| g);
        let size =
            |g: &naga::GlobalVariable| module.types[g.ty].inner.size(module.to_ctx()).next_multiple_of(16);
        let shared: u32 = globals().filter(|g| g.space == AddressSpace::WorkGroup).map(size).sum();
        let most = match variant.tile {
            Tile::Cooperative { matrix, .. } if spec.by_matrices(variant) => matrix.memory(),
            _ => limits.max_compute_workgroup_storage_size,
        };
        assert!(shared <= most, "{name}: {shared} bytes of workgroup memory");
        let storage = globals().filter(|g| matches!(g.space, AddressSpace::Storage { .. })).count();
        assert!(
            storage <= limits.max_storage_buffers_per_shader_stage as usize,
            "{name}: {storage} storage buffers"
        );
    });
}

#[test]
fn bindings_are_those_of_the_spec() {
    every_shader(|spec, (variant, form), name, module, _| {
        let mut found: Vec<(u32, &str, bool, bool, u32)> = Vec::new();
        for (_, global) in module.global_variables.iter() {
            let Some(at) = global.binding else { continue };
            assert_eq!(at.group, 0, "{name}");
            let (uniform, written) = match global.space {
                AddressSpace::Uniform => (true, false),
                AddressSpace::Storage { access } => (false, access.contains(StorageAccess::STORE)),
                AddressSpace::Handle => (false, false),
                other => panic!("{name}: binding {} is in {other:?}", at.binding),
            };
            let bytes = if uniform { 4 } else { bytes_of_values(module, global.ty) };
            found.push((at.binding, global.name.as_deref().unwrap_or(""), uniform, written, bytes));
        }
        found.sort_by_key(|f| f.0);
        let params = (0, "params", true, false, 4);
        let wanted = spec.bindings.iter().enumerate().map(|(i, binding)| {
            let bytes = spec.bytes(binding, variant, form) as u32;
            (i as u32 + 1, binding.name, false, binding.written, bytes)
        });
        let wanted = std::iter::once(params).chain(wanted);
        let wanted: Vec<_> = wanted.collect();
        assert_eq!(found, wanted, "{name}");
        // Parameters, then reads, then writes: the order in which a call is read.
        assert!(wanted.is_sorted_by_key(|w| w.3), "{name}: order of bindings");
    });
}

/// Bytes of a value in an array of scalars or vectors. Pairs of words hold four halves: see `Packed4` and `Weight4`.
fn bytes_of_values(module: &Module, array: naga::Handle<naga::Type>) -> u32 {
    let base = match module.types[array].inner {
        TypeInner::Array { base, .. } => base,
        // Textures have none.
        TypeInner::Image { dim: naga::ImageDimension::D2, arrayed: false, .. } => return 0,
        ref other => panic!("neither an array nor a picture: {other:?}"),
    };
    match module.types[base].inner {
        TypeInner::Vector { scalar: naga::Scalar::U32, size: naga::VectorSize::Bi } => 2,
        TypeInner::Scalar(scalar) | TypeInner::Vector { scalar, .. } => scalar.width.into(),
        ref other => panic!("an array of {other:?}"),
    }
}

#[test]
fn params_have_the_same_layout_in_rust_and_wgsl() {
    every_shader(|spec, _, name, module, _| {
        let (_, params) =
            module.global_variables.iter().find(|(_, g)| g.space == AddressSpace::Uniform).unwrap();
        let TypeInner::Struct { members, span } = &module.types[params.ty].inner else {
            panic!("{name}: no struct")
        };
        let kind = |member: &naga::StructMember| match module.types[member.ty].inner {
            TypeInner::Scalar(naga::Scalar::F32) => "f32",
            TypeInner::Scalar(naga::Scalar::U32) => "u32",
            ref other => panic!("{name}: Params hold {other:?}"),
        };
        let wgsl: Vec<_> = members.iter().map(|m| (m.name.as_deref(), m.offset as usize, kind(m))).collect();
        // What is no float is a number or a choice.
        let scalar = |kind| if kind == "f32" { "f32" } else { "u32" };
        let rust: Vec<_> = spec.params.iter().map(|f| (Some(f.name), f.offset, scalar(f.kind))).collect();
        assert_eq!(wgsl, rust, "{name}");
        assert_eq!(*span as usize, 4 * spec.params.len(), "{name}: size of the uniform");
    });
}

#[test]
fn shaders_with_the_same_constants_are_the_same() {
    for spec in kernels::ALL {
        let mut texts = HashMap::new();
        for variant in Variant::all() {
            for form in forms(spec, variant) {
                let text = spec.assemble(variant, &form).text;
                let first = texts.entry(spec.constants(variant, &form)).or_insert_with(|| text.clone());
                assert_eq!(*first, text, "{} {} {form:?}", spec.name, variant.id());
            }
        }
    }
}

#[test]
fn every_head_width_fits_its_registers() {
    let plain = Variant::new(Element::F32, Tile::Workgroup);
    for head_width in (4..=128).step_by(4) {
        let form = Form { head_width, ..Form::default() };
        let constants = kernels::attention::SPEC.constants(plain, &form);
        let vectors = constants.iter().find(|(name, _)| name == "WIDTH4").unwrap().1;
        assert!(vectors * 4 >= head_width, "head width {head_width}, {vectors} vectors");
        assert!(vectors <= 32, "head width {head_width} would take {vectors} vectors");
    }
}

#[test]
fn an_assembled_line_is_traced_to_its_file() {
    let pairs = kernels::ALL.into_iter().flat_map(|spec| Variant::all().map(move |variant| (spec, variant)));
    for (spec, variant) in pairs {
        let form = Form { head_width: 64, ..forms(spec, variant)[0].clone() };
        let assembled = spec.assemble(variant, &form);
        // What it enables, and its constants.
        let constants = spec.constants(variant, &form).len();
        let mut line = assembled.text.lines().take_while(|l| l.starts_with("enable ")).count() + constants;
        for file in spec.files(variant, &form) {
            for (i, wanted) in file.text.lines().enumerate() {
                line += 1;
                assert_eq!(assembled.locate(line), format!("{}:{}", file.name, i + 1));
                assert_eq!(assembled.text.lines().nth(line - 1), Some(wanted));
            }
        }
        assert_eq!(assembled.text.lines().count(), line);
    }
}
