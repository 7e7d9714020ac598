//! Names of other libraries, shards, and checkpoints that do not fit.

use std::collections::BTreeMap;
use std::io::Cursor;

use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::{Value, json};
use tome_wgpu::Error;
use tome_wgpu::files::{Checkpoint, ModelFiles, TensorReader, load_files, load_model, read_weights};
use tome_wgpu::vit::{Config, Pool, Tensor, Weights};

use crate::golden;

/// A golden network as it lies on disk, whose names and tensors are to be changed.
pub struct Folder {
    pub tensors: BTreeMap<String, Tensor>,
    pub config: Option<Value>,
}

impl Folder {
    pub fn of(case: &str) -> Self {
        let file = golden(case).join("model.safetensors");
        let weights = read_weights(&mut TensorReader::open(&file).unwrap()).unwrap();
        let config = std::fs::read_to_string(golden(case).join("config.json")).ok();
        Folder {
            tensors: weights.iter().map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect(),
            config: config.map(|text| serde_json::from_str(&text).unwrap()),
        }
    }

    pub fn renamed(mut self, pairs: &[(&str, &str)]) -> Self {
        let new = |name: String| pairs.iter().fold(name, |name, (old, new)| name.replace(old, new));
        self.tensors = self.tensors.into_iter().map(|(name, tensor)| (new(name), tensor)).collect();
        self
    }

    /// From a disk, and the same from bytes.
    pub fn load(&self) -> Result<(Config, Weights), Error> {
        let all = |(config, checkpoint): (Config, Checkpoint)| Ok((config, checkpoint.read_all()?));
        let folder = tempfile::tempdir().unwrap();
        let mut files = ModelFiles::new();
        let mut put = |name: &str, bytes: Vec<u8>| {
            std::fs::write(folder.path().join(name), &bytes).unwrap();
            files = std::mem::take(&mut files).with(name, Cursor::new(bytes));
        };
        put("model.safetensors", file_of(&self.tensors));
        if let Some(config) = &self.config {
            put("config.json", config.to_string().into());
        }
        let (disk, bytes) = (load_model(folder.path(), None).and_then(all), load_files(files).and_then(all));
        match (&disk, &bytes) {
            (Ok(disk), Ok(bytes)) => assert_eq!(disk, bytes),
            (Err(Error::File { why, .. }), Err(Error::File { why: same, .. })) => assert_eq!(why, same),
            // The reason ends with the file's path.
            (Err(Error::Weight { name, .. }), Err(Error::Weight { name: same, .. })) => {
                assert_eq!(name, same)
            }
            (Err(disk), Err(bytes)) => assert_eq!(disk.to_string(), bytes.to_string()),
            other => panic!("{other:?}"),
        }
        disk
    }

    /// The tensor that the loader complains about.
    #[track_caller]
    pub fn refused(&self) -> String {
        match self.load() {
            Err(Error::Weight { name, .. }) => name,
            other => panic!("{other:?}"),
        }
    }
}

pub fn file_of(tensors: &BTreeMap<String, Tensor>) -> Vec<u8> {
    let floats: Vec<_> = tensors.values().map(|tensor| tensor.data.to_f32()).collect();
    let views = tensors.iter().zip(&floats).map(|((name, tensor), floats)| {
        let bytes = bytemuck::cast_slice(floats);
        (name, TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).unwrap())
    });
    serialize(views, None).unwrap()
}

#[test]
fn names_of_transformers_in_memory_are_read() {
    for case in ["hf_vit_classifier", "hf_deit_teacher"] {
        let saved = Folder::of(case);
        let same = saved.load().unwrap();
        let memory = Folder::of(case).renamed(&[
            ("encoder.layer.", "layers."),
            ("attention.attention.query", "attention.q_proj"),
            ("attention.attention.key", "attention.k_proj"),
            ("attention.attention.value", "attention.v_proj"),
            ("attention.output.dense", "attention.o_proj"),
            ("intermediate.dense", "mlp.fc1"),
            ("output.dense", "mlp.fc2"),
        ]);
        assert!(
            memory.tensors.keys().all(|name| !saved.tensors.contains_key(name) || !name.contains("layer."))
        );
        assert_eq!(memory.load().unwrap(), same);
    }
}

