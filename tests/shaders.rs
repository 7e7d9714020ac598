//! The shaders' text against the Rust side, without a GPU: every part of every kernel is there, naga accepts every
//! variant and translates it for Vulkan, Metal and DirectX, and what naga reads out of the text (bindings, struct
//! layout, constants, workgroup sizes) is what Rust assumes.

use std::any::TypeId;
use std::collections::BTreeSet;
use std::fs;
use std::mem::offset_of;
use std::path::{Path, PathBuf};

use bytemuck::Zeroable;
use naga::back::{hlsl, msl, spv};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, StorageAccess, TypeInner};
use tome_wgpu::{
    Access, Element, Epilogue, Form, KernelSpec, Lane, Matrix, Part, Tile, TileSize, Variant, kernels,
};

/// One head width for each file that a width may choose.
const HEAD_WIDTHS: [u32; 5] = [16, 32, 64, 80, 128];

/// A form for each shader of a variant that a call may choose.
fn forms(spec: &KernelSpec, variant: Variant) -> Vec<Form> {
    let has = |part| spec.parts.contains(&part);
    let widths = if has(Part::Width) { &HEAD_WIDTHS[..] } else { &[0] };
    let outputs = if has(Part::Out) { &[false, true][..] } else { &[false] };
    let sizes = if has(Part::Tile) { variant.tile.sizes() } else { &[TileSize::Medium] };
    let epilogues = if has(Part::Epilogue) { epilogues() } else { vec![Epilogue::default()] };
    let mut forms = Vec::new();
    for &head_width in widths {
        for &exact in outputs {
            for &tile_size in sizes {
                forms.extend(epilogues.iter().map(|&epilogue| Form {
                    head_width,
                    exact,
                    tile_size,
                    epilogue,
                }));
            }
        }
    }
    forms
}

/// Every part of an epilogue: each activation, alone and with all the rest.
fn epilogues() -> Vec<Epilogue> {
    let of =
        |rest| move |activation| Epilogue { activation, bias: rest, scale: rest, gate: rest, residual: rest };
    let activations = 0..=kernels::matmul::Activation::Sigmoid.0;
    activations.clone().map(of(false)).chain(activations.map(of(true))).collect()
}

/// Calls `check` with every shader that the crate can assemble.
fn every_shader(check: impl Fn(&KernelSpec, (Variant, Form), &str, &Module, &ModuleInfo)) {
    for spec in kernels::ALL {
        for variant in Variant::all() {
            for form in forms(spec, variant) {
                let name = format!("{} {} {form:?}", spec.name, variant.id());
                let assembled = spec.assemble(variant, form);
                let module = naga::front::wgsl::parse_str(&assembled.text)
                    .unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(&assembled.text)));
                let info = Validator::new(ValidationFlags::all(), needs(variant))
                    .validate(&module)
                    .unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(&assembled.text)));
                check(spec, (variant, form), &name, &module, &info);
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
        Element::F16 => Capabilities::SHADER_FLOAT16,
        _ => Capabilities::empty(),
    };
    let tile = match variant.tile {
        Tile::Cooperative { .. } => Capabilities::COOPERATIVE_MATRIX,
        _ => Capabilities::empty(),
    };
    lane | element | tile
}

