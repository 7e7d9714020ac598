//! What people really bring: networks wrapped, retrained and renamed, and files that are something else.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use half::f16;
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::{Value, json};
use tome_wgpu::Error;
use tome_wgpu::files::{ModelFiles, TensorReader, load_files, load_model, load_model_as, read_weights};
use tome_wgpu::kernels::Activation;
use tome_wgpu::vit::{Config, Pool, Resize, Scores, Tensor, Tensors, Weights};

use crate::golden;
use crate::layouts::{Folder, file_of};

#[test]
fn what_training_wraps_around_a_network_is_taken_off() {
    for case in ["cls", "hf_vit_classifier"] {
        let plain = Folder::of(case).load().unwrap();
        for wrapper in ["module.", "_orig_mod.", "model.", "module._orig_mod.", "timm_model."] {
            let mut wrapped = Folder::of(case);
            let tensors = std::mem::take(&mut wrapped.tensors);
            wrapped.tensors = tensors.into_iter().map(|(name, t)| (format!("{wrapper}{name}"), t)).collect();
            assert!(wrapped.load().unwrap() == plain, "{wrapper}");
        }
        // What only some of the names begin with belongs to them.
        let mut partly = Folder::of(case);
        let (name, tensor) = partly.tensors.pop_first().unwrap();
        partly.tensors.insert(format!("module.{name}"), tensor);
        assert!(partly.load().is_err());
    }
}

#[test]
fn transformers_wrapper_of_timm_is_timms() {
    let (want, weights) = Folder::of("cls").load().unwrap();
    let mut wrapped = Folder::of("cls");
    let tensors = std::mem::take(&mut wrapped.tensors);
    wrapped.tensors = tensors.into_iter().map(|(name, t)| (format!("timm_model.{name}"), t)).collect();
    wrapped.config.as_mut().unwrap()["model_type"] = "timm_wrapper".into();
    let (config, same) = wrapped.load().unwrap();
    assert!(same == weights && config.embed_dim == want.embed_dim);
    assert!(config.preprocess.exif && !want.preprocess.exif, "transformers turns pictures, timm does not");
}

#[test]
fn torchvisions_head_may_have_been_replaced() {
    let (want, weights) = Folder::of("tv_vit").load().unwrap();
    for head in ["heads.", "heads.0.", "heads.1.", "heads.head.1.", "heads.classifier."] {
        let (config, same) = Folder::of("tv_vit").renamed(&[("heads.head.", head)]).load().unwrap();
        assert!(config == want && same == weights, "{head}");
    }
    let mut without = Folder::of("tv_vit");
    without.tensors.retain(|name, _| !name.starts_with("heads."));
    let (config, _) = without.load().unwrap();
    assert_eq!((config.num_classes, config.scores), (0, Scores::None));
}

#[test]
fn an_architecture_may_be_said_where_there_is_no_config() {
    let folder = tempfile::tempdir().unwrap();
    let config = tome_wgpu::vit::Config::preset("vit_tiny_patch16_224").unwrap();
    let weights = tome_wgpu::vit::Weights::random(&config.with(|c| c.num_classes = 3), 1);
    let tensors = weights.iter().map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect();
    let file = folder.path().join("mine.safetensors");
    std::fs::write(&file, file_of(&tensors)).unwrap();
    let error = load_model(&file, None).unwrap_err().to_string();
    assert!(error.contains("--arch"), "{error}");
    for name in ["vit_tiny_patch16_224", "vit_tiny_patch16_224.augreg_in21k", "vit_tiny_patch16_224_in21k"] {
        let (config, checkpoint) = load_model_as(&file, name).unwrap();
        assert_eq!((config.num_classes, config.embed_dim), (3, 192));
        assert!(checkpoint.warnings()[0].contains("assumed"), "{:?}", checkpoint.warnings());
    }
    assert!(load_model_as(&file, "vit_small_patch16_224").is_err());
    assert!(matches!(load_model_as(&file, "resnet50"), Err(Error::Unsupported { .. })));
}

