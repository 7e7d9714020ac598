//! `config.json` of timm, transformers and whatever looks like them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tome_wgpu::files::parse_config;

fuzz_target!(|text: &str| {
    if let Ok(config) = parse_config(text) {
        // A config that was taken makes sense.
        config.check().expect("checked");
        let tokens = config.tokens();
        let _ = config.macs(&[tokens, tokens]);
    }
});
