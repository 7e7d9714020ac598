//! Every assembled shader as a file, for compilers, editors and eyes: `target/shaders/VARIANT/KERNEL.FORM.wgsl`, beside it
//! as `.spv` for Vulkan and, where it multiplies no matrices, as `.hlsl` for DirectX.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use crate::every_shader;
use crate::place::place;
use crate::translation::{hlsl, matrices, spirv};

#[test]
fn every_shader_is_written_under_its_name() {
    // Cargo's folder for tests is one below that of all that it builds.
    let root = place!("CARGO_TARGET_TMPDIR").with_file_name("shaders");
    let written: RefCell<HashMap<PathBuf, Vec<u8>>> = RefCell::default();
    every_shader(|spec, (variant, form), name, module, info| {
        let id = spec.form_id(variant, form);
        let write = |kind: &str, bytes: Vec<u8>| {
            let file = root.join(variant.id()).join(format!("{id}.{kind}"));
            let other = written.borrow_mut().insert(file, bytes.clone());
            assert!(other.is_none_or(|other| other == bytes), "{name}: another shader has the same name");
        };
        write("wgsl", spec.assemble(variant, form).text.into());
        write("spv", bytemuck::cast_slice(&spirv(variant, module, info)).into());
        if matrices(spec, variant).is_none() {
            write("hlsl", hlsl(variant, module, info).into());
        }
    });
    let written = written.into_inner();
    for (file, bytes) in &written {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        // What has not changed keeps its date, so that a tool may skip it.
        if fs::read(file).ok().as_ref() != Some(bytes) {
            fs::write(file, bytes).unwrap();
        }
    }
    // Nor does a shader stay that is no more.
    for variant in fs::read_dir(&root).unwrap() {
        for file in fs::read_dir(variant.unwrap().path()).unwrap() {
            let file = file.unwrap().path();
            if !written.contains_key(&file) {
                fs::remove_file(file).unwrap();
            }
        }
    }
    for name in ["f16-subgroup-matrices16x32/matmul.large.bias", "f32-tree-workgroup/attention.width64"] {
        let file = root.join(format!("{name}.wgsl"));
        assert!(file.exists(), "no {}", file.display());
    }
}
