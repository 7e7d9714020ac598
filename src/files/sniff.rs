//! What a file is that is no safetensors file, and what to do with it.

use std::path::Path;

const ONNX: &str =
    "is an ONNX file, whose graph is not read; take the safetensors of the network that it was made from";

/// A file's kind by its beginning, and the way from there to safetensors; none where it is not known.
pub(super) fn what(begin: &[u8], path: &Path) -> Option<String> {
    let starts = |with: &[u8]| begin.starts_with(with);
    let text = String::from_utf8_lossy(&begin[..begin.len().min(256)]).trim_start().to_ascii_lowercase();
    let name = path.display();
    let torch = || format!("is a PyTorch file; convert it: {}", conversion(&name.to_string()));
    Some(if starts(b"version https://git-lfs") {
        format!("is a Git LFS pointer, not the file itself; fetch it: git lfs pull --include {name}")
    } else if text.starts_with("<!doctype html") || text.starts_with("<html") || text.starts_with("<?xml") {
        "is a web page, not the file itself; download the file (on the hub: the address with /resolve/, not /blob/)".into()
    } else if starts(b"PK\x03\x04") && begin.windows(4).any(|four| four == b".npy") {
        format!(
            "is an archive of NumPy; convert it: python -c \"import numpy, safetensors.numpy as s; \
             s.save_file(dict(numpy.load('{name}')), 'model.safetensors')\""
        )
    } else if starts(b"PK\x03\x04") || is_pickle(begin) || starts(b"ustar") {
        torch()
    } else if starts(b"GGUF") {
        "is a GGUF file, which holds quantised weights; take the original network's model.safetensors".into()
    } else if starts(b"\x89HDF\r\n") {
        "is an HDF5 file (Keras, TensorFlow); load it with transformers' from_tf=True and save_pretrained() it".into()
    } else if starts(b"\x93NUMPY") {
        "is a single array of NumPy, not a network".into()
    } else if begin.get(4..8) == Some(b"TFL3") {
        "is a TensorFlow Lite file; take the original network's model.safetensors".into()
    } else if is_onnx(begin) {
        ONNX.into()
    } else if starts(b"\x1f\x8b") || starts(b"\x28\xb5\x2f\xfd") || starts(b"BZh") || starts(b"\xfd7zXZ") {
        "is compressed; unpack it".into()
    } else if text.starts_with('{') || text.starts_with('[') {
        "is JSON, not weights; --model takes the folder, or the .safetensors file".into()
    } else {
        // Names lie, but where the content says nothing they are what there is.
        match path.extension()?.to_str()? {
            "pth" | "pt" | "bin" | "ckpt" | "pkl" => torch(),
            "onnx" => ONNX.into(),
            "npz" | "h5" | "keras" | "gguf" | "tflite" | "msgpack" | "pb" => {
                "is of a kind that is not read; take the network's model.safetensors".into()
            }
            _ => return None,
        }
    })
}

/// A command that makes a PyTorch file a safetensors file.
pub(super) fn conversion(file: &str) -> String {
    format!(
        "python -c \"import argparse, torch, safetensors.torch as s; \
         torch.serialization.add_safe_globals([argparse.Namespace]); w = torch.load('{file}', map_location='cpu', \
         weights_only=True); w = next((w[k] for k in ('state_dict', 'model_state', 'model', 'module') if k in w), w); s.save_file({{k: v.contiguous() for k, v in \
         w.items()}}, 'model.safetensors')\""
    )
}

/// Python's pickle of protocol 2 to 5, what PyTorch wrote before it wrote archives.
fn is_pickle(begin: &[u8]) -> bool {
    matches!(begin, [0x80, 2..=5, ..])
}

/// A protobuf of a model: the version of the format, then the producer's name or the graph.
fn is_onnx(begin: &[u8]) -> bool {
    let named = |name: &[u8]| begin.windows(name.len()).any(|window| window == name);
    matches!(begin, [0x08, 1..=20, 0x12 | 0x1a | 0x3a | 0x42, ..])
        && (named(b"pytorch") || named(b"onnx") || named(b"graph") || named(b"tf2onnx") || begin[2] == 0x3a)
}

/// What lies in a folder without a safetensors file of the usual name, in words.
pub(super) fn in_folder(folder: &Path) -> String {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .map(|entries| {
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        })
        .unwrap_or_default();
    names.sort();
    let ending = |end: &str| names.iter().find(|name| name.ends_with(end));
    let hint = if names.iter().any(|name| name.starts_with("adapter_") || name == "adapter_config.json") {
        "it is a PEFT adapter: merge it into its network (merge_and_unload()) and save_pretrained() that"
            .into()
    } else if let Some(index) = ending(".bin.index.json") {
        format!("{index} lists PyTorch files: load the folder with transformers and save_pretrained() it")
    } else if let Some(file) = [".bin", ".pth", ".pt", ".ckpt"].iter().find_map(|end| ending(end)) {
        let path = folder.join(file);
        what(&[0x80, 2], &path).map(|what| format!("{file} {what}")).unwrap_or_default()
    } else if let Some(file) = ending(".safetensors") {
        format!("give the file itself: {}", folder.join(file).display())
    } else if let Some(file) =
        [".onnx", ".gguf", ".h5", ".msgpack", ".tflite"].iter().find_map(|end| ending(end))
    {
        format!("{file} cannot be read; take the network's model.safetensors")
    } else if names.is_empty() {
        "it is empty".into()
    } else {
        let some: Vec<&str> = names.iter().take(8).map(String::as_str).collect();
        format!("there is {}{}", some.join(", "), if names.len() > 8 { " and more" } else { "" })
    };
    format!("has neither model.safetensors nor model.safetensors.index.json; {hint}")
}
