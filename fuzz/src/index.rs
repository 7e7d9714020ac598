//! `model.safetensors.index.json` beside a shard.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use tome_wgpu::files::{ModelFiles, load_files};

const SHARD: &[u8] =
    b"\x3f\0\0\0\0\0\0\0{\"cls_token\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}} 1234";

fuzz_target!(|text: &[u8]| {
    let files = ModelFiles::new()
        .with("config.json", Cursor::new(r#"{"architecture": "vit_tiny_patch16_224"}"#))
        .with("model.safetensors.index.json", Cursor::new(text.to_vec()))
        .with("a.safetensors", Cursor::new(SHARD))
        .with("b.safetensors", Cursor::new(SHARD));
    let _ = load_files(files);
});
