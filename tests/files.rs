//! Configs, weights and pictures, good and bad. Needs no GPU.
#![cfg(feature = "files")]

use std::collections::HashMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{DynamicImage, GrayImage, RgbImage, RgbaImage};
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::{Value, json};
use tome_wgpu::Error;
use tome_wgpu::files::{TensorReader, fit, load_model, normalise, open_image, parse_config, read_weights};
use tome_wgpu::kernels::matmul::Activation;
use tome_wgpu::vit::{Config, Pool, Resample, Weights};

fn golden(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/cases").join(case)
}

fn parse(value: Value) -> Result<Config, Error> {
    parse_config(&value.to_string())
}

/// A config of the preset `vit_tiny_patch16_224` with other `model_args`.
fn with_args(args: Value) -> Result<Config, Error> {
    parse(json!({ "architecture": "vit_tiny_patch16_224", "model_args": args }))
}

#[test]
fn defaults_are_timms() {
    let config = parse(json!({ "architecture": "vit_small_patch16_384.augreg_in21k_ft_in1k" })).unwrap();
    let preset = Config::preset("vit_small_patch16_384").unwrap();
    assert_eq!(config.preprocess.mean, [0.485, 0.456, 0.406]);
    assert_eq!(config.preprocess.crop, 0.875);
    assert_eq!(Config { preprocess: preset.preprocess.clone(), ..config }, preset);
}

#[test]
fn everything_can_be_overridden() {
    let config = parse(json!({
        "architecture": "vit_base_patch16_224",
        "num_classes": 3,
        "global_pool": "token",
        "label_names": ["n1", "n2", "n3"],
        "label_descriptions": { "n1": "cat", "n3": "dog" },
        "model_args": {
            "img_size": 48, "patch_size": [8, 4], "in_chans": 1, "embed_dim": 40, "depth": 2, "num_heads": 5,
            "mlp_ratio": 2.71, "qkv_bias": false, "global_pool": "avg", "class_token": false, "reg_tokens": 2,
            "no_embed_class": true, "pre_norm": true, "final_norm": false, "init_values": 1e-5,
            "act_layer": "quick_gelu", "norm_eps": 1e-5, "qk_norm": false, "mlp_layer": "Mlp", "drop_rate": 0.1,
            "embed_norm_layer": null
        },
        "pretrained_cfg": {
            "input_size": [3, 224, 224], "mean": [0.1], "std": [0.2], "interpolation": "bilinear", "crop_pct": 0.95,
            "crop_mode": "center", "num_classes": 1000
        }
    }))
    .unwrap();
    assert_eq!((config.image_size, config.patch_size, config.in_chans), ([48, 48], [8, 4], 1));
    assert_eq!((config.embed_dim, config.depth, config.num_heads), (40, 2, 5));
    assert_eq!(config.mlp_hidden, 108, "int(40 * 2.71)");
    assert_eq!((config.pool, config.fc_norm), (Pool::Average, true), "fc_norm follows from average pooling");
    assert!(!config.qkv_bias && !config.class_token && config.no_embed_class && config.pre_norm);
    assert!(!config.final_norm && config.layer_scale);
    assert_eq!((config.activation, config.norm_eps), (Activation::QUICK_GELU, 1e-5));
    assert_eq!((config.num_classes, config.reg_tokens), (3, 2));
    assert_eq!(config.labels, ["cat", "n2", "dog"]);
    assert_eq!(config.preprocess.resample, Resample::Bilinear);
    assert_eq!(
        (config.preprocess.mean[0], config.preprocess.std[0], config.preprocess.crop),
        (0.1, 0.2, 0.95)
    );
}

#[test]
fn the_input_size_decides_where_model_args_do_not() {
    let config = parse(json!({
        "architecture": "vit_tiny_patch16_224",
        "pretrained_cfg": { "input_size": [1, 32, 64], "mean": [0.5], "std": [0.5] }
    }))
    .unwrap();
    assert_eq!((config.in_chans, config.image_size), (1, [32, 64]));
    // One mean for three channels counts for each.
    let config =
        parse(json!({ "architecture": "vit_tiny_patch16_224", "mean": [0.25], "num_classes": 0 })).unwrap();
    assert_eq!((config.preprocess.mean, config.num_classes), (vec![0.25; 3], 0));
}

