//! Pictures as transformers' processors and timm's transforms make them (`make_fixtures.py`): those beside this file, and
//! larger ones in the folder that `TOME_PICTURES_DIR` names.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use image::{DynamicImage, RgbImage};
use safetensors::SafeTensors;
use serde_json::json;
use tome_wgpu::Error;
use tome_wgpu::files::{fit, load_model, normalise};
use tome_wgpu::vit::{Config, Resize};

use crate::golden;
use crate::place::place;

/// A golden network with another `preprocessor_config.json`.
fn with_processor(family: &str, json: &str) -> Result<Config, Error> {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(golden(family).join(file), folder.path().join(file)).unwrap();
    }
    std::fs::write(folder.path().join("preprocessor_config.json"), json).unwrap();
    load_model(folder.path(), None).map(|(config, _)| config)
}

/// The network of a processor, or of a timm mode, for pictures of `side` pixels.
fn network(name: &str, processor: Option<&String>, side: u32) -> Config {
    let mut config = match processor {
        Some(json) => with_processor(name, json).unwrap(),
        None => Config::preset("vit_tiny_patch16_224").unwrap(),
    };
    if name == "timm_squash" {
        (config.preprocess.resize, config.preprocess.crop) = (Resize::Squash, 1.0);
    }
    if name.contains("dino") {
        assert_eq!(config.image_size, [side; 2], "{name} takes the size of its processor");
    }
    config.image_size = [side; 2];
    config
}

fn check(path: &Path) {
    let file = std::fs::read(path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&file).unwrap();
    let processors: HashMap<String, String> = header.metadata().clone().unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let mut shares = Vec::new();
    for (name, want) in tensors.iter().filter(|(name, _)| !name.starts_with("picture/")) {
        let (processor, size) = name.split_once('/').unwrap();
        let picture = tensors.tensor(&format!("picture/{size}")).unwrap();
        let [height, width, 3] = *picture.shape() else { panic!("{name}") };
        let picture = RgbImage::from_raw(width as u32, height as u32, picture.data().to_vec()).unwrap();

        let side = want.shape()[1] as u32;
        let config = network(processor, processors.get(processor), side);
        let got = normalise(&fit(DynamicImage::from(picture), &config).unwrap(), &config).unwrap();
        let want: Vec<f32> = bytemuck::pod_collect_to_vec(want.data());
        assert_eq!(got.len(), want.len());
        let pixels = (side * side) as usize;
        let bytes = |at: usize| (got[at] - want[at]).abs() * config.preprocess.std[at / pixels] * 255.0;
        let within = (0..got.len()).filter(|&at| bytes(at) < 1.01).count();
        let equal = (0..got.len()).filter(|&at| bytes(at) < 0.01).count();
        let worst = (0..got.len()).map(bytes).fold(0f32, f32::max);
        let share = |count: usize| count as f64 / got.len() as f64;
        println!(
            "{name}: equal {:.3} %, within 1/255 {:.3} %, largest {worst:.0}/255",
            100.0 * share(equal),
            100.0 * share(within)
        );
        assert!(share(within) >= 0.999, "{name}: only {} of the values are within 1/255", share(within));
        shares.push(share(equal));
    }
    assert!(shares.len() >= 16);
}

#[test]
fn pictures_are_prepared_as_by_the_libraries() {
    let own = place!("CARGO_MANIFEST_DIR").join("tests/files");
    let other = std::env::var_os("TOME_PICTURES_DIR").map(PathBuf::from);
    for folder in [Some(own), other].into_iter().flatten() {
        check(&folder.join("pictures.safetensors"));
    }
}

#[test]
fn processors_that_do_something_else_are_refused_by_field() {
    for (processor, field) in [
        (json!({ "do_resize": false }), "do_resize"),
        (json!({ "do_rescale": false }), "do_rescale"),
        (json!({ "rescale_factor": 0.0078 }), "rescale_factor"),
        (json!({ "resample": 0 }), "resample"),
        (json!({ "size": { "shortest_edge": 20, "longest_edge": 40 } }), "size"),
        (json!({ "size": "large" }), "size"),
        (json!({ "size": 0 }), "size"),
        (json!({ "size": 20, "crop_size": 30, "do_center_crop": true }), "crop_size"),
        (json!({ "size": { "shortest_edge": 20 }, "do_center_crop": false }), "do_center_crop"),
        (json!({ "image_mean": [0.5, 0.5] }), "mean"),
        (json!({ "image_std": [0.5, 0.5, 0] }), "std"),
    ] {
        match with_processor("hf_vit_classifier", &processor.to_string()) {
            Err(Error::Config { field: named, .. } | Error::Unsupported { field: named, .. }) => {
                assert!(named.contains(field), "{processor}: {named}");
            }
            other => panic!("{processor}: {other:?}"),
        }
    }
    assert!(with_processor("hf_vit_classifier", "[]").is_err());
}

#[test]
fn processors_of_old_are_read() {
    let preprocess = |family: &str, processor: serde_json::Value| {
        with_processor(family, &processor.to_string()).unwrap().preprocess
    };
    // A bare number is a square for ViT and the shortest edge for CLIP.
    let vit = preprocess("hf_vit_classifier", json!({ "do_resize": true, "size": 20 }));
    assert_eq!((vit.resize, vit.crop), (Resize::Squash, 1.0));
    let old = json!({ "size": 24, "crop_size": 20, "do_center_crop": true, "resample": 3 });
    let clip = preprocess("hf_clip_vision", old.clone());
    assert_eq!((clip.resize, (20.0 / clip.crop).floor()), (Resize::Shortest, 24.0));
    assert_eq!(preprocess("hf_deit_classifier", old).resize, Resize::Squash);
    let plain = preprocess("hf_vit_classifier", json!({ "do_normalize": false, "size": 20 }));
    assert_eq!((plain.mean, plain.std), (vec![0.0; 3], vec![1.0; 3]));
}
