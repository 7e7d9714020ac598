//! Every kernel has all its parts, and everything is where it belongs.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use tome_wgpu::{Variant, kernels};

use crate::forms;
use crate::place::place;

pub fn root() -> PathBuf {
    place!("CARGO_MANIFEST_DIR")
}

/// Files below `directory` that end in `extension`, in no order.
pub fn files(directory: &str, extension: &str) -> Vec<PathBuf> {
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
    let benches: String =
        files("benches/kernels", "rs").iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let mut missing = Vec::new();
    for kernel in kernels {
        for directory in ["src/kernels", "src/cpu", "src/reference", "tests/kernels"] {
            let file = format!("{directory}/{kernel}.rs");
            if !root().join(&file).is_file() {
                missing.push(file);
            }
        }
        if !benches.contains(&format!("\npub fn {kernel}(")) {
            missing.push(format!("fn {kernel} in benches/kernels"));
        }
    }
    assert!(missing.is_empty(), "missing: {missing:#?}");
}

#[test]
fn every_shader_file_is_a_part_of_some_variant() {
    let shaders = root().join("shaders");
    let name = |path: &PathBuf| path.strip_prefix(&shaders).unwrap().to_str().unwrap().replace('\\', "/");
    let mut unused: BTreeSet<String> = files("shaders", "wgsl").iter().map(name).collect();
    for spec in kernels::ALL {
        // NAME.wgsl, or NAME/NAME.wgsl beside what else it needs.
        let own = [format!("{0}.wgsl", spec.name), format!("{0}/{0}.wgsl", spec.name)];
        assert!(own.iter().any(|own| own == spec.source.name), "{} in {}", spec.name, spec.source.name);
        for variant in Variant::all() {
            for form in forms(spec, variant) {
                spec.files(variant, &form).iter().for_each(|file| _ = unused.remove(file.name));
            }
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