/// transformers' CLIP under open_clip's names: their networks are the same.
#[test]
fn open_clips_folders_are_read() {
    let (want, weights) = Folder::of("hf_clip_projection").load().unwrap();
    let theirs = Folder::of("hf_clip_projection").renamed(&[
        ("vision_model.", "visual."),
        ("encoder.layers.", "transformer.resblocks."),
        ("layer_norm", "ln_"),
        ("self_attn.out_proj", "attn.out_proj"),
        ("mlp.fc1", "mlp.c_fc"),
        ("mlp.fc2", "mlp.c_proj"),
        ("embeddings.patch_embedding", "conv1"),
        ("embeddings.class_embedding", "class_embedding"),
        ("embeddings.position_embedding.weight", "positional_embedding"),
        ("pre_layrnorm", "ln_pre"),
        ("post_layernorm", "ln_post"),
        ("visual_projection.weight", "visual.proj"),
    ]);
    let mut tensors = theirs.tensors;
    // q, k and v lie in one, and the projection is turned.
    for block in 0..want.depth {
        for kind in ["weight", "bias"] {
            let stem = format!("visual.transformer.resblocks.{block}");
            let parts = ["q", "k", "v"]
                .map(|part| tensors.remove(&format!("{stem}.self_attn.{part}_proj.{kind}")).unwrap());
            let mut shape = parts[0].shape.clone();
            shape[0] *= 3;
            let values: Vec<f32> = parts.iter().flat_map(|part| part.data.to_f32().into_owned()).collect();
            tensors.insert(format!("{stem}.attn.in_proj_{kind}"), Tensor::new(&shape[..], values));
        }
    }
    let projection = &tensors["visual.proj"];
    let [rows, columns] = projection.shape[..] else { panic!("a matrix") };
    let values = projection.data.to_f32();
    let turned: Vec<f32> = (0..rows * columns).map(|i| values[i % rows * columns + i / rows]).collect();
    tensors.insert("visual.proj".into(), Tensor::new([columns, rows], turned));
    // The text's tower, which has a table of positions of the same name.
    tensors.retain(|name, _| name.starts_with("visual."));
    tensors.insert("positional_embedding".into(), Tensor::new([77, 8], vec![0.0; 77 * 8]));
    tensors.insert("transformer.resblocks.0.ln_1.weight".into(), Tensor::new([8], vec![1.0; 8]));

    let config = json!({
        "model_cfg": {
            "embed_dim": want.num_classes,
            "quick_gelu": false,
            "vision_cfg": {
                "image_size": want.image_size[0], "patch_size": want.patch_size[0], "width": want.embed_dim,
                "layers": want.depth, "head_width": want.head_width(),
                "mlp_ratio": f64::from(want.mlp_hidden) / f64::from(want.embed_dim),
            },
            "text_cfg": { "context_length": 77 },
        },
        "preprocess_cfg": { "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "interpolation": "bicubic", "resize_mode": "shortest" },
    });
    let files = |config: &Value| {
        ModelFiles::new()
            .with("open_clip_model.safetensors", Cursor::new(file_of(&tensors)))
            .with("open_clip_config.json", Cursor::new(config.to_string()))
    };
    let (read, checkpoint) = load_files(files(&config)).unwrap();
    assert_eq!(checkpoint.read_all().unwrap(), weights);
    assert_eq!((read.depth, read.num_heads, read.activation), (want.depth, want.num_heads, want.activation));
    assert_eq!((read.scores, &read.preprocess.mean[..]), (Scores::None, &[0.1, 0.2, 0.3][..]));
    for (field, value) in [
        ("layers", json!([3, 4, 6, 3])),
        ("pool_type", json!("none")),
        ("pos_embed_type", json!("rope")),
        ("scale_fc", json!(true)),
        ("norm_kwargs", json!({ "eps": 1e-6 })),
        ("attentional_pool", json!(true)),
    ] {
        let mut other = config.clone();
        other["model_cfg"]["vision_cfg"][field] = value;
        match load_files(files(&other)) {
            Err(Error::Unsupported { field: named, .. }) => assert_eq!(named, field),
            other => panic!("{field}: {other:?}"),
        }
    }
}

/// Tensors of a network of timm's by other names, and without its text tower.
fn tower(config: &Config, rename: impl Fn(&str) -> String) -> (Weights, BTreeMap<String, Tensor>) {
    let weights = Weights::random(config, 1);
    let mut tensors: BTreeMap<String, Tensor> =
        weights.iter().map(|(name, tensor)| (rename(name), tensor.clone())).collect();
    tensors.insert("text.positional_embedding".into(), Tensor::new([4, 8], vec![0.0; 32]));
    tensors.insert("logit_scale".into(), Tensor::new([0; 0], vec![1.0]));
    (weights, tensors)
}

#[test]
fn open_clips_towers_of_timm_are_read() {
    let load = |architecture: &str, vision: Value, classes: u32, projection: &str| {
        let mut config = Config::preset(architecture).unwrap();
        config.num_classes = classes;
        let (mut weights, mut tensors) = tower(&config, |name| match name.strip_prefix("head.") {
            Some(rest) => format!("visual.{projection}.{rest}"),
            None => format!("visual.trunk.{name}"),
        });
        if projection == "head.proj" {
            // open_clip's own has no bias.
            tensors.remove("visual.head.proj.bias").unwrap();
            weights.insert("head.bias", Tensor::new([classes as usize], vec![0.0; classes as usize]));
        }
        let mut tower = json!({ "timm_model_name": architecture, "image_size": config.image_size[0] });
        tower.as_object_mut().unwrap().extend(vision.as_object().unwrap().clone());
        let json = json!({
            "model_cfg": { "embed_dim": 12, "vision_cfg": tower, "text_cfg": {} },
            "preprocess_cfg": { "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "interpolation": "bicubic",
                                "resize_mode": "squash" },
        });
        let files = ModelFiles::new()
            .with("open_clip_model.safetensors", Cursor::new(file_of(&tensors)))
            .with("open_clip_config.json", Cursor::new(json.to_string()));
        load_files(files).map(|(config, checkpoint)| {
            assert_eq!(checkpoint.read_all().unwrap(), weights, "{architecture}");
            config
        })
    };
    let map = load("test_vit3", json!({ "timm_pool": "map", "timm_proj": "none" }), 0, "").unwrap();
    assert_eq!((map.pool, map.scores, map.preprocess.std[0]), (Pool::Attention, Scores::None, 0.25));
    assert_eq!((map.preprocess.resize, map.preprocess.crop), (Resize::Squash, 1.0));
    let token = json!({ "timm_pool": "token", "timm_proj": null });
    assert_eq!(load("test_vit", token, 12, "trunk.head").unwrap().num_classes, 12);
    let linear = json!({ "timm_pool": "", "timm_proj": "linear" });
    assert_eq!(load("test_vit", linear, 12, "head.proj").unwrap().pool, Pool::Token);
    for (vision, field) in [
        (json!({ "timm_proj": "mlp" }), "timm_proj"),
        (json!({ "timm_pool": "avg", "timm_proj": "linear" }), "timm_pool"),
        (json!({ "timm_pool": "rot_attn" }), "global_pool"),
    ] {
        match load("test_vit", vision.clone(), 12, "head.proj") {
            Err(Error::Unsupported { field: named, .. }) => assert_eq!(named, field),
            other => panic!("{vision}: {other:?}"),
        }
    }
}

#[test]
fn clips_of_openais_names_need_no_config() {
    let (config, checkpoint) = load_model(&golden("oc_openai"), None).unwrap();
    let weights = checkpoint.read_all().unwrap();
    // The numbers among them are no floats.
    let reader = &mut TensorReader::open(&golden("oc_openai").join("model.safetensors")).unwrap();
    let numbers = ["input_resolution", "context_length", "vocab_size"];
    let mut tensors: BTreeMap<String, Tensor> =
        numbers.iter().map(|&name| (name.to_owned(), Tensor::new([0; 0], vec![1.0]))).collect();
    for name in reader.names().into_iter().filter(|name| !numbers.contains(&&name[..])) {
        let shape = reader.shape(&name).unwrap().to_vec();
        let data = reader.read(&name, 0..shape.iter().product()).unwrap();
        tensors.insert(name, Tensor { shape, data });
    }
    assert_eq!((config.num_heads, config.depth, config.num_classes), (1, 2, 12));
    assert_eq!(
        (config.activation, config.scores, config.image_size),
        (Activation::QuickGelu, Scores::None, [16; 2])
    );
    let write = |without: &str| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ViT-T-4.safetensors");
        let tensors = tensors.iter().filter(|(name, _)| !name.starts_with(without));
        std::fs::write(&file, file_of(&tensors.map(|(n, t)| (n.clone(), t.clone())).collect())).unwrap();
        (folder, file)
    };
    let (_folder, whole) = write("nothing");
    assert!(load_model(&whole, None).unwrap().1.warnings().is_empty());
    // A file that is not OpenAI's own may have another activation, which is said.
    let (_folder, part) = write("input_resolution");
    let (_, checkpoint) = load_model(&part, None).unwrap();
    let warnings = checkpoint.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("QuickGELU") && warnings[0].contains("--arch"));
    assert_eq!(checkpoint.read_all().unwrap(), weights);
    // The shapes are not those of what is said to be.
    match load_model_as(&part, "vit_base_patch32_clip_224") {
        Err(Error::Weight { name, why }) => {
            assert!(name.starts_with("visual.") && why.contains("config asks"))
        }
        other => panic!("{other:?}"),
    }
    let (_folder, broken) = write("visual.transformer.resblocks.1.ln_1.weight");
    assert!(load_model(&broken, None).is_err());
}

