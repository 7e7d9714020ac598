//! A safetensors file: its header and its tensors, and which network without a config it is.
#![no_main]

use std::io::Cursor;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tome_wgpu::files::{ModelFiles, TensorReader, load_files, read_weights};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut reader) = TensorReader::new(Cursor::new(bytes), Path::new("fuzzed")) {
        for name in reader.names() {
            reader.shape(&name).expect("named");
        }
        let _ = read_weights(&mut reader);
    }
    let _ = load_files(ModelFiles::new().with("model.safetensors", Cursor::new(bytes.to_vec())));
});
