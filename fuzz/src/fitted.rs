//! What `tome fit` writes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tome_wgpu::fit::Fitted;
use tome_wgpu::vit::Config;

fuzz_target!(|text: &[u8]| {
    let Ok(mut fitted) = Fitted::from_json(text) else { return };
    let Ok(mut config) = Config::preset("vit_tiny_patch16_224") else { return };
    config.depth = fitted.depth.min(32);
    fitted.depth = config.depth;
    if fitted.check(&config).is_ok() {
        assert!(fitted.options.promised_speedup(&config) >= 0.99);
        let again = Fitted::from_json(fitted.to_json().to_string().as_bytes());
        assert!(again.is_ok(), "what is written is read");
    }
});