#[test]
fn every_variant_is_valid_and_translates_to_spirv_msl_and_hlsl() {
    every_shader(|spec, (variant, form), name, module, info| {
        // Subgroup operations came with SPIR-V 1.3, Metal 2.1 and shader model 6.0, the last being DXC's; 16-bit
        // floats with shader model 6.2.
        let (spirv, metal, model) = match variant.lane {
            Lane::Tree => ((1, 0), (2, 0), hlsl::ShaderModel::V5_1),
            Lane::Subgroup => ((1, 3), (2, 4), hlsl::ShaderModel::V6_0),
        };
        let model = if variant.element == Element::F16 { hlsl::ShaderModel::V6_2 } else { model };
        // Metal's matrices are 8 x 8, DirectX has none.
        let matrix = match variant.tile {
            Tile::Cooperative { matrix, .. } if spec.by_matrices(variant, form) => Some(matrix),
            _ => None,
        };
        let options = spv::Options { lang_version: spirv, ..Default::default() };
        let words =
            spv::write_vec(module, info, &options, None).unwrap_or_else(|e| panic!("{name}: SPIR-V: {e}"));
        assert_eq!(words[0], 0x0723_0203, "{name}: no SPIR-V");

        if matrix == Some(Matrix::Sixteen) {
            return;
        }
        let options = msl::Options { lang_version: metal, ..Default::default() };
        let (text, _) = msl::write_string(module, info, &options, &msl::PipelineOptions::default())
            .unwrap_or_else(|e| panic!("{name}: MSL: {e}"));
        assert!(
            text.contains(&format!("kernel void {}", spec.name)),
            "{name}: entry point renamed in MSL\n{text}"
        );

        if matrix.is_some() {
            return;
        }
        let options = hlsl::Options { shader_model: model, ..Default::default() };
        let (mut text, pipeline) = (String::new(), hlsl::PipelineOptions::default());
        hlsl::Writer::new(&mut text, &options, &pipeline)
            .write(module, info, None)
            .unwrap_or_else(|e| panic!("{name}: HLSL: {e}"));
        assert!(
            text.contains(&format!("void {}(", spec.name)),
            "{name}: entry point renamed in HLSL\n{text}"
        );
    });
}

#[test]
fn subgroup_operations_stay_in_the_subgroup_variants() {
    every_shader(|spec, (variant, form), name, module, _| {
        let capabilities = needs(Variant { lane: Lane::Tree, ..variant });
        let valid = Validator::new(ValidationFlags::all(), capabilities).validate(module).is_ok();
        let has = |part| spec.parts.contains(&part);
        let direct = variant.tile == Tile::Direct && (has(Part::Tile) || has(Part::Attend));
        let uses =
            variant.lane == Lane::Subgroup && (direct || has(Part::Lane)) || spec.by_matrices(variant, form);
        assert_eq!(valid, !uses, "{name}: runs without features");
    });
}

#[test]
fn the_entry_point_has_the_kernels_name_and_fits_the_default_limits() {
    let limits = wgpu::Limits::default();
    every_shader(|spec, (variant, form), name, module, _| {
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
            Tile::Cooperative { matrix, .. } if spec.by_matrices(variant, form) => matrix.memory(),
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
                other => panic!("{name}: binding {} is in {other:?}", at.binding),
            };
            let bytes = if uniform { 4 } else { bytes_of_values(module, global.ty) };
            found.push((at.binding, global.name.as_deref().unwrap_or(""), uniform, written, bytes));
        }
        found.sort_by_key(|f| f.0);
        let wanted = spec.bindings.iter().enumerate().map(|(i, &(name, access))| {
            let bytes = access.bytes(variant, form) as u32;
            (i as u32, name, access == Access::Uniform, access.writes(), bytes)
        });
        let wanted: Vec<_> = wanted.collect();
        assert_eq!(found, wanted, "{name}");
        // Parameters, then reads, then writes: the order in which a call is read.
        assert!(wanted.is_sorted_by_key(|w| w.3) && wanted[0].1 == "params", "{name}: order of bindings");
    });
}

/// Bytes of a value in an array of scalars or vectors.
fn bytes_of_values(module: &Module, array: naga::Handle<naga::Type>) -> u32 {
    let TypeInner::Array { base, .. } = module.types[array].inner else { panic!("not an array") };
    match module.types[base].inner {
        TypeInner::Scalar(scalar) | TypeInner::Vector { scalar, .. } => scalar.width.into(),
        ref other => panic!("an array of {other:?}"),
    }
}

