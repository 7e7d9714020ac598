//! A sound on its way to a network's input.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tome_wgpu::files::{hear_bytes, is_sound};
use tome_wgpu::vit::{Config, Sound};

/// Half a second.
static EARS: LazyLock<Config> = LazyLock::new(|| {
    let mut config = Config::preset("vit_tiny_patch16_224").expect("a preset");
    (config.in_chans, config.image_size) = (1, [16, 48]);
    config.sound = Some(Sound::audio_set("fuzzing"));
    config
});

fuzz_target!(|bytes: &[u8]| {
    _ = is_sound(bytes);
    let Ok(heard) = hear_bytes(bytes, Path::new("sound"), &EARS) else { return };
    assert!(heard.values.len() == EARS.image_values() && heard.values.iter().all(|value| value.is_finite()));
});
