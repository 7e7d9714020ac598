//! Files that are handed over, without a disk.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use serde_json::json;
use tome_wgpu::Error;
use tome_wgpu::files::{ModelFiles, load_files, load_model};

use crate::golden;

/// A folder's files as bytes.
fn bytes_of(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let file = |path: PathBuf| {
        (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap())
    };
    entries.filter(|path| path.is_file()).map(file).collect()
}

fn handed(files: Vec<(String, Vec<u8>)>) -> ModelFiles {
    files.into_iter().fold(ModelFiles::new(), |files, (name, bytes)| files.with(name, Cursor::new(bytes)))
}

/// timm's, transformers', torchvision's and SWAG's, with processors and in shards.
#[test]
fn every_layout_is_the_same_from_bytes_as_from_a_disk() {
    let mut layouts = 0;
    for folder in std::fs::read_dir(golden("")).unwrap().map(|entry| entry.unwrap().path()) {
        let (config, on_disk) = load_model(&folder, None).unwrap();
        let (same, in_memory) = load_files(handed(bytes_of(&folder))).unwrap();
        assert_eq!(config, same, "{}", folder.display());
        assert_eq!(on_disk.read_all().unwrap(), in_memory.read_all().unwrap(), "{}", folder.display());
        layouts += 1;
    }
    assert!(layouts >= 60, "only {layouts} networks");
}

#[test]
fn shards_are_found_by_their_names() {
    let mut files = bytes_of(&golden("hf_dinov2_swiglu_shards"));
    let lost = files.iter().position(|(name, _)| name.contains("00002-of")).expect("a second shard");
    let (lost, _) = files.remove(lost);
    match load_files(handed(files)) {
        Err(Error::File { path, why }) => assert!(path == lost && why.contains("missing"), "{path}: {why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_not_handed_over_is_named() {
    let without = |name: &str| {
        let files = bytes_of(&golden("cls")).into_iter().filter(|(other, _)| other != name).collect();
        load_files(handed(files)).unwrap_err()
    };
    for name in ["config.json", "model.safetensors"] {
        assert!(matches!(without(name), Error::File { path, .. } if path == name));
    }
    assert!(matches!(load_files(ModelFiles::new()), Err(Error::File { path, .. }) if path == "config.json"));
}

#[test]
fn labels_may_be_handed_over() {
    let (config, _) = load_files(handed(bytes_of(&golden("cls")))).unwrap();
    let names: Vec<String> = (0..config.num_classes).map(|class| format!("class {class}")).collect();
    let files = handed(bytes_of(&golden("cls"))).with("labels.txt", Cursor::new(names.join("\n")));
    assert_eq!(load_files(files).unwrap().0.labels, names);
}

#[test]
fn what_is_handed_over_comes_before_what_lies_in_the_folder() {
    let config = json!({ "architecture": "vit_base_patch16_224" }).to_string();
    let files = ModelFiles::in_folder(golden("cls"));
    assert!(load_files(files).is_ok());
    let files = ModelFiles::in_folder(golden("cls")).with("config.json", Cursor::new(config));
    assert!(matches!(load_files(files), Err(Error::Weight { .. })));
}
