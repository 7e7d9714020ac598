//! BEiT, data2vec and timm's ViTs with a relative position bias: their configs and their names.

use serde_json::{Value, json};
use tome_wgpu::Error;
use tome_wgpu::files::{load_model, parse_config};
use tome_wgpu::vit::{BiasSource, Config, Mlp, Pool, Relative, TableResample, Tensor, Weights};

use crate::layouts::Folder;

fn parse(value: Value) -> Result<Config, Error> {
    parse_config(&value.to_string())
}

/// A bias of the blocks' own, or one that they share.
fn relative(source: BiasSource, shared: bool) -> Option<Relative> {
    Some(Relative::new(source, shared))
}

#[test]
fn published_configs_of_timm_are_read() {
    // timm/beitv2_large_patch16_224.in1k_ft_in22k, but for its words.
    let beit = parse(json!({
        "architecture": "beitv2_large_patch16_224", "num_classes": 21841, "num_features": 1024, "global_pool": "avg",
        "pretrained_cfg": {
            "tag": "in1k_ft_in22k", "input_size": [3, 224, 224], "fixed_input_size": true, "interpolation": "bicubic",
            "crop_pct": 0.95, "crop_mode": "center", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
            "num_classes": 21841, "pool_size": null, "first_conv": "patch_embed.proj", "classifier": "head"
        }
    }))
    .unwrap();
    assert_eq!(beit.relative, relative(BiasSource::Table(TableResample::Progression), false));
    assert_eq!(
        (beit.pos_embed, beit.layer_scale, beit.fc_norm, beit.num_classes),
        (false, true, true, 21841)
    );
    assert_eq!(beit.tensors()["blocks.23.attn.relative_position_bias_table"], [27 * 27 + 3, 16]);

    let shared = parse(json!({ "architecture": "vit_srelpos_medium_patch16_224.sw_in1k" })).unwrap();
    assert_eq!(shared.relative, relative(BiasSource::Mlp { hidden: 512 }, true));
    assert_eq!((shared.class_token, shared.fc_norm, shared.qkv_bias), (false, false, false));
    assert_eq!(shared.tensors()["shared_rel_pos.mlp.fc1.weight"], [512, 2]);
    assert!(!shared.tensors().keys().any(|name| name.contains("attn.rel_pos")));
}

#[test]
fn everything_of_timms_can_be_overridden() {
    let with = |architecture: &str, args: Value| {
        parse(json!({ "architecture": architecture, "model_args": args })).unwrap()
    };
    let beit = with(
        "beit_base_patch16_224",
        json!({
            "use_abs_pos_emb": true, "use_rel_pos_bias": false, "use_shared_rel_pos_bias": true, "init_values": null,
            "global_pool": "token", "swiglu_mlp": true, "scale_mlp": true, "mlp_ratio": 2.5, "img_size": [96, 160],
            "drop_path_rate": 0.1, "head_init_scale": 0.5, "use_fc_norm": true
        }),
    );
    assert_eq!(beit.relative, relative(BiasSource::Table(TableResample::Progression), true));
    assert_eq!((beit.mlp, beit.mlp_hidden, beit.mlp_norm), (Mlp::GateApart, 1920, true));
    assert_eq!((beit.pool, beit.fc_norm, beit.layer_scale, beit.pos_embed), (Pool::Token, true, false, true));
    assert_eq!(beit.tensors()["rel_pos_bias.relative_position_bias_table"], [11 * 19 + 3, 12]);
    let plain = with("beit_base_patch16_224", json!({ "use_rel_pos_bias": false, "use_abs_pos_emb": true }));
    assert_eq!(plain.relative, None);

    let table =
        with("vit_relpos_small_patch16_224", json!({ "rel_pos_type": "bias", "shared_rel_pos": true }));
    assert_eq!(table.relative, relative(BiasSource::Table(TableResample::Progression), true));
    assert_eq!(table.tensors()["rel_pos_bias.relative_position_bias_table"], [27 * 27, 6]);
    let behind = with("vit_relpos_small_patch16_rpn_224", json!({ "init_values": 1e-6, "rel_pos_dim": 64 }));
    assert_eq!(
        (behind.layer_scale, behind.relative),
        (false, relative(BiasSource::Mlp { hidden: 64 }, false))
    );
}

