//! Tables of displacements on other grids, against the code of each library (`make_tables.py`).

use tome_wgpu::Error;
use tome_wgpu::files::{TensorReader, read_weights};
use tome_wgpu::vit::{BiasSource, Config, Relative, TableResample, Tensor, Weights};

use crate::place::place;

/// Largest difference to the largest value: PyTorch computes places and sums in f32.
const TOLERANCE: f32 = 2e-6;

fn fixture() -> Weights {
    let path = place!("CARGO_MANIFEST_DIR").join("tests/files/tables.safetensors");
    read_weights(&mut TensorReader::open(&path).unwrap()).unwrap()
}

/// A network of two heads and two blocks whose patches are pixels.
fn network(size: [u32; 2], how: TableResample) -> Config {
    let mut config = Config::preset("beit_base_patch16_224").unwrap();
    (config.embed_dim, config.num_heads, config.depth) = (8, 2, 2);
    (config.image_size, config.patch_size) = (size, [1, 1]);
    config.relative = Some(Relative::new(BiasSource::Table(how), false));
    config
}

const OF_BLOCK: [&str; 2] =
    ["blocks.0.attn.relative_position_bias_table", "blocks.1.attn.relative_position_bias_table"];

fn sides(text: &str) -> [u32; 2] {
    let (height, width) = text.split_once('x').unwrap();
    [height.parse().unwrap(), width.parse().unwrap()]
}

#[test]
fn every_library_resamples_tables_as_its_own_code_does() {
    let fixture = fixture();
    let mut count = 0;
    for (name, want) in fixture.iter().filter(|(name, _)| name.contains('/')) {
        let [library, grid, size] = name.split('/').collect::<Vec<_>>()[..] else { panic!("{name}") };
        let how = match library {
            "timm" => TableResample::Progression,
            _ => TableResample::Even,
        };
        let from = match grid {
            "rect" => [4, 6],
            "one" => [1, 1],
            _ => [5, 5],
        };
        let mut config = network(from, how);
        let mut weights = Weights::new();
        OF_BLOCK.iter().for_each(|&block| weights.insert(block, fixture.get(grid).unwrap().clone()));
        weights.resample_positions(&mut config, sides(size)).unwrap();
        assert_eq!(config.image_size, sides(size));
        for block in OF_BLOCK {
            let got = weights.get(block).unwrap();
            assert_eq!(got.shape, want.shape, "{name}");
            let [got, want] = [got, want].map(|tensor| tensor.data.to_f32());
            let largest = want.iter().fold(0f32, |most, v| most.max(v.abs()));
            let apart = got.iter().zip(&want[..]).map(|(got, want)| (got - want).abs() / largest);
            let apart = apart.fold(0f32, f32::max);
            assert!(apart <= TOLERANCE, "{name}: {apart:.1e} of the largest value apart");
        }
        count += 1;
    }
    assert_eq!(count, 18);
}

#[test]
fn an_equal_grid_changes_nothing_and_a_wrong_table_is_named() {
    let fixture = fixture();
    let mut config = network([5, 5], TableResample::Even);
    let mut weights = Weights::new();
    OF_BLOCK.iter().for_each(|&block| weights.insert(block, fixture.get("square").unwrap().clone()));
    let before = weights.clone();
    weights.resample_positions(&mut config, [5, 5]).unwrap();
    assert_eq!(weights, before);

    weights.insert(OF_BLOCK[1], Tensor::new([81, 2], vec![0.0; 162]));
    let error = weights.resample_positions(&mut config, [7, 7]).unwrap_err();
    assert!(matches!(&error, Error::Weight { name, .. } if name == OF_BLOCK[1]), "{error}");
    assert!(error.to_string().contains("grid of [5, 5]"), "{error}");
    assert_eq!(config.image_size, [5, 5]);
}

/// An MLP is as good for any grid.
#[test]
fn a_bias_of_an_mlp_needs_no_resampling() {
    let mut config = Config::preset("test_vit_relpos").unwrap();
    let mut weights = Weights::random(&config, 1);
    let before = weights.clone();
    weights.resample_positions(&mut config, [96, 224]).unwrap();
    assert_eq!((config.grid(), &weights), ([6, 14], &before));
}

#[test]
fn what_a_bias_does_not_go_with_is_named() {
    let refused = |change: fn(&mut Config)| {
        network([5, 5], TableResample::Even).with(change).check().unwrap_err().to_string()
    };
    let frames = refused(|config| (config.frames, config.patch_frames) = (4, 2));
    assert!(frames.contains("num_frames") && frames.contains("relative position bias"), "{frames}");
    let rotary =
        refused(|config| config.rotary = Config::preset("vit_small_patch16_rope_224").unwrap().rotary);
    assert!(rotary.contains("use_rot_pos_emb"), "{rotary}");
    let none = refused(|config| config.relative.iter_mut().for_each(|relative| relative.of_blocks = false));
    assert!(none.contains("use_rel_pos_bias"), "{none}");
    let huge = refused(|config| {
        (config.embed_dim, config.num_heads, config.image_size) = (256, 64, [1024, 1024]);
    });
    assert!(huge.contains("4190209 displacements"), "{huge}");
}
