//! Every variant for Vulkan, Metal and DirectX.

use naga::back::{hlsl, msl, spv};
use naga::valid::{ValidationFlags, Validator};
use tome_wgpu::{Element, Lane, Matrix, Tile, Variant};

use crate::every_shader;
use crate::forms::needs;

#[test]
fn every_variant_is_valid_and_translates_to_spirv_msl_and_hlsl() {
    every_shader(|spec, (variant, _), name, module, info| {
        // Subgroup operations came with SPIR-V 1.3, Metal 2.1 and shader model 6.0, the last being DXC's; 16-bit
        // floats with shader model 6.2.
        let (spirv, metal, model) = match variant.lane {
            Lane::Tree => ((1, 0), (2, 0), hlsl::ShaderModel::V5_1),
            Lane::Subgroup => ((1, 3), (2, 4), hlsl::ShaderModel::V6_0),
        };
        let model = if variant.element == Element::F16 { hlsl::ShaderModel::V6_2 } else { model };
        // Metal's matrices are 8 x 8, DirectX has none.
        let matrix = match variant.tile {
            Tile::Cooperative { matrix, .. } if spec.by_matrices(variant) => Some(matrix),
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
    every_shader(|spec, (variant, _), name, module, _| {
        let capabilities = needs(Variant { lane: Lane::Tree, ..variant });
        let valid = Validator::new(ValidationFlags::all(), capabilities).validate(module).is_ok();
        assert_eq!(valid, !spec.by_subgroup(variant), "{name}: runs without features");
    });
}
