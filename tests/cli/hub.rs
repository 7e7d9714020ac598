//! `--model hf-hub:OWNER/NAME` with a cache that the test makes, and nobody to ask.

use std::path::Path;
use std::process::Command;

use crate::{Run, golden, place, run};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Puts a golden network into a cache as the hub's own library lays it out: files under their hashes, a snapshot that
/// points to them, and a branch that names the snapshot.
fn cache(case: &str, id: &str, hub: &Path) {
    let model = hub.join(format!("models--{}", id.replace('/', "--")));
    let snapshot = model.join("snapshots").join(COMMIT);
    for folder in ["blobs", "refs"] {
        std::fs::create_dir_all(model.join(folder)).unwrap();
    }
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::write(model.join("refs/main"), COMMIT).unwrap();
    let files = std::fs::read_dir(golden(case)).unwrap().map(|entry| entry.unwrap().path());
    for (hash, file) in files.enumerate() {
        let blob = model.join(format!("blobs/{hash:040x}"));
        std::fs::copy(&file, &blob).unwrap();
        let pointer = snapshot.join(file.file_name().unwrap());
        #[cfg(unix)]
        std::os::unix::fs::symlink(Path::new("../../blobs").join(blob.file_name().unwrap()), pointer)
            .unwrap();
        #[cfg(not(unix))]
        std::fs::copy(&blob, pointer).unwrap();
    }
}

fn infer(model: &str, case: &str, output: &Path, environment: &[(&str, &str)]) -> Run {
    let input = golden(case).join("input.safetensors");
    let mut command = Command::new(place!("CARGO_BIN_EXE_tome"));
    for key in ["HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN", "HF_ENDPOINT"] {
        command.env_remove(key);
    }
    command.envs(environment.iter().copied());
    command.args(["infer", "--model", model, "--device", "cpu", "--r", "4", "--input"]).arg(input);
    run(command.arg("--output").arg(output))
}

#[test]
fn a_cached_model_needs_no_network() {
    let home = tempfile::tempdir().unwrap();
    let hub = home.path().join("hub");
    let [home_text, hub_text] = [home.path(), &hub].map(|path| path.to_str().unwrap());
    // One file, and shards.
    for (case, id) in [("hf_clip_vision", "someone/tower"), ("hf_dinov2_swiglu_shards", "some-one/dino.v2")] {
        cache(case, id, &hub);
        let [there, here] = ["there", "here"].map(|name| home.path().join(name));
        infer(golden(case).to_str().unwrap(), case, &here, &[]).done();
        let here = std::fs::read(here).unwrap();
        // Where nobody answers, nobody is asked.
        let nobody = ("HF_ENDPOINT", "http://127.0.0.1:9");
        for (name, environment) in [
            (format!("hf-hub:{id}"), [("HF_HUB_OFFLINE", "1"), ("HF_HOME", home_text)]),
            (format!("hf-hub:{id}"), [nobody, ("HF_HUB_CACHE", hub_text)]),
            (format!("hf-hub:{id}@main"), [nobody, ("HF_HOME", home_text)]),
            (format!("hf-hub:{id}@{COMMIT}"), [nobody, ("HF_HOME", home_text)]),
        ] {
            infer(&name, case, &there, &environment).done();
            assert!(std::fs::read(&there).unwrap() == here, "{name}");
        }
    }
}

#[test]
fn a_model_that_cannot_be_had_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    let (hub, output) = (home.path().join("hub"), home.path().join("out"));
    let cached = ("HF_HUB_CACHE", hub.to_str().unwrap());
    cache("hf_dinov2_swiglu_shards", "someone/shards", &hub);
    let shard =
        hub.join("models--someone--shards/snapshots").join(COMMIT).join("model-00002-of-00003.safetensors");
    std::fs::remove_file(shard).unwrap();
    let case = "hf_clip_vision";
    // Absent, half there, or of another revision.
    for name in ["hf-hub:no/model", "hf-hub:someone/shards", "hf-hub:someone/shards@v2"] {
        let offline = infer(name, case, &output, &[cached, ("HF_HUB_OFFLINE", "true")]);
        offline.failed("HF_HUB_OFFLINE is set");
        let refused = infer(name, case, &output, &[cached, ("HF_ENDPOINT", "http://127.0.0.1:9")]);
        refused.failed("is not in the cache");
    }
    for name in ["hf-hub:", "hf-hub:a/b/c", "hf-hub:../b", "hf-hub:a/b@", "hf-hub:a/b@../c", "hf-hub:a b"] {
        infer(name, case, &output, &[cached]).failed("OWNER/NAME");
    }
    assert!(!output.exists());
}