#[test]
fn a_tower_may_be_named_with_or_without_its_prefix() {
    for case in ["hf_clip_vision", "hf_siglip_vision"] {
        let mut folder = Folder::of(case);
        let same = folder.load().unwrap();
        folder.tensors = folder
            .tensors
            .into_iter()
            .map(|(name, tensor)| (format!("vision_model.{name}"), tensor))
            .collect();
        let positions = Tensor::new([1, 26], vec![0.0; 26]);
        folder.tensors.insert("vision_model.embeddings.position_ids".into(), positions);
        assert_eq!(folder.load().unwrap(), same, "{case}");
    }
}

/// A network of DINOv2's own code: timm's names but for a few, and a position for the class token always.
fn dinov2(architecture: &str) -> (Folder, Weights) {
    let mut config = Config::preset(architecture).unwrap();
    (config.embed_dim, config.num_heads, config.depth, config.image_size) = (24, 2, 1, [42, 42]);
    config.mlp_hidden = if architecture.contains("vitg") { 64 } else { 96 };
    let weights = Weights::random(&config, 1);
    let tensors = weights.iter().map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect();
    let args = json!({ "embed_dim": 24, "num_heads": 2, "depth": 1, "img_size": 42 });
    let config = json!({ "architecture": architecture, "model_args": args });
    let mut folder = Folder { tensors, config: Some(config) }.renamed(&[
        ("reg_token", "register_tokens"),
        ("mlp.fc1", if architecture.contains("vitg") { "mlp.w12" } else { "mlp.fc1" }),
        ("mlp.fc2", if architecture.contains("vitg") { "mlp.w3" } else { "mlp.fc2" }),
    ]);
    folder.tensors.insert("mask_token".into(), Tensor::new([1, 24], vec![0.0; 24]));
    (folder, weights)
}

#[test]
fn names_of_dinov2_itself_are_read() {
    for architecture in ["dinov2_vits14", "dinov2_vitg14"] {
        let (folder, weights) = dinov2(architecture);
        assert_eq!(folder.load().unwrap().1, weights, "{architecture}");
    }
    for architecture in ["dinov2_vits14_reg", "dinov2_vitg14_reg"] {
        let (mut folder, weights) = dinov2(architecture);
        // Split the class token into a token and its position.
        let position = folder.tensors.get_mut("pos_embed").unwrap();
        position.shape[1] += 1;
        position.data = [&[0.25; 24], &position.data.to_f32()[..]].concat().into();
        let token = folder.tensors.get_mut("cls_token").unwrap();
        token.data = token.data.to_f32().iter().map(|value| value - 0.25).collect::<Vec<f32>>().into();
        let (_, got) = folder.load().unwrap();
        for ((name, got), (same, want)) in got.iter().zip(weights.iter()) {
            assert_eq!((name, &got.shape), (same, &want.shape));
            let (got, want) = (got.data.to_f32(), want.data.to_f32());
            let close = got.iter().zip(&want[..]).all(|(got, want)| (got - want).abs() < 1e-6);
            assert!(close, "{architecture}: {name}");
        }
    }
}

