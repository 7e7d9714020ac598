//! A picture, or a clip, on its way to a network's input.
#![no_main]

use std::io::{Seek, Write};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::NamedTempFile;
use tome_wgpu::files::{fit, load_bytes, load_clip_bytes, normalise, open_image};
use tome_wgpu::vit::Config;

static CONFIGS: LazyLock<[Config; 2]> = LazyLock::new(|| {
    [1, 3].map(|channels| {
        let mut config = Config::preset("vit_tiny_patch16_224").expect("a preset");
        (config.image_size, config.in_chans) = ([32, 48], channels);
        // For `load_bytes` alone.
        config.preprocess.reduced = true;
        config
    })
});

/// Sees clips.
static EYES: LazyLock<Config> = LazyLock::new(|| CONFIGS[1].clone().with(|config| config.frames = 4));

fuzz_target!(|bytes: &[u8]| {
    if let Ok(clip) = load_clip_bytes(bytes, "clip".as_ref(), &EYES) {
        assert_eq!(clip.pixels().len(), EYES.image_values());
    }
    let mut file = NamedTempFile::new().expect("a folder for temporary files");
    file.write_all(bytes).and_then(|()| file.rewind()).expect("space for them");
    let Ok(picture) = open_image(file.path()) else { return };
    // One of the two, so that a large picture need not be there twice.
    let config = &CONFIGS[bytes.len() % 2];
    let fitted = fit(picture, config).expect("has pixels");
    normalise(&fitted, config).expect("fits");
    _ = load_bytes(bytes, file.path(), config);
});
