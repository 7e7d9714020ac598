//! `preprocessor_config.json` beside a config of transformers.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use tome_wgpu::files::{ModelFiles, load_files};

const CONFIG: &str = r#"{"model_type": "vit", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
    "intermediate_size": 8, "image_size": 8, "patch_size": 4}"#;

fuzz_target!(|text: &[u8]| {
    let files = ModelFiles::new()
        .with("config.json", Cursor::new(CONFIG))
        .with("preprocessor_config.json", Cursor::new(text.to_vec()))
        .with("model.safetensors", Cursor::new(b"\x02\0\0\0\0\0\0\0{}"));
    let _ = load_files(files);
});
