use serde_json::{Value, json};
use tome_wgpu::Error;
use tome_wgpu::files::parse_config;
use tome_wgpu::kernels::matmul::Activation;
use tome_wgpu::vit::{Angles, Config, Coordinates, Mlp, Pool, Resample, Rotary};

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
    assert_eq!(config.with(|c| c.preprocess = preset.preprocess.clone()), preset);
}

#[test]
fn what_an_architecture_says_holds_until_it_is_taken_back() {
    let dinov2 = |args: Value| {
        parse(json!({ "architecture": "vit_giant_patch14_dinov2", "model_args": args })).unwrap()
    };
    let plain = dinov2(json!({}));
    assert_eq!((plain.mlp, plain.mlp_hidden, plain.activation), (Mlp::GateFirst, 4096, Activation::Silu));
    assert!(plain.layer_scale && plain.num_classes == 0);
    assert!(!dinov2(json!({ "init_values": null })).layer_scale);
    // The architecture's ratio, 5.33334, holds for another width.
    assert_eq!(dinov2(json!({ "embed_dim": 48, "num_heads": 2 })).mlp_hidden, 128);
    let gap = |args: Value| {
        parse(json!({ "architecture": "vit_base_patch16_siglip_gap_224", "model_args": args })).unwrap()
    };
    assert_eq!((gap(json!({})).pool, gap(json!({})).fc_norm), (Pool::Average, false));
    assert!(gap(json!({ "fc_norm": null })).fc_norm, "null follows from the pooling");
}

#[test]
fn attention_does_not_count_sizes_in_masked_autoencoders() {
    let counts = |value: Value| parse(value).unwrap().prop_attn;
    assert!(counts(json!({ "architecture": "vit_base_patch16_224.augreg_in1k" })));
    assert!(!counts(json!({ "architecture": "vit_base_patch16_224.mae" })));
    assert!(!counts(json!({ "architecture": "vit_base_patch16_224", "pretrained_cfg": { "tag": "mae" } })));
    assert!(counts(json!({ "model_type": "vit" })));
    assert!(!counts(json!({ "model_type": "vit_mae" })));
}

#[test]
fn every_preset_is_a_network() {
    for name in Config::PRESETS {
        let config = Config::preset(name).unwrap();
        config.check().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(config.name, name);
        assert_eq!(Config::PRESETS.iter().filter(|other| **other == name).count(), 1, "{name} twice");
    }
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
    assert_eq!((config.activation, config.norm_eps), (Activation::QuickGelu, 1e-5));
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
        (json!({ "mlp_layer": "ConvMlp" }), "mlp_layer"),
        (json!({ "norm_layer": "groupnorm" }), "norm_layer"),
        (json!({ "embed_norm_layer": "rmsnorm" }), "embed_norm_layer"),
        (json!({ "block_fn": "DiffParallelScalingBlock" }), "block_fn"),
        (json!({ "global_pool": "" }), "global_pool"),
        (json!({ "act_layer": "mish" }), "act_layer"),
        (json!({ "pos_embed": "none" }), "pos_embed"),
        (json!({ "flux_capacitor": 1.21 }), "flux_capacitor"),
    ] {
        match with_args(args.clone()) {
            Err(Error::Unsupported { field: named, .. }) => assert_eq!(named, field),
            other => panic!("{args}: {other:?}"),
        }
    }
    for (config, field) in [
        (json!({ "architecture": "vit_small_patch16_18x2_224" }), "architecture"),
        (json!({ "architecture": "resnet50" }), "architecture"),
        (json!({ "architecture": "vit_tiny_patch16_224", "global_pool": "avgmax" }), "global_pool"),
        (
            json!({ "architecture": "vit_tiny_patch16_224", "pretrained_cfg": { "interpolation": "nearest" } }),
            "interpolation",
        ),
        (
            json!({ "architecture": "vit_tiny_patch16_224", "pretrained_cfg": { "crop_mode": "border" } }),
            "crop_mode",
        ),
    ] {
        match parse(config.clone()) {
            Err(Error::Unsupported { field: named, .. }) => assert_eq!(named, field),
            other => panic!("{config}: {other:?}"),
        }
    }
}

/// A config of timm's `Eva` with other `model_args`.
fn eva(architecture: &str, args: Value) -> Result<Config, Error> {
    parse(json!({ "architecture": architecture, "model_args": args }))
}

#[test]
fn eva_is_read_as_it_is_published() {
    // timm/vit_small_patch16_dinov3.lvd1689m, but for its words.
    let config = parse(json!({
        "architecture": "vit_small_patch16_dinov3", "num_classes": 0, "num_features": 384, "global_pool": "avg",
        "pretrained_cfg": {
            "tag": "lvd1689m", "custom_load": false, "input_size": [3, 256, 256], "fixed_input_size": true,
            "interpolation": "bicubic", "crop_pct": 1.0, "crop_mode": "center", "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225], "num_classes": 0, "pool_size": null, "first_conv": "patch_embed.proj",
            "classifier": "head", "license": "dinov3-license"
        }
    }))
    .unwrap();
    let preset = Config::preset("vit_small_patch16_dinov3").unwrap();
    assert_eq!(config.clone().with(|c| c.preprocess.source = preset.preprocess.source.clone()), preset);
    assert_eq!((config.pool, config.fc_norm, config.tokens()), (Pool::Average, false, 5 + 256));

    let eva02 = eva("eva02_large_patch14_448.mim_m38m_ft_in22k_in1k", json!({ "img_size": 448 })).unwrap();
    assert_eq!((eva02.mlp, eva02.mlp_hidden, eva02.mlp_norm), (Mlp::GateApart, 2730, true));
    let Some(Rotary { coordinates: Coordinates::Numbers { reference, .. }, .. }) = eva02.rotary else {
        panic!("{:?}", eva02.rotary)
    };
    assert_eq!((reference, eva02.grid()), (Some([16; 2]), [32; 2]));
}