/// Name, offset and WGSL type of a member of `Params`.
type Member = (String, u32, &'static str);

/// The members of every kernel's `Params` in Rust. A field forgotten here is missing from the comparison with WGSL.
fn rust_params() -> Vec<(&'static str, Vec<Member>)> {
    macro_rules! params {
        ($($kernel:ident: $($field:ident)*;)*) => { vec![$((stringify!($kernel), {
            use kernels::$kernel::Params;
            let zero = Params::zeroed();
            vec![$((stringify!($field).to_owned(), offset_of!(Params, $field) as u32, scalar(&zero.$field)),)*]
        }),)*] };
    }
    params! {
        embed_patches: batch image_channels height width patch_height patch_width prefix channels has_normal tokens;
        layer_norm: rows channels eps has_weight has_bias;
        matmul: rows inner columns activation has_bias has_scale has_gate has_residual;
        norm_heads: rows heads head_width stride eps;
        attention: batch queries tokens heads head_width q_image q_stride stride q_start k_start v_start scale has_size;
        key_metric: rows heads head_width stride start unit;
        split_tokens: lists tokens protect srcs mode columns cell_height cell_width place seed first;
        find_matches: batch tokens width protect similarity srcs split_stride has_split;
        rank_matches: batch tokens r protect srcs split_stride has_split;
        merge_tokens: batch tokens r channels sources mode has_size has_source has_normed eps;
        pool: batch tokens channels first mode;
        unmerge: batch tokens sources first channels has_residual;
    }
}

/// Everything that is not a float is a number or a choice of 32 bits.
fn scalar<T: 'static>(_: &T) -> &'static str {
    assert_eq!(size_of::<T>(), 4);
    if TypeId::of::<T>() == TypeId::of::<f32>() { "f32" } else { "u32" }
}

#[test]
fn params_have_the_same_layout_in_rust_and_wgsl() {
    let rust = rust_params();
    every_shader(|spec, _, name, module, _| {
        let (_, params) =
            module.global_variables.iter().find(|(_, g)| g.space == AddressSpace::Uniform).unwrap();
        let TypeInner::Struct { members, span } = &module.types[params.ty].inner else {
            panic!("{name}: no struct")
        };
        let wgsl: Vec<Member> = members
            .iter()
            .map(|m| {
                let kind = match module.types[m.ty].inner {
                    TypeInner::Scalar(naga::Scalar::F32) => "f32",
                    TypeInner::Scalar(naga::Scalar::U32) => "u32",
                    ref other => panic!("{name}: Params hold {other:?}"),
                };
                (m.name.clone().unwrap_or_default(), m.offset, kind)
            })
            .collect();
        let rust =
            rust.iter().find(|r| r.0 == spec.name).unwrap_or_else(|| panic!("{name} is not in rust_params"));
        assert_eq!(wgsl, rust.1, "{name}");
        assert_eq!(*span as usize, spec.params_size, "{name}: size of Params");
    });
}

/// A `const NAME: u32 = value` of a shader.
fn constant(module: &Module, name: &str) -> Option<u32> {
    let (_, constant) = module.constants.iter().find(|(_, c)| c.name.as_deref() == Some(name))?;
    match module.global_expressions[constant.init] {
        naga::Expression::Literal(naga::Literal::U32(value)) => Some(value),
        _ => None,
    }
}

#[test]
fn constants_of_tiles_are_those_that_rust_counts_workgroups_with() {
    let check = |spec: KernelSpec, variant: Variant, size: TileSize| {
        let form = Form { tile_size: size, ..Form::default() };
        let module = naga::front::wgsl::parse_str(&spec.assemble(variant, form).text).unwrap();
        let found = ["TILE_ROWS", "TILE_COLUMNS"].map(|name| constant(&module, name));
        assert_eq!(found, variant.tile.covers(size).map(Some), "{size:?} {variant:?} in {}", spec.name);
    };
    for variant in Variant::all() {
        for &size in variant.tile.sizes() {
            check(kernels::matmul::SPEC, variant, size);
            check(kernels::embed_patches::SPEC, variant, size);
        }
        for head_width in HEAD_WIDTHS {
            let form = Form { head_width, ..Form::default() };
            let text = kernels::attention::SPEC.assemble(variant, form).text;
            let queries = constant(&naga::front::wgsl::parse_str(&text).unwrap(), "QUERIES");
            assert_eq!(
                queries,
                Some(variant.tile.queries(head_width)),
                "{head_width} of attention, {variant:?}"
            );
        }
    }
}

#[test]
fn every_head_width_fits_its_registers() {
    for width in (4..=128).step_by(4) {
        let form = Form { head_width: width, ..Form::default() };
        let text = kernels::attention::SPEC.assemble(plain(), form).text;
        let vectors = constant(&naga::front::wgsl::parse_str(&text).unwrap(), "WIDTH4").unwrap();
        assert!(vectors * 4 >= width, "head width {width}, {vectors} vectors");
        assert!(vectors <= 32, "head width {width} would take {vectors} vectors");
    }
}

#[test]
fn an_assembled_line_is_traced_to_its_file() {
    let pairs = kernels::ALL.into_iter().flat_map(|spec| Variant::all().map(move |variant| (spec, variant)));
    for (spec, variant) in pairs {
        let form = Form { head_width: 64, ..Form::default() };
        let assembled = spec.assemble(variant, form);
        let mut line = assembled.text.lines().take_while(|line| line.starts_with("enable ")).count();
        let files =
            spec.parts.iter().flat_map(|p| p.files(variant, form)).map(|f| (f.name.to_owned(), f.text));
        for (name, text) in files.chain([(format!("{}.wgsl", spec.name), spec.source)]) {
            for (i, wanted) in text.lines().enumerate() {
                line += 1;
                assert_eq!(assembled.locate(line), format!("{name}:{}", i + 1));
                assert_eq!(assembled.text.lines().nth(line - 1), Some(wanted));
            }
        }
    }
}

/// The variant that needs nothing.
fn plain() -> Variant {
    Variant { element: Element::F32, lane: Lane::Tree, tile: Tile::Workgroup }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files below `directory` that end in `extension`, in no order.
fn files(directory: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(directory)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn every_kernel_has_all_its_parts() {
    let kernels: BTreeSet<&str> = kernels::ALL.iter().map(|k| k.name).collect();
    assert_eq!(kernels.len(), kernels::ALL.len(), "a kernel is listed twice");
    let shaders: BTreeSet<String> = files("shaders", "wgsl")
        .iter()
        .filter(|path| path.parent().is_some_and(|p| p.ends_with("shaders")))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(shaders, kernels.iter().map(|&k| k.to_owned()).collect(), "shaders/ against kernels::ALL");

    let benches = fs::read_to_string(root().join("benches/kernels.rs")).unwrap_or_default();
    let mut missing = Vec::new();
    for kernel in kernels {
        for directory in ["src/kernels", "src/cpu", "tests/kernels"] {
            let file = format!("{directory}/{kernel}.rs");
            if !root().join(&file).is_file() {
                missing.push(file);
            }
        }
        if !benches.contains(&format!("\nfn {kernel}(")) {
            missing.push(format!("fn {kernel} in benches/kernels.rs"));
        }
    }
    assert!(missing.is_empty(), "missing: {missing:#?}");
}

#[test]
fn every_library_file_is_a_part_of_some_variant() {
    let mut unused: BTreeSet<String> = files("shaders/lib", "wgsl")
        .iter()
        .map(|path| format!("lib/{}", path.file_name().unwrap().to_str().unwrap()))
        .collect();
    for spec in kernels::ALL {
        for (part, variant) in spec.parts.iter().flat_map(|part| Variant::all().map(move |v| (part, v))) {
            forms(spec, variant).into_iter().for_each(|form| {
                for file in part.files(variant, form) {
                    unused.remove(file.name);
                }
            });
        }
    }
    assert!(unused.is_empty(), "never assembled: {unused:?}");
}

#[test]
fn only_run_and_tune_submit_and_shaders_live_in_wgsl_files() {
    for path in files("src", "rs") {
        let text = fs::read_to_string(&path).unwrap();
        for (i, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap();
            let place = format!("{}:{}: {line}", path.display(), i + 1);
            let submits = ["src/run", "src/tune"].iter().any(|room| path.starts_with(root().join(room)));
            assert!(!code.contains(".submit(") || submits, "a submit outside of run and tune: {place}");
            for wgsl in ["@compute", "@group", "@binding", "var<", "@builtin"] {
                assert!(!code.contains(wgsl), "WGSL in Rust: {place}");
            }
        }
    }
}