#[test]
fn a_tensor_lies_in_one_shard() {
    let case = golden("hf_dinov2_swiglu_shards");
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(&case).unwrap().map(|entry| entry.unwrap().path()) {
        std::fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
    }
    let index = folder.path().join("model.safetensors.index.json");
    let mut map: Value = serde_json::from_str(&std::fs::read_to_string(&index).unwrap()).unwrap();
    let entries = map["weight_map"].as_object().unwrap().clone();
    let (name, shard) = entries.iter().next().unwrap();
    let other = entries.values().find(|other| *other != shard).unwrap();

    map["weight_map"]["nobody.has.this"] = shard.clone();
    std::fs::write(&index, map.to_string()).unwrap();
    let error = load_model(folder.path(), None).unwrap_err().to_string();
    assert!(error.contains("nobody.has.this") && error.contains("should be in"), "{error}");
    map["weight_map"].as_object_mut().unwrap().remove("nobody.has.this");

    // Where the index says another shard, and where two have it.
    map["weight_map"][name] = other.clone();
    std::fs::write(&index, map.to_string()).unwrap();
    assert!(load_model(folder.path(), None).unwrap_err().to_string().contains("should be in"));
    map["weight_map"][name] = shard.clone();
    std::fs::write(&index, map.to_string()).unwrap();
    let second = folder.path().join(other.as_str().unwrap());
    let weights = read_weights(&mut TensorReader::open(&second).unwrap()).unwrap();
    let mut tensors: std::collections::BTreeMap<_, _> =
        weights.iter().map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect();
    tensors.insert(name.clone(), Tensor::new([1], vec![0.0]));
    std::fs::write(&second, file_of(&tensors)).unwrap();
    let error = load_model(folder.path(), None).unwrap_err().to_string();
    assert!(error.contains("is in two shards"), "{error}");
}

