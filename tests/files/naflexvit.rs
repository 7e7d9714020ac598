//! timm's `NaFlexVit` for pictures of one size.

use tome_wgpu::Error;
use tome_wgpu::files::load_model;
use tome_wgpu::vit::{Config, PositionResample, Tensor, Tensors};

use crate::golden;
use crate::layouts::Folder;

/// Whatever size comes between, positions are made of the file's table.
#[test]
fn positions_are_resampled_from_the_table() {
    for case in ["naflexvit_gap", "naflexvit_par", "naflexvit_parfac", "naflexvit_radio_corners"] {
        let (config, checkpoint) = load_model(&golden(case), None).unwrap();
        let want = checkpoint.tensor("pos_embed").unwrap().into_owned();
        let (mut other, mut checkpoint) = load_model(&golden(case), None).unwrap();
        checkpoint.resample_positions(&mut other, [12, 36]).unwrap();
        assert_eq!(checkpoint.shape("pos_embed").unwrap(), [1, 27, 32]);
        checkpoint.resample_positions(&mut other, config.image_size).unwrap();
        assert_eq!(checkpoint.tensor("pos_embed").unwrap().into_owned(), want, "{case}");
        assert_eq!(other, config);
    }
    // As many places as the table has, and not the table's.
    let (mut config, mut checkpoint) = load_model(&golden("naflexvit_par"), None).unwrap();
    let table = |image_size: [u32; 2]| {
        checkpoint.resample_positions(&mut config, image_size).unwrap();
        checkpoint.tensor("pos_embed").unwrap().data.to_f32().into_owned()
    };
    let [own, other] = [[16, 16], [8, 32]].map(table);
    assert!(own.len() == other.len() && own != other);
}

#[test]
fn what_is_no_table_is_named() {
    let mut flat = Folder::of("naflexvit_par");
    flat.tensors.get_mut("embeds.pos_embed").unwrap().shape = vec![1, 16, 32];
    assert_eq!(flat.refused(), "embeds.pos_embed");
    let mut half = Folder::of("naflexvit_parfac");
    half.tensors.remove("embeds.pos_embed_x").unwrap();
    assert_eq!(half.refused(), "embeds.pos_embed_x");
    let mut narrow = Folder::of("naflexvit_parfac");
    narrow.tensors.insert("embeds.pos_embed_y".into(), Tensor::new([1, 3, 16], vec![0.0; 48]));
    assert_eq!(narrow.refused(), "embeds.pos_embed_y");
    // Each kind is brought to other grids in its own way.
    for (case, other) in [("naflexvit_par", "naflexvit_parfac"), ("naflexvit_parfac", "naflexvit_par")] {
        let mut mixed = Folder::of(case);
        mixed.tensors = Folder::of(other).tensors;
        assert!(mixed.refused().starts_with("embeds.pos_embed"), "{case}");
    }
    let mut patches = Folder::of("naflexvit_par");
    patches.tensors.get_mut("embeds.proj.weight").unwrap().shape = vec![16, 96];
    assert_eq!(patches.refused(), "embeds.proj.weight");
}

#[test]
fn positions_of_too_many_values_are_refused() {
    let mut large = Folder::of("naflexvit_par");
    large.config = large.config.map(|mut config| {
        let args = serde_json::json!({ "img_size": 4096, "patch_size": 4, "embed_dim": 65536, "num_heads": 512, "depth": 1 });
        config["model_args"] = args;
        config["pretrained_cfg"]["input_size"] = serde_json::json!([3, 4096, 4096]);
        config
    });
    large.tensors.insert("embeds.pos_embed".into(), Tensor::new([1, 1, 1, 65536], vec![0.0; 65536]));
    assert!(matches!(large.load(), Err(Error::Config { field, .. }) if field == "patch_size"));
}

#[test]
fn its_architectures_are_known_by_name() {
    let gap = Config::preset("naflexvit_base_patch16_gap").unwrap();
    assert_eq!((gap.tokens(), gap.position_resample), (24 * 24 + 4, PositionResample::ANTIALIASED));
    let radio = Config::preset("naflexvit_base_patch16_radio_v3").unwrap();
    assert_eq!((radio.tokens(), radio.final_norm, radio.layer_scale), (32 * 32 + 8, false, true));
    assert!(
        radio.position_resample.corners && radio.position_resample.linear && radio.position_resample.square
    );
    match Config::preset("naflexvit_base_patch16_something") {
        Err(Error::Unsupported { field, .. }) => assert_eq!(field, "architecture"),
        other => panic!("{other:?}"),
    }
}
