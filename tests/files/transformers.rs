//! Configs of transformers; the golden cases `hf_*` hold those that the library writes.

use serde_json::{Value, json};
use tome_wgpu::Error;
use tome_wgpu::files::parse_config;
use tome_wgpu::kernels::NormKind;
use tome_wgpu::kernels::matmul::Activation;
use tome_wgpu::vit::{Angles, Config, Coordinates, Mlp, Pool, PositionResample, Resample, Resize, Scores};

fn parse(value: Value) -> Result<Config, Error> {
    parse_config(&value.to_string())
}

#[test]
fn defaults_are_transformers() {
    let of = |model_type: &str| parse(json!({ "model_type": model_type })).unwrap();
    for (model_type, patch, eps, activation) in [
        ("vit", 16, 1e-12, Activation::Gelu),
        ("deit", 16, 1e-12, Activation::Gelu),
        ("vit_mae", 16, 1e-12, Activation::Gelu),
        ("dinov2", 14, 1e-6, Activation::Gelu),
        ("dinov2_with_registers", 16, 1e-6, Activation::Gelu),
        ("clip_vision_model", 32, 1e-5, Activation::QuickGelu),
        ("siglip_vision_model", 16, 1e-6, Activation::GeluTanh),
        ("clip", 32, 1e-5, Activation::QuickGelu),
    ] {
        let config = of(model_type);
        assert_eq!((config.patch_size, config.norm_eps), ([patch; 2], eps), "{model_type}");
        assert_eq!(config.activation, activation, "{model_type}");
        assert_eq!((config.embed_dim, config.depth, config.num_heads), (768, 12, 12), "{model_type}");
        assert_eq!((config.mlp_hidden, config.image_size, config.num_classes), (3072, [224; 2], 0));
        let antialias = model_type == "dinov2_with_registers";
        assert_eq!(
            config.position_resample,
            PositionResample { antialias, ..PositionResample::BICUBIC },
            "{model_type}"
        );
    }
    assert!(of("deit").dist_token && of("deit").pool == Pool::Token);
    assert_eq!(
        (of("dinov2_with_registers").reg_tokens, of("siglip_vision_model").pool),
        (4, Pool::Attention)
    );
    assert!(of("clip").pre_norm && !of("siglip_vision_model").class_token && of("dinov2").layer_scale);
    let (vit, clip) = (of("vit").preprocess, of("clip").preprocess);
    assert_eq!((vit.resize, vit.resample, vit.mean[0]), (Resize::Squash, Resample::Bilinear, 0.5));
    assert_eq!((clip.resize, clip.resample, clip.mean[0]), (Resize::Shortest, Resample::Bicubic, 0.48145466));
}

#[test]
fn the_class_says_what_follows_the_encoder() {
    let of = |class: &str, model_type: &str| {
        let names = json!({ "0": "cat", "1": "dog", "10": "k", "2": "c", "3": "d", "4": "e", "5": "f", "6": "g",
                            "7": "h", "8": "i", "9": "j" });
        parse(json!({ "model_type": model_type, "architectures": [class], "id2label": names,
                      "projection_dim": 640 }))
        .unwrap()
    };
    let vit = of("ViTForImageClassification", "vit");
    assert_eq!((vit.num_classes, vit.labels[1].as_str(), vit.labels[10].as_str()), (11, "dog", "k"));
    assert_eq!((of("ViTModel", "vit").num_classes, of("ViTModel", "vit").labels.len()), (0, 0));
    assert_eq!(of("DeiTForImageClassification", "deit").pool, Pool::Token);
    assert_eq!(of("DeiTForImageClassificationWithTeacher", "deit").pool, Pool::Distilled);
    assert_eq!(of("Dinov2ForImageClassification", "dinov2").pool, Pool::TokenAndAverage);
    assert_eq!(of("CLIPModel", "clip").num_classes, 640);
    assert_eq!(of("CLIPVisionModelWithProjection", "clip_vision_model").num_classes, 640);
    assert_eq!(of("CLIPVisionModel", "clip_vision_model").num_classes, 0);
    let siglip = of("SiglipForImageClassification", "siglip");
    assert_eq!((siglip.pool, siglip.num_classes), (Pool::Average, 11));
    assert_eq!(of("SiglipModel", "siglip").pool, Pool::Attention);
}

