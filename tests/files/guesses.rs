//! How pictures are prepared: what says it, and what is said where nothing does.

use serde_json::{Value, json};
use tome_wgpu::files::{Checkpoint, load_model};
use tome_wgpu::vit::{Config, Resample, Resize};

use crate::golden;

/// A golden network beside other files.
fn with(case: &str, files: &[(&str, Value)]) -> (Config, Checkpoint) {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(golden(case).join(file), folder.path().join(file)).unwrap();
    }
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content.to_string()).unwrap();
    }
    load_model(folder.path(), None).unwrap_or_else(|error| panic!("{files:?}: {error}"))
}

fn prepared(case: &str, name: &str, content: Value) -> (Config, Vec<String>) {
    let (config, checkpoint) = with(case, &[(name, content)]);
    (config, checkpoint.warnings().to_vec())
}

const ONE: &str = "preprocessor_config.json";

#[test]
fn without_a_processor_it_is_said_that_all_is_assumed() {
    for case in ["hf_vit_classifier", "hf_clip_projection", "hf_siglip", "hf_dinov2_smaller"] {
        let (config, checkpoint) = with(case, &[]);
        let warning = &checkpoint.warnings()[0];
        assert!(warning.contains("preprocessor_config.json") && warning.contains("assumed"), "{warning}");
        assert!(config.preprocess.source.contains("assumed"));
    }
    // timm's config says everything.
    assert!(load_model(&golden("cls"), None).unwrap().1.warnings().is_empty());
}

#[test]
fn timms_defaults_are_said_where_its_config_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = std::fs::read_to_string(golden("cls").join("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config.as_object_mut().unwrap().remove("pretrained_cfg");
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    std::fs::copy(golden("cls").join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    match load_model(folder.path(), None) {
        Ok((_, checkpoint)) => assert!(checkpoint.warnings()[0].contains("timm's defaults")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_class_decides_what_its_file_leaves_out() {
    for (class, resample, resize, crop, mean) in [
        ("ViTImageProcessor", Resample::Bilinear, Resize::Squash, 1.0, 0.5),
        ("ViTImageProcessorFast", Resample::Bilinear, Resize::Squash, 1.0, 0.5),
        ("DeiTImageProcessor", Resample::Bicubic, Resize::Squash, 0.875, 0.5),
        ("CLIPImageProcessor", Resample::Bicubic, Resize::Shortest, 1.0, 0.481_454_66),
        ("BitImageProcessor", Resample::Bicubic, Resize::Shortest, 1.0, 0.481_454_66),
        ("SiglipImageProcessor", Resample::Bicubic, Resize::Squash, 1.0, 0.5),
    ] {
        for field in ["image_processor_type", "feature_extractor_type"] {
            let name = class.replace("ImageProcessorFast", "ImageProcessor");
            let name = if field.starts_with('f') {
                name.replace("ImageProcessor", "FeatureExtractor")
            } else {
                class.into()
            };
            let (config, warnings) = prepared("hf_vit_classifier", ONE, json!({ field: name }));
            let p = &config.preprocess;
            assert_eq!((p.resample, p.resize, p.crop, p.mean[0]), (resample, resize, crop, mean), "{name}");
            assert!(p.exif && p.source == ONE && warnings.is_empty(), "{warnings:?}");
        }
    }
}

#[test]
fn what_a_class_that_is_not_known_leaves_out_is_said() {
    let (_, warnings) =
        prepared("hf_vit_classifier", ONE, json!({ "image_processor_type": "OtherImageProcessor" }));
    assert!(warnings[0].contains("OtherImageProcessor"), "{warnings:?}");
    let (_, warnings) = prepared("hf_vit_classifier", ONE, json!({ "image_mean": [0.1, 0.2, 0.3] }));
    assert!(warnings[0].contains("does not say everything"), "{warnings:?}");
    let all = json!({ "image_processor_type": "OtherImageProcessor", "size": 20, "resample": 3,
        "image_mean": [0.1, 0.2, 0.3], "image_std": [1, 1, 1] });
    let (config, warnings) = prepared("hf_vit_classifier", ONE, all);
    assert!(warnings.is_empty() && config.preprocess.resample == Resample::Bicubic, "{warnings:?}");
}

#[test]
fn a_processor_of_texts_and_images_is_read() {
    let inner = json!({ "image_processor_type": "CLIPImageProcessor", "image_mean": [0.1, 0.1, 0.1], "image_std": [0.3, 0.3, 0.3] });
    let outer = json!({ "processor_class": "CLIPProcessor", "image_processor": inner });
    let (config, warnings) = prepared("hf_clip_projection", "processor_config.json", outer.clone());
    assert!(config.preprocess.mean == [0.1; 3] && warnings.is_empty(), "{warnings:?}");
    assert_eq!(config.preprocess.source, "processor_config.json");
    // The image processor's own file comes first.
    let own = json!({ "image_processor_type": "CLIPImageProcessor", "image_mean": [0.7, 0.7, 0.7] });
    let (config, _) = with("hf_clip_projection", &[("processor_config.json", outer), (ONE, own)]);
    assert_eq!(config.preprocess.mean, [0.7; 3]);
}

#[test]
fn older_forms_are_read() {
    let vit = |fields: Value| {
        let mut all = json!({ "image_processor_type": "ViTImageProcessor" });
        all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        prepared("hf_vit_classifier", ONE, all).0.preprocess
    };
    assert_eq!(vit(json!({ "image_mean": 0.25, "image_std": 0.75 })).mean, [0.25; 3]);
    assert_eq!(vit(json!({ "size": [20, 20] })).resize, Resize::Squash);
    assert_eq!(vit(json!({ "size": 20 })).resize, Resize::Squash);
    for (value, filter) in
        [(1, Resample::Lanczos), (2, Resample::Bilinear), (4, Resample::Box), (5, Resample::Hamming)]
    {
        assert_eq!(vit(json!({ "resample": value })).resample, filter);
    }
    assert!(vit(json!({ "do_flip_channel_order": true })).bgr);
    let clip = json!({ "feature_extractor_type": "CLIPFeatureExtractor", "size": 20, "crop_size": 20 });
    assert_eq!(prepared("hf_vit_classifier", ONE, clip).0.preprocess.resize, Resize::Shortest);
}

#[test]
fn convnexts_processor_crops_by_share_below_384() {
    let of = |size: Value| {
        let fields =
            json!({ "image_processor_type": "ConvNextImageProcessor", "size": size, "crop_pct": 0.9 });
        let preprocess = prepared("hf_vit_classifier", ONE, fields).0.preprocess;
        (preprocess.resize, preprocess.crop)
    };
    assert_eq!(of(json!({ "shortest_edge": 224 })), (Resize::Shortest, 0.9));
    assert_eq!(of(json!({ "shortest_edge": 384 })), (Resize::Squash, 1.0));
}

#[test]
fn torchvisions_shapes_do_not_tell_everything() {
    let (_, checkpoint) = load_model(&golden("tv_vit"), None).unwrap();
    assert!(checkpoint.warnings()[0].contains("does not say how pictures are prepared"));
}
