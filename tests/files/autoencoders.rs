//! Masked autoencoders of videos and sounds under their own names.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};
use tome_wgpu::Error;
use tome_wgpu::files::{Checkpoint, load_model, load_model_as, parse_config};
use tome_wgpu::vit::{Config, Pool, Scores, Tensor, Tensors, Weights};

use crate::golden;
use crate::layouts::Folder;

/// Tensors' shapes by their names.
type Shapes = BTreeMap<String, Vec<usize>>;

/// A safetensors file of these shapes, a hole for the numbers.
fn hollow(path: &Path, shapes: &Shapes) {
    let mut end = 0;
    let mut header = Map::new();
    for (name, shape) in shapes {
        let start = end;
        end += 2 * shape.iter().product::<usize>();
        header.insert(name.clone(), json!({ "dtype": "F16", "shape": shape, "data_offsets": [start, end] }));
    }
    let text = Value::from(header).to_string();
    std::fs::write(path, [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len((8 + text.len() + end) as u64).unwrap();
}

/// A preset's file by its own names, and what it is read as by `--arch`.
fn told(name: &str, change: impl Fn(&mut Shapes)) -> Result<(Config, Checkpoint), Error> {
    let config = Config::preset(name).unwrap();
    let mut shapes = BTreeMap::new();
    for (name, shape) in config.tensors() {
        match name.strip_suffix("attn.qkv.bias") {
            Some(block) if config.frames > 1 && !config.class_token => {
                for part in ["q_bias", "v_bias"] {
                    shapes.insert(format!("{block}attn.{part}"), vec![shape[0] / 3]);
                }
            }
            _ => _ = shapes.insert(name, shape),
        }
    }
    if config.frames > 1 && !config.class_token {
        shapes.remove("pos_embed").unwrap();
    }
    change(&mut shapes);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    hollow(&file, &shapes);
    load_model_as(&file, name)
}

/// Renames, where a name begins so, or leaves out.
fn renamed(shapes: &mut Shapes, new: impl Fn(String) -> Option<String>) {
    let all = std::mem::take(shapes);
    shapes.extend(all.into_iter().filter_map(|(name, shape)| Some((new(name)?, shape))));
}

fn unsupported<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Unsupported { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

fn wrong<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Config { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

/// `gaunernst/vit_base_patch16_1024_128.audiomae_as2m_ft_as20k` as it is on the hub.
fn audio_mae() -> Value {
    json!({
        "architecture": "vit_base_patch16_224", "num_classes": 527, "num_features": 768, "global_pool": "avg",
        "pretrained_cfg": {
            "tag": "audiomae", "custom_load": false, "input_size": [1, 1024, 128], "fixed_input_size": true,
            "num_classes": 527, "pool_size": null, "first_conv": "patch_embed.proj", "classifier": "head",
            "license": "cc-by-nc-4.0"
        },
        "model_args": { "global_pool": "avg" }
    })
}

#[test]
fn timms_audio_mae_hears_by_its_tag() {
    let config = parse_config(&audio_mae().to_string()).unwrap();
    assert_eq!((config.grid(), config.tokens(), config.in_chans), ([64, 8], 513, 1));
    assert_eq!((config.pool, config.fc_norm, config.prop_attn), (Pool::Average, true, false));
    let sound = config.sound.as_ref().unwrap();
    assert_eq!((sound.sampling_rate, sound.mean, sound.std), (16_000, -4.2677393, 4.5689974));
    assert_eq!((sound.time_first, sound.bands_and_windows(config.image_size)), (true, [128, 1024]));
    // AudioSet's classes do not exclude each other.
    assert_eq!(config.scores, Scores::Sigmoid);
    assert_eq!(config.tensors()["pos_embed"], [1, 513, 768]);
    // No other network of one channel is taken for one, nor one of three.
    for (tag, channels) in [("mae", 1), ("audio", 1), ("audiomae", 3)] {
        let mut other = audio_mae();
        other["pretrained_cfg"]["tag"] = tag.into();
        other["pretrained_cfg"]["mean"] = json!([0.5]);
        other["pretrained_cfg"]["std"] = json!([0.5]);
        other["pretrained_cfg"]["input_size"][0] = channels.into();
        assert_eq!(parse_config(&other.to_string()).unwrap().sound, None, "{tag} {channels}");
    }
    let (_, checkpoint) = load_model(&golden("audiomae"), None).unwrap();
    let [warning] = checkpoint.warnings() else { panic!("{:?}", checkpoint.warnings()) };
    assert!(warning.contains("that it hears, and how, is assumed for `audiomae`: 16000 Hz"), "{warning}");
}

#[test]
fn own_names_are_read_by_arch() {
    for (name, classes) in [("audiomae_vit_base_patch16", 527), ("videomae_vit_small_patch16_224", 400)] {
        let (config, checkpoint) = told(name, |_| {}).unwrap();
        assert_eq!(
            (config.num_classes, config.fc_norm, config.pool),
            (classes, true, Pool::Average),
            "{name}"
        );
        assert!(!config.prop_attn && checkpoint.warnings()[0].contains("is assumed: "));
        // As trained: a decoder, no classifier, and the norm before the mean.
        let (config, _) = told(name, |shapes| {
            renamed(shapes, |name| {
                Some(name.replace("fc_norm.", "norm.")).filter(|name| !name.starts_with("head."))
            });
            let video = config.frames > 1;
            if video {
                renamed(shapes, |name| Some(format!("encoder.{name}")));
                shapes.insert("encoder_to_decoder.weight".into(), vec![8, 384]);
            }
            let decoder = if video { "decoder." } else { "decoder_" };
            shapes.insert(format!("{decoder}blocks.0.norm1.weight"), vec![8]);
            shapes.insert("mask_token".into(), vec![1, 1, 8]);
        })
        .unwrap();
        assert_eq!((config.num_classes, config.fc_norm, config.final_norm), (0, false, true), "{name}");
        // A classifier of one token.
        let one = told(name, |shapes| renamed(shapes, |name| Some(name.replace("fc_norm.", "norm."))));
        assert_eq!(unsupported(one), if config.frames > 1 { "use_mean_pooling" } else { "global_pool" });
    }
    // Positions of 512 windows, 32 x 8 patches, and not 16 x 16.
    let short = told("audiomae_vit_base_patch16", |shapes| {
        shapes.insert("pos_embed".into(), vec![1, 257, 768]);
    });
    assert!(matches!(&short, Err(Error::Weight { name, .. }) if name == "pos_embed"), "{short:?}");
    // Positions that were learned are those of the file.
    let (_, checkpoint) = told("videomae_vit_small_patch16_224", |shapes| {
        shapes.insert("pos_embed".into(), vec![1, 1568, 384]);
    })
    .unwrap();
    assert!(checkpoint.tensor("pos_embed").unwrap().data.to_f32().iter().all(|&value| value == 0.0));
    let sound = told("audiomae_vit_base_patch16", |_| {}).unwrap().0.sound.unwrap();
    assert_eq!(sound.source, "assumed for `audiomae_vit_base_patch16`");
}

#[test]
fn positions_in_space_and_time_are_added() {
    let name = "mae_st_vit_base_patch16_224";
    let apart = |shapes: &mut Shapes| {
        shapes.remove("pos_embed").unwrap();
        shapes.insert("pos_embed_spatial".into(), vec![1, 196, 768]);
        shapes.insert("pos_embed_temporal".into(), vec![1, 8, 768]);
        shapes.insert("pos_embed_class".into(), vec![1, 1, 768]);
        renamed(shapes, |name| Some(name.replace("fc_norm.", "norm.")));
    };
    let (config, checkpoint) = told(name, apart).unwrap();
    assert_eq!((config.tokens(), config.num_classes, config.fc_norm), (1569, 400, true));
    assert_eq!(checkpoint.shape("pos_embed").unwrap(), [1, 1569, 768]);
    // Either name of a classifier, and one table of positions.
    let whole = |shapes: &mut Shapes| {
        renamed(shapes, |name| Some(name.replace("fc_norm.", "norm.").replace("head.", "head.projection.")));
    };
    assert_eq!(told(name, whole).unwrap().0.num_classes, 400);
    let error = |change: &dyn Fn(&mut Shapes)| {
        let changed = told(name, |shapes| {
            apart(shapes);
            change(shapes);
        });
        match changed {
            Err(Error::Weight { name, .. }) => name,
            other => panic!("{other:?}"),
        }
    };
    for part in ["pos_embed_spatial", "pos_embed_temporal", "pos_embed_class"] {
        assert_eq!(error(&|shapes| _ = shapes.remove(part)), part);
        assert_eq!(error(&|shapes| shapes.get_mut(part).unwrap()[2] = 7), part);
    }
    assert_eq!(error(&|shapes| shapes.get_mut("pos_embed_temporal").unwrap()[1] = 16), "pos_embed_temporal");
    // More than anybody has, of a file that could hold them.
    assert_eq!(
        error(&|shapes| shapes.get_mut("pos_embed_spatial").unwrap()[1] = 1 << 20),
        "pos_embed_spatial"
    );
    // Its classifier leaves the first token out, whatever that is.
    let no_token = told(name, |shapes| {
        apart(shapes);
        shapes.remove("cls_token");
        shapes.remove("pos_embed_class");
    });
    assert_eq!(unsupported(no_token), "cls_embed");
    // Without a classifier the mean is that of all patches.
    let (config, _) = told(name, |shapes| {
        apart(shapes);
        renamed(shapes, |name| Some(name).filter(|name| !name.starts_with("head.")));
        shapes.remove("cls_token");
        shapes.remove("pos_embed_class");
    })
    .unwrap();
    assert_eq!((config.class_token, config.fc_norm, config.tokens()), (false, false, 1568));
}

/// `OpenGVLab/VideoMAEv2-Base` as it is on the hub, with arguments set otherwise.
fn video_mae_2(more: Value) -> Result<Config, Error> {
    let mut args = json!({
        "img_size": 224, "patch_size": 16, "in_chans": 3, "num_classes": 0, "embed_dim": 768, "depth": 12, "num_heads": 12,
        "mlp_ratio": 4, "qkv_bias": true, "qk_scale": null, "drop_rate": 0.0, "attn_drop_rate": 0.0, "drop_path_rate": 0.0,
        "norm_layer": "nn.LayerNorm", "layer_norm_eps": 1e-6, "init_values": 0.0, "use_learnable_pos_emb": false,
        "tubelet_size": 2, "use_mean_pooling": true, "with_cp": false, "num_frames": 16, "cos_attn": false
    });
    args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let config = json!({
        "_name_or_path": "./", "model_type": "VideoMAEv2_Base", "architectures": ["VideoMAEv2_Base"],
        "auto_map": { "AutoModel": "modeling_videomaev2.VideoMAEv2", "AutoConfig": "modeling_config.VideoMAEv2Config" },
        "model_config": args, "transformers_version": "4.38.0", "use_cache": true,
        "id2label": { "0": "a", "1": "b" }
    });
    parse_config(&config.to_string())
}

#[test]
fn video_mae_2_of_the_hub_says_what_it_is() {
    let config = video_mae_2(json!({})).unwrap();
    assert_eq!((config.tokens(), config.frames, config.patch_frames, config.num_classes), (1568, 16, 2, 0));
    assert_eq!(
        (config.pool, config.fc_norm, config.layer_scale, config.scores),
        (Pool::Average, true, false, Scores::None)
    );
    assert_eq!((config.norm_eps, config.prop_attn, config.labels.len()), (1e-6, false, 0));
    assert_eq!(config.tensors()["patch_embed.proj.weight"], [768, 3, 2, 16, 16]);
    let giant = json!({ "patch_size": 14, "embed_dim": 1408, "depth": 40, "num_heads": 16, "mlp_ratio": 48.0 / 11.0 });
    let giant = video_mae_2(giant).unwrap();
    assert_eq!((giant.mlp_hidden, giant.tokens(), giant.head_width()), (6144, 2048, 88));
    let two = video_mae_2(json!({ "num_classes": 2, "init_values": 1e-4 })).unwrap();
    assert_eq!(
        (&two.labels[..], two.scores, two.layer_scale),
        (&["a".into(), "b".into()][..], Scores::Softmax, true)
    );

    for (more, field) in [
        (json!({ "cos_attn": true }), "cos_attn"),
        (json!({ "use_mean_pooling": false }), "use_mean_pooling"),
        (json!({ "norm_layer": "nn.RMSNorm" }), "norm_layer"),
        (json!({ "qk_scale": 0.1 }), "qk_scale"),
        (json!({ "rope": true }), "rope"),
    ] {
        assert_eq!(unsupported(video_mae_2(more)), field);
    }
    for field in ["embed_dim", "depth", "num_heads", "mlp_ratio", "qkv_bias", "layer_norm_eps", "num_classes"]
    {
        assert_eq!(wrong(video_mae_2(json!({ field: null }))), field);
    }
    assert_eq!(wrong(video_mae_2(json!({ "num_classes": 3 }))), "id2label");
    assert_eq!(wrong(video_mae_2(json!({ "num_heads": 5 }))), "embed_dim");
    assert_eq!(wrong(parse_config(r#"{"model_type": "VideoMAEv2_Base"}"#)), "model_config");
}

#[test]
fn video_mae_2_has_what_its_config_says() {
    // A norm of the autoencoder in the place of the one that its code has.
    let norm = Folder::of("videomae2").renamed(&[("fc_norm.", "norm.")]);
    assert_eq!(norm.refused(), "fc_norm.bias");
    let mut learned = Folder::of("videomae2");
    learned.config.as_mut().unwrap()["model_config"]["use_learnable_pos_emb"] = true.into();
    assert_eq!(learned.refused(), "pos_embed");
    let places: Vec<f32> = (0..27 * 32).map(|place| place as f32).collect();
    learned.tensors.insert("model.pos_embed".into(), Tensor::new([1, 27, 32], places.clone()));
    let (_, weights): (_, Weights) = learned.load().unwrap();
    assert_eq!(weights.get("pos_embed").unwrap().data.to_f32(), places);
}