/// The configs on the hub, shortened to what says something: `microsoft/beit-base-patch16-224`,
/// `facebook/data2vec-vision-base-ft1k`.
#[test]
fn published_configs_of_transformers_are_read() {
    let even = BiasSource::Table(TableResample::Even);
    let beit = parse(json!({
        "architectures": ["BeitForImageClassification"], "model_type": "beit", "num_labels": 21841,
        "layer_norm_eps": 1e-12, "layer_scale_init_value": 0.1, "use_absolute_position_embeddings": false,
        "use_mask_token": false, "use_mean_pooling": true, "use_relative_position_bias": true,
        "use_shared_relative_position_bias": false, "vocab_size": 8192, "pool_scales": [1, 2, 3, 6]
    }))
    .unwrap();
    assert_eq!((beit.relative, beit.pool, beit.fc_norm), (relative(even, false), Pool::Average, true));
    assert_eq!((beit.pos_embed, beit.layer_scale, beit.norm_eps), (false, true, 1e-12));
    let data2vec = parse(json!({
        "architectures": ["Data2VecVisionModel"], "model_type": "data2vec-vision", "layer_scale_init_value": 0.0,
        "use_mean_pooling": false, "use_relative_position_bias": true, "use_shared_relative_position_bias": true
    }))
    .unwrap();
    let relative = data2vec.relative.unwrap();
    assert_eq!((relative.of_blocks, relative.shared, relative.source), (true, true, even));
    assert_eq!((data2vec.pool, data2vec.layer_scale, data2vec.num_classes), (Pool::Token, false, 0));
    let bare = parse(json!({ "model_type": "beit", "use_absolute_position_embeddings": true })).unwrap();
    assert_eq!((bare.relative, bare.pos_embed), (None, true));
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let relpos = |args: Value| json!({ "architecture": "vit_relpos_base_patch16_224", "model_args": args });
    for (config, field) in [
        (relpos(json!({ "rel_pos_type": "mlp-swin" })), "rel_pos_type"),
        (relpos(json!({ "act_layer": "relu" })), "act_layer"),
        (json!({ "architecture": "beit_base_patch16_224", "model_args": { "reg_tokens": 4 } }), "reg_tokens"),
        (
            json!({ "model_type": "beit", "use_relative_position_bias": true, "image_size": [64, 96] }),
            "image_size",
        ),
        (json!({ "model_type": "beit", "architectures": ["BeitForSemanticSegmentation"] }), "architectures"),
    ] {
        match parse(config.clone()) {
            Err(Error::Unsupported { field: named, .. }) => assert_eq!(named, field),
            other => panic!("{config}: {other:?}"),
        }
    }
    for (args, field) in [
        (json!({ "rel_pos_dim": 100_000 }), "rel_pos_dim"),
        // Tables of every block, and what it takes to make them.
        (json!({ "img_size": 1024, "depth": 4096 }), "patch_size"),
        (json!({ "img_size": 1024, "depth": 4096, "rel_pos_type": "bias" }), "patch_size"),
    ] {
        match parse(relpos(args.clone())) {
            Err(Error::Config { field: named, .. }) => assert_eq!(named, field, "{args}"),
            other => panic!("{args}: {other:?}"),
        }
    }
}

#[test]
fn what_is_missing_is_named_as_the_file_has_it() {
    for name in ["attention.output.dense.weight", "layernorm_before.weight"] {
        let mut folder = Folder::of("hf_beit_classifier");
        let found = folder.tensors.keys().find(|key| key.ends_with(name)).unwrap().clone();
        folder.tensors.remove(&found).unwrap();
        let named = folder.refused();
        assert!(named.ends_with(name) && found.ends_with(&named), "{named}");
    }
}