#[test]
fn other_files_are_called_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    for (content, what) in [
        (&b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 5\n"[..], "git lfs pull"),
        (b"<!DOCTYPE html><html><head>", "web page"),
        (b"PK\x03\x04\x14\0\0\0\0\0\0\0archive/data.pkl", "torch.load"),
        (b"PK\x03\x04\x14\0\0\0\0\0\0\0weight.npy", "numpy.load"),
        (b"\x80\x02}q\0X\x04\0\0\0", "torch.load"),
        (b"GGUF\x03\0\0\0\0\0\0\0", "GGUF"),
        (b"\x89HDF\r\n\x1a\n\0\0\0\0", "HDF5"),
        (b"\x08\x08\x12\x07pytorch\x1a\x05", "ONNX"),
        (b"\x93NUMPY\x01\0v\0{", "array of NumPy"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03", "unpack it"),
        (b"{\"architecture\": \"vit\"}", "is JSON"),
        (b"{}", "is JSON"),
        (b"", "only 0 bytes"),
    ] {
        std::fs::write(&file, content).unwrap();
        let error = TensorReader::open(&file).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains("model.safetensors"), "{error}");
    }
    // A name says it where the content does not.
    let onnx = folder.path().join("net.onnx");
    std::fs::write(&onnx, [8u8, 7, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    assert!(TensorReader::open(&onnx).unwrap_err().to_string().contains("ONNX"));
    assert!(TensorReader::open(folder.path()).unwrap_err().to_string().contains("is a folder"));
}

#[test]
fn folders_without_weights_say_what_is_there() {
    for (names, what) in [
        (&["pytorch_model.bin"][..], "torch.load"),
        (&["pytorch_model.bin.index.json", "pytorch_model-1.bin"], "save_pretrained"),
        (&["adapter_config.json", "adapter_model.safetensors"], "PEFT adapter"),
        (&["my_vit.safetensors"], "give the file itself"),
        (&["model.onnx"], "model.onnx cannot be read"),
        (&["README.md", "notes.txt"], "there is README.md, notes.txt"),
        (&[], "it is empty"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| std::fs::write(folder.path().join(name), "x").unwrap());
        let error = load_model(folder.path(), None).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains("neither model.safetensors"), "{error}");
    }
    for (path, what) in [
        ("facebook/dinov2-small", "hf-hub:facebook/dinov2-small"),
        ("hf_hub:timm/vit", "hf-hub:timm/vit"),
        ("vit_base_patch16_224.augreg_in21k", "hf-hub:timm/vit_base_patch16_224.augreg_in21k"),
        ("some/where/else", "is no folder or file"),
    ] {
        let error = load_model(Path::new(path), None).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn other_float_types_become_f32() {
    let read = |dtype, bytes: &[u8], count| {
        let file = serialize([("x", TensorView::new(dtype, vec![count], bytes).unwrap())], None).unwrap();
        let mut reader = TensorReader::new(Cursor::new(file), Path::new("x")).unwrap();
        reader.read("x", 0..count).unwrap().into_f32()
    };
    let doubles = [0.5f64, -2.0, 1.0 / 3.0, 1e300];
    let got = read(Dtype::F64, bytemuck::cast_slice(&doubles), 4);
    assert_eq!(got, [0.5, -2.0, 1.0 / 3.0, f32::INFINITY]);
    // 1, the largest, the smallest, minus 1.5, NaN.
    let got = read(Dtype::F8_E4M3, &[0x38, 0x7e, 0x01, 0xbc, 0x7f], 5);
    assert_eq!(got[..4], [1.0, 448.0, 2f32.powi(-9), -1.5]);
    assert!(got[4].is_nan());
    let got = read(Dtype::F8_E5M2, &[0x3c, 0x7b, 0x01, 0xc0, 0x7c], 5);
    assert_eq!(got, [1.0, 57344.0, f16::from_bits(0x100).to_f32(), -2.0, f32::INFINITY]);
}

#[test]
fn headers_with_names_twice_or_too_many_are_refused() {
    let file = |header: String| {
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.into_bytes());
        TensorReader::new(Cursor::new(file), Path::new("x")).unwrap_err().to_string()
    };
    let empty = r#"{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#;
    let error = file(format!(r#"{{"a":{empty},"a":{empty}}}"#));
    assert!(error.contains("`a` is there twice"), "{error}");
    let many: Vec<String> = (0..100_001).map(|i| format!(r#""{i}":{empty}"#)).collect();
    let error = file(format!("{{{}}}", many.join(",")));
    assert!(error.contains("more than 100000"), "{error}");
}

#[test]
fn names_in_errors_are_the_files() {
    let mut missing = Folder::of("hf_vit_classifier");
    missing.tensors.remove("classifier.bias").unwrap();
    assert_eq!(missing.refused(), "classifier.bias");
    let mut other = Folder::of("hf_vit_classifier");
    other.config.as_mut().unwrap().as_object_mut().unwrap().remove("id2label");
    match other.load() {
        Err(Error::Weight { name, why }) => {
            assert!(name.starts_with("classifier.") && why.contains("id2label"), "{name}: {why}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn positions_resampled_far_are_said() {
    let (mut config, mut checkpoint) = load_model(&golden("cls"), None).unwrap();
    assert!(checkpoint.warnings().is_empty());
    let near = config.image_size.map(|side| 2 * side);
    checkpoint.resample_positions(&mut config, near).unwrap();
    assert!(checkpoint.warnings().is_empty(), "{:?}", checkpoint.warnings());
    let far = config.image_size.map(|side| 9 * side);
    checkpoint.resample_positions(&mut config, far).unwrap();
    assert!(checkpoint.warnings()[0].contains("resampled"), "{:?}", checkpoint.warnings());
    assert!(checkpoint.shape("pos_embed").is_some());
}