#[test]
fn the_tower_within_says_its_own() {
    let config = parse(json!({
        "model_type": "clip", "architectures": ["CLIPModel"], "projection_dim": 768, "hidden_size": 1,
        "vision_config": { "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
                           "intermediate_size": 4096, "patch_size": 14, "projection_dim": 1 }
    }))
    .unwrap();
    assert_eq!((config.embed_dim, config.depth, config.patch_size), (1024, 24, [14; 2]));
    assert_eq!(config.num_classes, 768);
}

#[test]
fn the_gated_mlps_width_is_dinov2s() {
    let config = parse(json!({
        "model_type": "dinov2", "use_swiglu_ffn": true, "hidden_size": 1536, "num_attention_heads": 24, "mlp_ratio": 4
    }))
    .unwrap();
    assert_eq!((config.mlp, config.mlp_hidden, config.activation), (Mlp::GateFirst, 4096, Activation::Silu));
}

#[test]
fn dinov3_is_read_as_it_is_published() {
    // facebook/dinov3-*-pretrain-lvd1689m, but for what differs.
    let published = |changes: Value| {
        let mut config = json!({
            "architectures": ["DINOv3ViTModel"], "attention_dropout": 0.0, "drop_path_rate": 0.0, "hidden_act": "gelu",
            "hidden_size": 384, "image_size": 224, "initializer_range": 0.02, "intermediate_size": 1536,
            "key_bias": false, "layer_norm_eps": 1e-05, "layerscale_value": 1.0, "mlp_bias": true,
            "model_type": "dinov3_vit", "num_attention_heads": 6, "num_channels": 3, "num_hidden_layers": 12,
            "num_register_tokens": 4, "patch_size": 16, "pos_embed_jitter": null, "pos_embed_rescale": 2.0,
            "pos_embed_shift": null, "proj_bias": true, "query_bias": true, "rope_theta": 100.0,
            "torch_dtype": "float32", "transformers_version": "4.56.0", "use_gated_mlp": false, "value_bias": true
        });
        config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        parse(config).unwrap()
    };
    let small = published(json!({}));
    let rotary = small.rotary.expect("rotary positions");
    assert_eq!((rotary.coordinates, rotary.angles), (Coordinates::Centres, Angles::Powers { theta: 100.0 }));
    assert!(
        rotary.halves && !rotary.columns_first && !small.pos_embed && small.layer_scale && small.qkv_bias
    );
    assert_eq!((small.reg_tokens, small.tokens(), small.norm_eps, small.pool), (4, 201, 1e-5, Pool::Token));
    assert_eq!(
        (small.mlp, small.preprocess.resize, small.preprocess.mean[0]),
        (Mlp::Plain, Resize::Squash, 0.485)
    );
    for (changes, width, depth, hidden, mlp, biased) in [
        (json!({ "hidden_act": "silu", "use_gated_mlp": true }), 384, 12, 1536, Mlp::GateFirst, true),
        (
            json!({ "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072 }),
            768,
            12,
            3072,
            Mlp::Plain,
            true,
        ),
        (
            json!({ "hidden_size": 1024, "num_attention_heads": 16, "intermediate_size": 4096, "num_hidden_layers": 24 }),
            1024,
            24,
            4096,
            Mlp::Plain,
            true,
        ),
        (
            json!({ "hidden_size": 1280, "num_attention_heads": 20, "intermediate_size": 5120, "num_hidden_layers": 32,
                    "hidden_act": "silu", "use_gated_mlp": true }),
            1280,
            32,
            5120,
            Mlp::GateFirst,
            true,
        ),
        (
            json!({ "hidden_size": 4096, "num_attention_heads": 32, "intermediate_size": 8192, "num_hidden_layers": 40,
                    "hidden_act": "silu", "use_gated_mlp": true, "query_bias": false, "value_bias": false }),
            4096,
            40,
            8192,
            Mlp::GateFirst,
            false,
        ),
    ] {
        let config = published(changes);
        assert_eq!((config.embed_dim, config.depth, config.mlp_hidden), (width, depth, hidden));
        assert_eq!((config.mlp, config.qkv_bias), (mlp, biased));
    }
}

#[test]
fn published_configs_of_other_families_are_read() {
    // facebook/vit-msn-small, facebook/ijepa_vith14_1k, apple/aimv2-large-patch14-224.
    let msn = parse(json!({
        "architectures": ["ViTMSNModel"], "attention_probs_dropout_prob": 0.0, "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0, "hidden_size": 384, "image_size": 224, "initializer_range": 0.02,
        "intermediate_size": 1536, "layer_norm_eps": 1e-06, "model_type": "vit_msn", "num_attention_heads": 6,
        "num_channels": 3, "num_hidden_layers": 12, "patch_size": 16, "qkv_bias": true, "torch_dtype": "float32"
    }))
    .unwrap();
    assert_eq!((msn.embed_dim, msn.pool, msn.norm_eps, msn.tokens()), (384, Pool::Token, 1e-6, 197));
    let ijepa = parse(json!({
        "architectures": ["IJepaModel"], "attention_probs_dropout_prob": 0.0, "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0, "hidden_size": 1280, "image_size": 224, "initializer_range": 0.02,
        "intermediate_size": 5120, "layer_norm_eps": 1e-06, "model_type": "ijepa", "num_attention_heads": 16,
        "num_channels": 3, "num_hidden_layers": 32, "patch_size": 14, "qkv_bias": true
    }))
    .unwrap();
    assert_eq!((ijepa.depth, ijepa.pool, ijepa.fc_norm, ijepa.tokens()), (32, Pool::Average, false, 256));
    let aimv2 = |changes: Value| {
        let mut config = json!({
            "architectures": ["Aimv2VisionModel"], "attention_dropout": 0.0, "hidden_act": "silu", "hidden_size": 1024,
            "image_size": 224, "initializer_range": 0.02, "intermediate_size": 2816, "is_native": false,
            "mlp_bias": false, "model_type": "aimv2_vision_model", "num_attention_heads": 8, "num_channels": 3,
            "num_hidden_layers": 24, "patch_size": 14, "qkv_bias": false, "rms_norm_eps": 1e-05, "use_head": false
        });
        config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        parse(config).unwrap()
    };
    let large = aimv2(json!({}));
    assert_eq!((large.mlp, large.norm, large.norm_eps), (Mlp::GateApart, NormKind::Rms, 1e-5));
    assert_eq!((large.pool, large.class_token, large.embed_norm), (Pool::Average, false, true));
    assert!(!large.qkv_bias && !large.proj_bias && !large.mlp_bias);
    assert_eq!(aimv2(json!({ "use_head": true })).pool, Pool::Query);
    let whole = parse(json!({ "model_type": "aimv2", "architectures": ["Aimv2Model"], "projection_dim": 768,
                              "vision_config": { "num_hidden_layers": 12 } }))
    .unwrap();
    assert_eq!((whole.num_classes, whole.embed_dim, whole.depth, whole.pool), (768, 1024, 12, Pool::Query));
}

#[test]
fn siglip_2_of_pictures_of_any_shape_is_packed() {
    // google/siglip2-base-patch16-naflex, whose config leaves most to the library.
    let config = parse(json!({
        "architectures": ["Siglip2Model"], "initializer_factor": 1.0, "model_type": "siglip2", "torch_dtype": "float32",
        "text_config": { "hidden_size": 768, "model_type": "siglip2_text_model", "vocab_size": 256000 },
        "vision_config": { "hidden_size": 768, "model_type": "siglip2_vision_model", "num_patches": 256 },
        "transformers_version": "4.49.0.dev0"
    }))
    .unwrap();
    let packed = config.packed.expect("pictures of any shape");
    assert_eq!((packed.patches, packed.grid, config.tokens()), (256, [16; 2], 256));
    assert_eq!((config.pool, config.preprocess.mean[0], config.norm_eps), (Pool::Attention, 0.5, 1e-6));
    assert_eq!(config.preprocess.resample, Resample::Bilinear);
    // As `get_image_size_for_max_num_patches` has it.
    for (pixels, grid) in
        [([480, 640], [14, 18]), ([224, 224], [16, 16]), ([1, 1000], [1, 256]), ([3000, 40], [128, 2])]
    {
        assert_eq!(packed.grid_of(pixels, [16; 2]), grid, "{pixels:?}");
    }
    for positions in [0, 255] {
        let config = json!({ "model_type": "siglip2_vision_model", "num_patches": positions });
        assert!(matches!(parse(config), Err(Error::Config { field, .. }) if field == "num_patches"));
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    for (config, field) in [
        (json!({ "model_type": "aimv2_vision_model", "is_native": true }), "is_native"),
        (json!({ "model_type": "dinov3_vit", "query_bias": false }), "query_bias, key_bias, value_bias"),
        (json!({ "model_type": "dinov3_vit", "mlp_bias": false }), "mlp_bias"),
        (json!({ "model_type": "swin" }), "model_type"),
        (json!({ "model_type": "vit", "architectures": ["ViTForSomethingElse"] }), "architectures"),
        (json!({ "model_type": "vit", "hidden_act": "mish" }), "hidden_act"),
    ] {
        match parse(config.clone()) {
            Err(Error::Unsupported { field: named, .. }) => assert_eq!(named, field),
            other => panic!("{config}: {other:?}"),
        }
    }
    for (config, field) in [
        (json!({ "model_type": 3 }), "model_type"),
        (json!({ "model_type": null }), "model_type"),
        (json!({ "model_type": "vit", "hidden_size": "wide" }), "hidden_size"),
        (json!({ "model_type": "vit", "num_attention_heads": 5 }), "embed_dim"),
        (json!({ "model_type": "vit", "id2label": { "0": "a", "2": "b" } }), "id2label"),
        (json!({ "model_type": "vit", "image_size": 8 }), "patch_size"),
        (json!({ "model_type": "dinov2", "mlp_ratio": -1 }), "mlp_ratio"),
    ] {
        match parse(config.clone()) {
            Err(Error::Config { field: named, .. }) => assert_eq!(named, field, "{config}"),
            other => panic!("{config}: {other:?}"),
        }
    }
}

/// The configs on the hub, shortened to what says something: `MIT/ast-finetuned-audioset-10-10-0.4593`,
/// `MCG-NJU/videomae-base`, `MCG-NJU/videomae-base-finetuned-kinetics`, `google/vivit-b-16x2-kinetics400`.
#[test]
fn published_networks_for_sounds_and_videos() {
    let labels =
        |count: usize| -> Value { (0..count).map(|i| (i.to_string(), json!(format!("{i}")))).collect() };
    let ast = parse(json!({
        "architectures": ["ASTForAudioClassification"], "model_type": "audio-spectrogram-transformer",
        "attention_probs_dropout_prob": 0.0, "frequency_stride": 10, "hidden_act": "gelu", "hidden_dropout_prob": 0.0,
        "hidden_size": 768, "id2label": labels(527), "initializer_range": 0.02, "intermediate_size": 3072,
        "layer_norm_eps": 1e-12, "max_length": 1024, "num_attention_heads": 12, "num_hidden_layers": 12, "num_mel_bins": 128,
        "patch_size": 16, "qkv_bias": true, "time_stride": 10, "torch_dtype": "float32", "transformers_version": "4.25.0.dev0"
    }))
    .unwrap();
    assert_eq!((ast.grid(), ast.tokens(), ast.num_classes), ([12, 101], 1214, 527));
    assert_eq!((ast.pool, ast.head_norm, ast.in_chans, ast.scores), (Pool::Prefix, true, 1, Scores::Softmax));
    let sound = ast.sound.as_ref().unwrap();
    assert_eq!((sound.sampling_rate, sound.mean, sound.std), (16_000, -4.2677393, 4.5689974));
    let shapes = ast.tensors();
    assert_eq!(shapes["patch_embed.proj.weight"], [768, 1, 16, 16]);
    assert_eq!((&shapes["pos_embed"][..], shapes.contains_key("fc_norm.bias")), (&[1, 1214, 768][..], true));

    let video = json!({
        "model_type": "videomae", "attention_probs_dropout_prob": 0.0, "decoder_hidden_size": 384, "decoder_intermediate_size": 1536,
        "decoder_num_attention_heads": 6, "decoder_num_hidden_layers": 4, "hidden_act": "gelu", "hidden_size": 768,
        "image_size": 224, "intermediate_size": 3072, "layer_norm_eps": 1e-12, "norm_pix_loss": true, "num_attention_heads": 12,
        "num_channels": 3, "num_frames": 16, "num_hidden_layers": 12, "patch_size": 16, "qkv_bias": true, "tubelet_size": 2
    });
    let with = |more: Value| {
        let mut all = video.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        parse(all)
    };
    let tuned = with(
        json!({ "architectures": ["VideoMAEForVideoClassification"], "id2label": labels(400), "use_mean_pooling": true }),
    );
    let tuned = tuned.unwrap();
    assert_eq!(
        (tuned.tokens(), tuned.grid(), tuned.patch_times(), tuned.num_classes),
        (1568, [14, 14], 8, 400)
    );
    assert_eq!(
        (tuned.pool, tuned.fc_norm, tuned.pool_eps, tuned.prop_attn),
        (Pool::Average, true, Some(1e-5), false)
    );
    assert_eq!(tuned.tensors()["patch_embed.proj.weight"], [768, 3, 2, 16, 16]);
    let before =
        with(json!({ "architectures": ["VideoMAEForPreTraining"], "use_mean_pooling": false })).unwrap();
    assert_eq!((before.num_classes, before.final_norm, before.fc_norm), (0, true, false));
    let first =
        with(json!({ "architectures": ["VideoMAEForVideoClassification"], "use_mean_pooling": false }));
    assert!(matches!(first, Err(Error::Unsupported { field, .. }) if field == "use_mean_pooling"));

    let vivit = parse(json!({
        "architectures": ["VivitForVideoClassification"], "model_type": "vivit", "attention_probs_dropout_prob": 0.0,
        "hidden_act": "gelu_fast", "hidden_dropout_prob": 0.0, "hidden_size": 768, "id2label": labels(400), "image_size": 224,
        "intermediate_size": 3072, "layer_norm_eps": 1e-6, "num_attention_heads": 12, "num_channels": 3, "num_frames": 32,
        "num_hidden_layers": 12, "qkv_bias": true, "tubelet_size": [2, 16, 16], "video_size": [32, 224, 224]
    }))
    .unwrap();
    assert_eq!((vivit.tokens(), vivit.frames, vivit.patch_frames), (3137, 32, 2));
    assert_eq!((vivit.pool, vivit.activation), (Pool::Token, Activation::GeluTanh));
    // Bytes become [-1, 1], less 0.5, over 0.5.
    assert_eq!((vivit.preprocess.mean[0], vivit.preprocess.std[0]), (0.75, 0.25));
}

#[test]
fn sounds_and_videos_that_make_no_sense_are_refused() {
    let field = |value: Value| match parse(value) {
        Err(Error::Config { field, .. } | Error::Unsupported { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    let ast =
        |key: &str, value: Value| field(json!({ "model_type": "audio-spectrogram-transformer", key: value }));
    assert_eq!(ast("max_length", json!(8)), "patch_size");
    assert_eq!(ast("time_stride", json!(0)), "patch_stride");
    assert_eq!(ast("num_mel_bins", json!("many")), "num_mel_bins");
    let video = |key: &str, value: Value| field(json!({ "model_type": "videomae", key: value }));
    assert_eq!(video("num_frames", json!(1)), "tubelet_size");
    assert_eq!(video("num_frames", json!(0)), "num_frames");
    assert_eq!(video("tubelet_size", json!([2])), "tubelet_size");
    assert_eq!(field(json!({ "model_type": "vivit", "tubelet_size": [2, 16] })), "tubelet_size");
}