#[test]
fn class_names_may_be_a_map_with_gaps() {
    let names = |names: Value| {
        parse(json!({ "architecture": "vit_tiny_patch16_224", "num_classes": 3, "label_names": names }))
    };
    assert_eq!(names(json!({ "0": "a", "2": "c" })).unwrap().labels, ["a", "1", "c"]);
    assert!(names(json!(["a", "b"])).unwrap_err().to_string().contains("2 names for 3 classes"));
    assert!(names(json!("a")).unwrap_err().to_string().contains("label_names"));
}

#[test]
fn fc_norm_is_null_or_said() {
    let of = |pool: &str, fc_norm: Value| {
        with_args(json!({ "global_pool": pool, "fc_norm": fc_norm })).unwrap().fc_norm
    };
    assert!(of("avg", Value::Null) && !of("token", Value::Null));
    assert!(!of("avg", json!(false)) && of("token", json!(true)));
}

#[test]
fn nonsense_names_its_field() {
    for (args, field) in [
        (json!({ "num_heads": 0 }), "num_heads"),
        (json!({ "embed_dim": 190, "num_heads": 3 }), "embed_dim"),
        (json!({ "img_size": 8 }), "patch_size"),
        (json!({ "img_size": "big" }), "img_size"),
        (json!({ "img_size": [1, 2, 3] }), "img_size"),
        (json!({ "depth": -1 }), "depth"),
        (json!({ "depth": 2.5 }), "depth"),
        (json!({ "depth": 99_999_999_999u64 }), "depth"),
        (json!({ "qkv_bias": "yes" }), "qkv_bias"),
        (json!({ "mlp_ratio": -3 }), "mlp_ratio"),
        (json!({ "mlp_ratio": 1e300 }), "mlp_ratio"),
        (json!({ "norm_eps": "NaN" }), "norm_eps"),
        (json!({ "norm_eps": 0 }), "norm_eps"),
        (json!({ "norm_eps": 1e-60 }), "norm_eps"),
        (json!({ "class_token": false }), "global_pool"),
        (json!({ "in_chans": 4 }), "mean"),
        (json!([]), "model_args"),
    ] {
        match with_args(args.clone()) {
            Err(Error::Config { field: named, .. }) => assert!(named.contains(field), "{args}: {named}"),
            other => panic!("{args}: {other:?}"),
        }
    }
    for (config, field) in [
        ("", "JSON"),
        ("[]", "JSON"),
        (r#"{"architecture": "vit_tiny_patch16_224", "model_args": {"norm_eps": NaN}}"#, "JSON"),
        ("{}", "architecture"),
        (r#"{"architecture": 3}"#, "architecture"),
        (r#"{"architecture": "vit_tiny_patch16_224", "pretrained_cfg": {"crop_pct": 0}}"#, "crop_pct"),
        (r#"{"architecture": "vit_tiny_patch16_224", "pretrained_cfg": {"std": [0, 0, 0]}}"#, "std"),
        (r#"{"architecture": "vit_tiny_patch16_224", "pretrained_cfg": {"mean": [0.5, 0.5]}}"#, "mean"),
    ] {
        match parse_config(config) {
            Err(Error::Config { field: named, .. }) => assert!(named.contains(field), "{config}: {named}"),
            other => panic!("{config}: {other:?}"),
        }
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    for (args, field) in [
        (json!({ "qk_norm": true }), "qk_norm"),
        (json!({ "mlp_layer": "GluMlp" }), "mlp_layer"),
        (json!({ "global_pool": "map" }), "global_pool"),
        (json!({ "global_pool": "" }), "global_pool"),
        (json!({ "act_layer": "silu" }), "act_layer"),
        (json!({ "pos_embed": "none" }), "pos_embed"),
        (json!({ "proj_bias": false }), "proj_bias"),
        (json!({ "flux_capacitor": 1.21 }), "flux_capacitor"),
    ] {
        match with_args(args.clone()) {
            Err(Error::Unsupported { field: named, .. }) => assert_eq!(named, field),
            other => panic!("{args}: {other:?}"),
        }
    }
    for (config, field) in [
        (json!({ "architecture": "deit_tiny_distilled_patch16_224" }), "architecture"),
        (json!({ "architecture": "resnet50" }), "architecture"),
        (json!({ "architecture": "vit_tiny_patch16_224", "global_pool": "map" }), "global_pool"),
        (
            json!({ "architecture": "vit_tiny_patch16_224", "pretrained_cfg": { "interpolation": "lanczos" } }),
            "interpolation",
        ),
        (
            json!({ "architecture": "vit_tiny_patch16_224", "pretrained_cfg": { "crop_mode": "squash" } }),
            "crop_mode",
        ),
    ] {
        match parse(config.clone()) {
            Err(Error::Unsupported { field: named, .. }) => assert_eq!(named, field),
            other => panic!("{config}: {other:?}"),
        }
    }
}

#[test]
fn a_folder_and_a_file_are_the_same_network() {
    let folder = golden("cls");
    let (config, weights) = load_model(&folder, None).unwrap();
    let (other, same) =
        load_model(&folder.join("model.safetensors"), Some(&folder.join("config.json"))).unwrap();
    assert_eq!((config, weights), (other, same));
}

/// Values as a safetensors file of `dtype`.
fn file_of(dtype: Dtype, values: &[f32]) -> Vec<u8> {
    let bytes: Vec<u8> = match dtype {
        Dtype::F16 => values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect(),
        Dtype::BF16 => values.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect(),
        Dtype::F64 => values.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
    };
    let view = TensorView::new(dtype, vec![values.len()], &bytes).unwrap();
    serialize([("x", view)], None).unwrap()
}

fn read(bytes: &[u8]) -> Result<Weights, Error> {
    read_weights(&mut TensorReader::new(Cursor::new(bytes), Path::new("memory.safetensors"))?)
}

#[test]
fn three_float_types_are_read() {
    let values = [0.5, -2.0, 1.0 / 3.0];
    for (dtype, tolerance) in [(Dtype::F32, 0.0), (Dtype::F16, 1e-3), (Dtype::BF16, 1e-2)] {
        let weights = read(&file_of(dtype, &values)).unwrap();
        let (name, tensor) = weights.iter().next().unwrap();
        assert_eq!((name, tensor.shape.as_slice()), ("x", [3].as_slice()));
        for (got, want) in tensor.data.iter().zip(values) {
            assert!((got - want).abs() <= tolerance, "{dtype:?}: {got} for {want}");
        }
    }
    match read(&file_of(Dtype::F64, &values)) {
        Err(Error::Weight { name, why }) => assert!(name == "x" && why.contains("F64"), "{name}: {why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stretch_of_a_tensor_is_read() {
    let file = file_of(Dtype::F32, &[0.0, 1.0, 2.0, 3.0]);
    let mut reader = TensorReader::new(Cursor::new(&file), Path::new("memory")).unwrap();
    assert_eq!(reader.read("x", 1..3).unwrap(), [1.0, 2.0]);
    assert!(matches!(reader.read("x", 3..5), Err(Error::Input(_))));
    assert!(matches!(reader.read("y", 0..1), Err(Error::File { .. })));
}

#[test]
fn broken_files_are_errors_wherever_they_break() {
    let whole = file_of(Dtype::F32, &[1.0; 64]);
    for length in 0..whole.len() {
        assert!(matches!(read(&whole[..length]), Err(Error::File { .. })), "cut to {length} bytes");
    }
    let mut longer = whole.clone();
    longer.push(0);
    assert!(read(&longer).unwrap_err().to_string().contains("surplus"));
    // No byte of the header makes it panic or read outside.
    for position in 0..whole.len() - 256 {
        for value in [0, 0x22, 0x39, 0x7b, 0xff] {
            let mut corrupt = whole.clone();
            corrupt[position] = value;
            let _ = read(&corrupt);
        }
    }
    let mut huge = whole;
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(read(&huge), Err(Error::File { .. })));
}

/// The golden network's tensors as bytes, to be changed.
fn tensors() -> HashMap<String, (Vec<usize>, Vec<u8>)> {
    let (_, weights) = load_model(&golden("cls"), None).unwrap();
    let bytes = |data: &[f32]| data.iter().flat_map(|v| v.to_le_bytes()).collect();
    weights
        .iter()
        .map(|(name, tensor)| (name.to_owned(), (tensor.shape.clone(), bytes(&tensor.data))))
        .collect()
}

fn load_changed(change: impl FnOnce(&mut HashMap<String, (Vec<usize>, Vec<u8>)>)) -> Error {
    let mut tensors = tensors();
    change(&mut tensors);
    let folder = tempfile::tempdir().unwrap();
    let views = tensors.iter().map(|(name, (shape, bytes))| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    std::fs::write(folder.path().join("model.safetensors"), serialize(views, None).unwrap()).unwrap();
    std::fs::copy(golden("cls").join("config.json"), folder.path().join("config.json")).unwrap();
    load_model(folder.path(), None).unwrap_err()
}

#[test]
fn a_tensor_that_does_not_belong_is_named() {
    let missing = load_changed(|tensors| drop(tensors.remove("norm.bias")));
    assert!(
        matches!(&missing, Error::Weight { name, why } if name == "norm.bias" && why.contains("missing"))
    );
    let surplus =
        load_changed(|tensors| drop(tensors.insert("head_dist.bias".into(), (vec![1], vec![0; 4]))));
    assert!(matches!(&surplus, Error::Weight { name, .. } if name == "head_dist.bias"));
    let reshaped = load_changed(|tensors| tensors.get_mut("norm.bias").unwrap().0.insert(0, 1));
    assert!(matches!(&reshaped, Error::Weight { name, .. } if name == "norm.bias"), "{reshaped}");
}

#[test]
fn missing_files_and_pickles_are_errors_with_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let error = |path: &Path| load_model(path, None).unwrap_err().to_string();
    assert!(
        error(&folder.path().join("nowhere")).contains("nowhere")
            || error(folder.path()).contains("config.json")
    );
    assert!(error(folder.path()).contains("config.json"));
    std::fs::write(folder.path().join("pytorch_model.bin"), "").unwrap();
    assert!(error(folder.path()).contains("safetensors.torch"));
    assert!(error(&folder.path().join("vit.pth")).contains("convert it"));
}

#[test]
fn labels_may_lie_beside_the_config() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(golden("cls").join(name), folder.path().join(name)).unwrap();
    }
    let (config, _) = load_model(folder.path(), None).unwrap();
    assert!(config.labels.is_empty());
    let names: Vec<String> = (0..config.num_classes).map(|class| format!("class {class}")).collect();
    std::fs::write(folder.path().join("labels.txt"), names.join("\n")).unwrap();
    assert_eq!(load_model(folder.path(), None).unwrap().0.labels, names);
    std::fs::write(folder.path().join("labels.txt"), "one").unwrap();
    assert!(load_model(folder.path(), None).unwrap_err().to_string().contains("labels.txt"));
}

fn pictures(channels: u32, size: [u32; 2], crop: f32) -> Config {
    let mut config = Config::preset("vit_tiny_patch16_224").unwrap();
    (config.in_chans, config.image_size) = (channels, size);
    config.preprocess.mean = vec![0.5; channels as usize];
    config.preprocess.std = vec![0.25; channels as usize];
    config.preprocess.crop = crop;
    config
}

#[test]
fn a_picture_of_the_right_size_is_only_normalised() {
    let picture = RgbImage::from_fn(4, 2, |x, y| image::Rgb([x as u8, y as u8, 255]));
    let config = pictures(3, [2, 4], 1.0);
    let values = normalise(&fit(picture.into(), &config).unwrap(), &config).unwrap();
    assert_eq!(values.len(), 24);
    assert_eq!(values[..4], [0.0f32, 1.0, 2.0, 3.0].map(|v| (v / 255.0 - 0.5) / 0.25));
    assert_eq!(values[12], (1.0 / 255.0 - 0.5) / 0.25);
    assert_eq!(values[16..], [2.0; 8]);
}

#[test]
fn colours_become_what_the_network_reads() {
    let red = RgbaImage::from_pixel(3, 3, image::Rgba([255, 0, 0, 0]));
    let grey = fit(red.clone().into(), &pictures(1, [3, 3], 1.0)).unwrap();
    assert_eq!(grey.as_bytes(), [76; 9], "ITU-R 601, alpha dropped");
    let colour = fit(red.into(), &pictures(3, [3, 3], 1.0)).unwrap();
    assert_eq!(colour.as_bytes()[..3], [255, 0, 0]);
    let grey = GrayImage::from_pixel(3, 3, image::Luma([9]));
    assert_eq!(fit(grey.into(), &pictures(3, [3, 3], 1.0)).unwrap().as_bytes(), [9; 27]);
    let four = pictures(4, [3, 3], 1.0);
    assert!(matches!(fit(DynamicImage::new_rgb8(3, 3), &four), Err(Error::Unsupported { .. })));
}

#[test]
fn any_shape_covers_the_input() {
    for size in [[224, 224], [48, 80], [80, 48]] {
        for (width, height) in
            [(1, 1), (20_000, 1), (1, 20_000), (3, 500), (224, 224), (640, 480), (20_000, 300)]
        {
            for crop in [0.9, 1.0] {
                let config = pictures(1, size, crop);
                let picture = GrayImage::from_pixel(width, height, image::Luma([100]));
                let fitted = fit(picture.into(), &config).unwrap();
                assert_eq!((fitted.height(), fitted.width()), (size[0], size[1]));
                assert!(fitted.as_bytes().iter().all(|&v| v == 100), "{width}x{height} into {size:?}");
            }
        }
    }
    assert!(matches!(fit(DynamicImage::new_luma8(0, 5), &pictures(1, [4, 4], 1.0)), Err(Error::Input(_))));
}

#[test]
fn the_centre_is_cut_out() {
    // Three vertical stripes; only the middle one is left.
    let picture =
        GrayImage::from_fn(90, 30, |x, _| image::Luma([if (30..60).contains(&x) { 200 } else { 0 }]));
    let fitted = fit(picture.into(), &pictures(1, [30, 30], 1.0)).unwrap();
    assert!(fitted.as_bytes().iter().all(|&v| v == 200));
}

#[test]
fn unreadable_pictures_are_errors_with_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let mut png = Cursor::new(Vec::new());
    DynamicImage::new_rgb8(40, 40).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let png = png.into_inner();
    for (name, content) in [
        ("empty.png", &[][..]),
        ("text.png", b"no picture at all"),
        ("cut.png", &png[..png.len() / 2]),
        ("header.jpg", &[0xff, 0xd8, 0xff]),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let error = open_image(&path).unwrap_err();
        assert!(matches!(&error, Error::File { path, .. } if path.contains(name)), "{error}");
    }
    assert!(matches!(open_image(&folder.path().join("absent.png")), Err(Error::File { .. })));
    assert!(matches!(open_image(folder.path()), Err(Error::File { .. })));
    // Named as one format, written in another: the content decides.
    let path = folder.path().join("really_a_png.jpg");
    std::fs::write(&path, &png).unwrap();
    assert_eq!(open_image(&path).unwrap().width(), 40);
}

#[test]
fn a_picture_too_large_for_memory_is_refused() {
    // A header that promises 100,000 x 100,000 pixels.
    let mut bmp = Cursor::new(Vec::new());
    DynamicImage::new_rgb8(1, 1).write_to(&mut bmp, image::ImageFormat::Bmp).unwrap();
    let mut bytes = bmp.into_inner();
    bytes[18..22].copy_from_slice(&100_000u32.to_le_bytes());
    bytes[22..26].copy_from_slice(&100_000u32.to_le_bytes());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.bmp");
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(open_image(&path), Err(Error::File { .. })));
}
