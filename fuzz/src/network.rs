//! A config and a safetensors file that may fit it: the config ends at the first byte that is 0, which JSON has none of.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use tome_wgpu::files::{ModelFiles, load_files};

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let (config, weights) = bytes.split_at(end);
    let files = ModelFiles::new()
        .with("config.json", Cursor::new(config.to_vec()))
        .with("model.safetensors", Cursor::new(weights.get(1..).unwrap_or_default().to_vec()));
    let Ok((config, checkpoint)) = load_files(files) else { return };
    config.check().expect("checked");
    let _ = checkpoint.read_all();
});
