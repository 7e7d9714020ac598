use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{CACHE, Run, digit, gpu_required, place, run, tome};

/// Classifies a digit on the first adapter, keeping pipelines in `cache`.
fn classify(cache: &Path) -> Run {
    let mut command = Command::new(place!("CARGO_BIN_EXE_tome"));
    run(command.args(["classify", &digit(3), "--device", "0", "--top", "1"]).env(CACHE, cache)).done()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Vulkan hands out what it has compiled.
fn keeps_pipelines() -> bool {
    gpu_required() && tome(&["devices"]).done().stdout.contains("pipeline_cache")
}

#[test]
fn pipelines_are_kept_and_a_broken_file_is_replaced() {
    if !keeps_pipelines() {
        return println!("SKIP: no adapter that hands out pipelines is required");
    }
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("made/on/demand");
    let first = classify(&cache).stdout;
    let [file] = &files(&cache)[..] else { panic!("{:?}", files(&cache)) };
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(name.contains("vulkan") && name.contains(env!("CARGO_PKG_VERSION")), "{name}");
    let kept = std::fs::read(file).unwrap();

    assert_eq!(classify(&cache).stdout, first, "from the file");
    let mut flipped = kept.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for broken in [Vec::new(), b"no pipelines".to_vec(), kept[..kept.len() / 2].to_vec(), flipped] {
        std::fs::write(file, &broken).unwrap();
        assert_eq!(classify(&cache).stdout, first, "{} broken bytes", broken.len());
        assert_ne!(std::fs::read(file).unwrap(), broken, "is replaced");
    }
    assert_eq!(files(&cache).len(), 1, "no temporary files");
}

#[test]
fn without_a_place_for_pipelines_all_works() {
    if !keeps_pipelines() {
        return println!("SKIP: no adapter that hands out pipelines is required");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a file");
    std::fs::write(&file, "mine").unwrap();
    let run = classify(&file);
    assert!(!run.stderr.contains("a file"), "{}", run.stderr);
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}