#[test]
fn everything_of_eva_can_be_overridden() {
    let config = eva(
        "eva02_base_patch14_224",
        json!({
            "embed_dim": 64, "num_heads": 4, "depth": 3, "mlp_ratio": 2.7, "swiglu_align_to": 8, "scale_mlp": false,
            "qkv_fused": true, "use_abs_pos_emb": false, "num_reg_tokens": 2, "no_embed_class": true,
            "rope_type": "cat", "rope_temperature": 50.0, "rope_grid_offset": 1.0, "rope_grid_indexing": "xy",
            "rope_rotate_half": true, "ref_feat_shape": [7, 9], "init_values": 0.0, "use_fc_norm": false,
            "use_pre_transformer_norm": true, "drop_path_rate": 0.1, "rope_shift_coords": 0.2, "attn_type": "eva",
            "num_kv_heads": [4, 2, 1], "attn_only_layer_scale": true, "use_post_norm": false
        }),
    )
    .unwrap();
    assert_eq!((config.mlp, config.mlp_hidden), (Mlp::GateApart, 176), "int(64 * 2.7) is 172");
    assert_eq!((config.kv_heads.as_slice(), config.layer_scale), (&[4, 2, 1][..], true));
    assert!(config.attn_only_layer_scale && config.pre_norm && !config.pos_embed && !config.mlp_norm);
    assert_eq!((config.pool, config.fc_norm, config.final_norm), (Pool::Average, false, true));
    let rotary = config.rotary.unwrap();
    assert_eq!(rotary.coordinates, Coordinates::Numbers { first: 1.0, reference: Some([7, 9]) });
    assert_eq!((rotary.angles, rotary.halves), (Angles::Powers { theta: 50.0 }, true));
    assert!(rotary.columns_first);
    assert_eq!(eva("eva02_base_patch14_224", json!({ "use_rot_pos_emb": false })).unwrap().rotary, None);
    let mixed = eva("vit_base_patch16_rope_224", json!({ "rope_type": "mixed" })).unwrap();
    assert_eq!(mixed.tensors()["rope.freqs"], [2, 12, 12, 32]);
}

#[test]
fn what_eva_has_and_is_not_supported_is_refused_by_name() {
    for (args, field) in [
        (json!({ "rope_type": "mrope" }), "rope_type"),
        (json!({ "rope_grid_indexing": "yx" }), "rope_grid_indexing"),
        (json!({ "rope_type": "dinov3", "rope_grid_offset": 0.5 }), "rope_grid_offset"),
        (json!({ "use_fc_norm": true, "use_post_transformer_norm": true }), "use_post_transformer_norm"),
        (json!({ "global_pool": "max" }), "global_pool"),
        (json!({ "global_pool": "map", "attn_pool_num_heads": 2 }), "embed_dim / attn_pool_num_heads"),
        (json!({ "dynamic_img_pad": true }), "dynamic_img_pad"),
        (json!({ "reg_tokens": 4 }), "reg_tokens"),
    ] {
        match eva("eva02_base_patch14_224", args.clone()) {
            Err(Error::Unsupported { field: named, .. }) => assert_eq!(named, field),
            other => panic!("{args}: {other:?}"),
        }
    }
    for (args, field) in [
        (json!({ "num_kv_heads": [12] }), "num_kv_heads"),
        (json!({ "num_kv_heads": 5 }), "num_kv_heads"),
        (json!({ "num_kv_heads": "few" }), "num_kv_heads"),
        (json!({ "ref_feat_shape": [0, 4] }), "ref_feat_shape"),
        (json!({ "rope_temperature": 0 }), "rope_theta"),
    ] {
        match eva("eva02_base_patch14_224", args.clone()) {
            Err(Error::Config { field: named, .. }) => assert_eq!(named, field, "{args}"),
            other => panic!("{args}: {other:?}"),
        }
    }
}

#[test]
fn nothing_is_made_in_the_number_of_an_absurd_config() {
    let absurd = [
        json!({ "num_classes": u32::MAX, "label_names": {} }),
        json!({ "pretrained_cfg": { "input_size": [u32::MAX, 224, 224], "mean": [0.5], "std": [0.5] } }),
        json!({ "model_args": { "img_size": 32768, "patch_size": 1, "in_chans": 1 },
            "pretrained_cfg": { "mean": [0.5], "std": [0.5] } }),
    ];
    for mut config in absurd {
        config["architecture"] = "vit_tiny_patch16_224".into();
        assert!(matches!(parse(config.clone()), Err(Error::Config { .. })), "{config}");
    }
    let transformers = json!({ "model_type": "vit", "num_channels": u32::MAX });
    assert!(matches!(parse(transformers), Err(Error::Config { .. })));
}
