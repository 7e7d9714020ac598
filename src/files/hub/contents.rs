//! What a repository has that has no weights to read.

use super::super::model_files::{INDEX, WEIGHTS};
use super::super::sniff::conversion;
use super::shown;

/// How many names are told.
const TOLD: usize = 5;

/// Says what is there instead of weights, and what to do about it.
pub(super) fn no_weights(id: &str, endpoint: &str, files: &[&str]) -> String {
    let ending = |endings: &[&str]| -> Vec<&str> {
        let ends = |file: &&str| endings.iter().any(|ending| file.to_lowercase().ends_with(ending));
        files.iter().copied().filter(ends).collect()
    };
    let pickled = ending(&[".bin", ".pth", ".pt", ".ckpt"]);
    let tensors = ending(&[".safetensors"]);
    let others = ending(&[".onnx", ".gguf", ".h5", ".msgpack", ".tflite", ".pte", ".mlmodel", ".engine"]);
    let why = if tensors.iter().any(|file| is_called(file, "adapter_model.safetensors")) {
        "only a PEFT adapter, adapter_model.safetensors, which is a change to another network: merge the two (peft's \
         merge_and_unload) and save the result as safetensors"
            .into()
    } else if !tensors.is_empty() {
        format!("{}: download it and name the file, with --config for its config", told(&tensors))
    } else if let Some(file) = pickled.iter().find(|file| is_plain(file)) {
        format!(
            "{}. Of PyTorch's files the hub often has a conversion in a pull request, see {endpoint}/{id}/discussions: \
             name it, hf-hub:{id}@refs/pr/N. Or download {file} and convert it: {}",
            told(&pickled),
            conversion(file)
        )
    } else if !others.is_empty() {
        format!("{}, which cannot be read: take a repository with {WEIGHTS}", told(&others))
    } else if files.is_empty() {
        "no files at all".into()
    } else {
        told(files)
    };
    format!("has neither {WEIGHTS} nor {INDEX}, but {why}")
}

fn is_called(file: &str, name: &str) -> bool {
    file.rsplit('/').next() == Some(name)
}

/// Whether a name may be part of a command.
fn is_plain(file: &str) -> bool {
    file.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_./".contains(&c))
}

/// Some names, as a server gave them.
fn told(files: &[&str]) -> String {
    let names: Vec<String> = files.iter().take(TOLD).map(|file| shown(file)).collect();
    let more = files.len() - names.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    names.join(", ") + &more
}