/// Where it stood before transformers 5, or is called in memory, and with the index that older checkpoints keep.
#[test]
fn other_names_of_the_same_are_read() {
    let hub = Folder::of("hf_data2vec").load().unwrap();
    let mut memory = Folder::of("hf_data2vec").renamed(&[
        ("encoder.layer.", "layers."),
        ("encoder.relative_position_bias.", "shared_position_bias."),
        ("attention.attention.relative_position_bias.", "relative_position_bias."),
        ("attention.attention.query.", "attention.q_proj."),
        ("attention.attention.key.", "attention.k_proj."),
        ("attention.attention.value.", "attention.v_proj."),
        ("attention.output.dense.", "attention.o_proj."),
        ("intermediate.dense.", "mlp.fc1."),
        (".output.dense.", ".mlp.fc2."),
    ]);
    for place in ["layers.0.relative_position_bias.", "shared_position_bias."] {
        let name = format!("data2vec_vision.{place}relative_position_index");
        memory.tensors.insert(name, Tensor::new([26, 26], vec![0.0; 26 * 26]));
    }
    assert_eq!(memory.load().unwrap(), hub);
}

/// timm resamples a table of another, square grid when it loads.
#[test]
fn tables_of_another_square_grid_are_resampled() {
    let mut folder = Folder::of("beit");
    let args = json!({ "img_size": [28, 20] });
    folder.config = folder.config.map(|mut config| {
        config["model_args"].as_object_mut().unwrap().extend(args.as_object().unwrap().clone());
        config
    });
    let (config, weights) = folder.load().unwrap();
    assert_eq!(config.grid(), [7, 5]);

    let (mut config, mut want) = Folder::of("beit").load().unwrap();
    want.resample_positions(&mut config, [28, 20]).unwrap();
    assert_eq!(weights, want);

    // As many displacements as 5 x 13 have those of 8 x 8.
    let mut wide = Folder::of("beit");
    wide.config = wide.config.map(|mut config| {
        config["model_args"]["img_size"] = json!([20, 52]);
        config
    });
    let square = Tensor::new([228, 2], (0..456).map(|i| i as f32).collect::<Vec<_>>());
    for block in 0..2 {
        wide.tensors.insert(format!("blocks.{block}.attn.relative_position_bias_table"), square.clone());
    }
    let (config, weights) = wide.load().unwrap();
    assert_eq!(config.grid(), [5, 13]);
    let table = weights.get("blocks.0.attn.relative_position_bias_table").unwrap();
    assert!(table.shape == square.shape && *table != square);

    // One that is of no square grid stays what it is, and is refused.
    let name = "blocks.1.attn.relative_position_bias_table";
    folder.tensors.insert(name.into(), Tensor::new([90, 2], vec![0.0; 180]));
    assert_eq!(folder.refused(), name);
}

/// What comes without a pooler says so.
#[test]
fn a_model_without_its_pooler_is_pooled_without_its_norm() {
    for (case, normed, said) in [
        ("hf_data2vec_smaller", false, "behind the last block"),
        ("hf_beit_pretraining", true, "behind the last norm"),
    ] {
        let (config, checkpoint) = load_model(&crate::golden(case), None).unwrap();
        assert_eq!((config.pool, config.fc_norm, config.final_norm), (Pool::Average, false, normed));
        let warnings = checkpoint.warnings();
        assert!(warnings.iter().any(|warning| warning.contains(said)), "{warnings:?}");
    }
}

#[test]
fn random_weights_are_those_of_the_network() {
    for name in ["beit_base_patch16_224", "vit_relpos_base_patch16_cls_224"] {
        let config = Config::preset(name).unwrap().with(|config| config.depth = 1);
        let weights = Weights::random(&config, 1);
        assert_eq!(weights.iter().count(), config.tensors().len());
    }
}