#[test]
fn heads_of_dinov2_itself_are_read() {
    for architecture in ["dinov2_vits14_lc", "dinov2_vitg14_lc"] {
        let (mut folder, mut weights) = dinov2(architecture);
        // Its network lies beside its head.
        let name = |name: &str| match name.strip_prefix("head.") {
            Some(rest) => format!("linear_head.{rest}"),
            None => format!("backbone.{name}"),
        };
        folder.tensors = folder.tensors.iter().map(|(old, tensor)| (name(old), tensor.clone())).collect();
        let (config, got) = folder.load().unwrap();
        assert_eq!(
            (config.pool, config.num_classes, &got),
            (Pool::TokenAndAverage, 1000, &weights),
            "{architecture}"
        );
        // That over four layers is refused.
        weights.insert("head.weight", Tensor::new([1000, 120], vec![0.0; 120_000]));
        folder.tensors.insert("linear_head.weight".into(), weights.get("head.weight").unwrap().clone());
        match folder.load() {
            Err(Error::Unsupported { field, why, .. }) => {
                assert!(field == "linear_head" && why.contains("layers=1"))
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn dinos_own_names_are_timms() {
    let config = Config::preset("dino_vits8").unwrap();
    assert_eq!((config.patch_size, config.num_classes, config.position_resample.offset), ([8; 2], 0, 0.1));
    assert_eq!((config.preprocess.crop, config.preprocess.mean[0]), (0.875, 0.485));
}

#[test]
fn positions_of_another_square_grid_are_resampled() {
    // Made for 3 x 3 patches; the config wants 5 x 4.
    for architecture in ["dinov2_vits14", "dinov2_vits14_reg"] {
        let (mut folder, mut weights) = dinov2(architecture);
        let mut config = folder.load().unwrap().0;
        folder.config.as_mut().unwrap()["model_args"]["img_size"] = json!([70, 56]);
        let (loaded, got) = folder.load().unwrap();
        weights.resample_positions(&mut config, [70, 56]).unwrap();
        assert_eq!((loaded, got), (config, weights), "{architecture}");
    }
    // Seven positions are of no square.
    let (mut folder, _) = dinov2("dinov2_vits14");
    let position = folder.tensors.get_mut("pos_embed").unwrap();
    *position = Tensor::new([1, 8, 24], vec![0.0; 8 * 24]);
    assert_eq!(folder.refused(), "pos_embed");
}

#[test]
fn what_is_left_over_or_missing_is_named() {
    let mut surplus = Folder::of("hf_vit_classifier");
    surplus.tensors.insert("vit.adapter.weight".into(), Tensor::new([1], vec![0.0]));
    assert_eq!(surplus.refused(), "vit.adapter.weight");
    let mut missing = Folder::of("hf_vit_classifier");
    missing.tensors.remove("vit.encoder.layer.1.attention.attention.key.weight").unwrap();
    assert_eq!(missing.refused(), "vit.encoder.layer.1.attention.attention.query.weight");
    let mut twice = Folder::of("hf_vit_classifier");
    let query = twice.tensors["vit.encoder.layer.0.attention.attention.query.bias"].clone();
    twice.tensors.insert("vit.layers.0.attention.q_proj.bias".into(), query);
    assert!(twice.refused().contains("layer"));
    let mut uneven = Folder::of("hf_siglip_vision");
    let whole = uneven.tensors.get_mut("head.attention.in_proj_bias").unwrap();
    *whole = Tensor::new([95], vec![0.0; 95]);
    assert_eq!(uneven.refused(), "head.attention.in_proj_bias");
    let mut narrow = Folder::of("hf_vit_classifier");
    let key = narrow.tensors.get_mut("vit.encoder.layer.0.attention.attention.key.weight").unwrap();
    *key = Tensor::new([32, 16], vec![0.0; 512]);
    assert_eq!(narrow.refused(), "blocks.0.attn.qkv.weight");
}

#[test]
fn torchvisions_networks_need_no_config() {
    for case in ["tv_vit", "tv_swag"] {
        let (config, _) = load_model(&golden(case), None).unwrap();
        assert_eq!((config.embed_dim, config.depth, config.num_heads), (64, 2, 1));
        assert_eq!((config.image_size, config.patch_size, config.num_classes), ([16, 16], [4, 4], 7));
    }
    // Anything else does.
    let mut other = Folder::of("cls");
    other.config = None;
    match other.load() {
        Err(Error::File { path, why }) => {
            assert!(path.contains("config.json") && why.contains("missing"), "{why}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn shards_are_one_network() {
    let case = golden("hf_dinov2_swiglu_shards");
    let index = case.join("model.safetensors.index.json");
    let text = std::fs::read_to_string(&index).unwrap();
    assert!(text.matches("-of-0000").count() > 2, "there are several shards");
    let [(config, weights), (same, others)] = [&case, &index].map(|path| load_model(path, None).unwrap());
    assert_eq!((config, weights.read_all().unwrap()), (same, others.read_all().unwrap()));

    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(&case).unwrap().map(|entry| entry.unwrap().path()) {
        std::fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
    }
    let index = folder.path().join("model.safetensors.index.json");
    let with_index = |text: &str| {
        std::fs::write(&index, text).unwrap();
        load_model(folder.path(), None).unwrap_err().to_string()
    };
    for outside in ["../model.safetensors", "/etc/passwd", ".."] {
        let map = json!({ "weight_map": { "norm.weight": outside } });
        assert!(with_index(&map.to_string()).contains("no file beside it"));
    }
    assert!(with_index("{}").contains("weight_map"));
    assert!(with_index(&text.replace("00001-of", "00099-of")).contains("00099-of"));
}
