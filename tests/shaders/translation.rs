//! Every variant for Vulkan, Metal and DirectX.

use naga::Module;
use naga::back::{hlsl, msl, spv};
use naga::valid::{ModuleInfo, ValidationFlags, Validator};
use tome_wgpu::{Element, KernelSpec, Lane, Matrix, Tile, Variant};

use crate::every_shader;
use crate::forms::needs;

/// SPIR-V, in the oldest version that has what the variant needs: subgroup operations came with 1.3.
pub fn spirv(variant: Variant, module: &Module, info: &ModuleInfo) -> Vec<u32> {
    let lang_version = if variant.lane == Lane::Subgroup { (1, 3) } else { (1, 0) };
    let options = spv::Options { lang_version, ..Default::default() };
    spv::write_vec(module, info, &options, None).unwrap_or_else(|e| panic!("SPIR-V: {e}"))
}

/// HLSL as wgpu has it compiled where kernels run without checks: with the count of workgroups from the host, and
/// without clearing workgroup memory.
pub fn hlsl(variant: Variant, module: &Module, info: &ModuleInfo) -> String {
    // Subgroup operations came with shader model 6.0, which is DXC's, 16-bit floats with 6.2.
    let shader_model = match (variant.element, variant.lane) {
        (Element::F32, Lane::Tree) => hlsl::ShaderModel::V5_1,
        (Element::F32, Lane::Subgroup) => hlsl::ShaderModel::V6_0,
        _ => hlsl::ShaderModel::V6_2,
    };
    let special = hlsl::BindTarget { space: 1, ..Default::default() };
    let options = hlsl::Options {
        shader_model,
        special_constants_binding: Some(special),
        zero_initialize_workgroup_memory: false,
        restrict_indexing: false,
        force_loop_bounding: false,
        ..Default::default()
    };
    let (mut text, pipeline) = (String::new(), hlsl::PipelineOptions::default());
    hlsl::Writer::new(&mut text, &options, &pipeline)
        .write(module, info, None)
        .unwrap_or_else(|e| panic!("HLSL: {e}"));
    text
}

/// The shape of the matrices that a shader multiplies, if it does.
pub fn matrices(spec: &KernelSpec, variant: Variant) -> Option<Matrix> {
    match variant.tile {
        Tile::Cooperative { matrix, .. } if spec.by_matrices(variant) => Some(matrix),
        _ => None,
    }
}

#[test]
fn every_variant_is_valid_and_translates_to_spirv_msl_and_hlsl() {
    every_shader(|spec, (variant, _), name, module, info| {
        assert_eq!(spirv(variant, module, info)[0], 0x0723_0203, "{name}: no SPIR-V");

        // Metal's matrices are 8 x 8, DirectX has none. Subgroup operations came with Metal 2.1.
        let matrix = matrices(spec, variant);
        if matrix == Some(Matrix::Sixteen) {
            return;
        }
        let lang_version = if variant.lane == Lane::Subgroup { (2, 4) } else { (2, 0) };
        let options = msl::Options { lang_version, ..Default::default() };
        let (text, _) = msl::write_string(module, info, &options, &msl::PipelineOptions::default())
            .unwrap_or_else(|e| panic!("{name}: MSL: {e}"));
        assert!(
            text.contains(&format!("kernel void {}", spec.name)),
            "{name}: entry point renamed in MSL\n{text}"
        );

        if matrix.is_some() {
            return;
        }
        let text = hlsl(variant, module, info);
        let (_, entry) = text
            .split_once(&format!("void {}(", spec.name))
            .unwrap_or_else(|| panic!("{name}: entry point renamed in HLSL\n{text}"));
        // DirectX has no built-in for the count of workgroups: naga takes the host's where the entry point reads it, and
        // a group's index elsewhere.
        assert!(entry.contains("_NagaConstants.first_vertex"), "{name}: a wrong count of workgroups\n{text}");
    });
}

#[test]
fn subgroup_operations_stay_in_the_subgroup_variants() {
    every_shader(|spec, (variant, _), name, module, _| {
        let capabilities = needs(Variant { lane: Lane::Tree, ..variant });
        let valid = Validator::new(ValidationFlags::all(), capabilities).validate(module).is_ok();
        assert_eq!(valid, !spec.by_subgroup(variant), "{name}: runs without features");
    });
}
