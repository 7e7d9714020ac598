//! Positions on other grids, against the code of each family (`make_fixtures.py`).

use std::collections::BTreeMap;

use tome_wgpu::Error;
use tome_wgpu::files::{TensorReader, read_weights};
use tome_wgpu::vit::{Config, PositionResample, Tensor, Weights};

use crate::place::place;

/// Largest difference to the largest value: PyTorch computes kernel and sums in f32.
const TOLERANCE: f32 = 1e-6;

fn fixture() -> BTreeMap<String, Tensor> {
    let path = place!("CARGO_MANIFEST_DIR").join("tests/files/positions.safetensors");
    let weights = read_weights(&mut TensorReader::open(&path).unwrap()).unwrap();
    weights.iter().map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect()
}

/// A network of 4 channels whose patches are pixels.
fn network(size: [u32; 2], how: PositionResample) -> Config {
    let mut config = Config::preset("vit_tiny_patch16_224").unwrap();
    (config.embed_dim, config.num_heads, config.mlp_hidden) = (4, 1, 4);
    (config.image_size, config.patch_size, config.position_resample) = (size, [1, 1], how);
    config
}

fn sides(text: &str) -> [u32; 2] {
    let (height, width) = text.split_once('x').unwrap();
    [height.parse().unwrap(), width.parse().unwrap()]
}

#[test]
fn every_family_places_patches_as_its_own_code_does() {
    let fixture = fixture();
    let mut worst = BTreeMap::new();
    for (name, want) in fixture.iter().filter(|(name, _)| name.contains('/')) {
        let [family, grid, size] = name.split('/').collect::<Vec<_>>()[..] else { panic!("{name}") };
        let how = match family {
            "timm" | "dinov2_with_registers" => PositionResample::ANTIALIASED,
            "original" => PositionResample { offset: 0.1, ..PositionResample::BICUBIC },
            _ => PositionResample::BICUBIC,
        };
        let mut config = network(if grid == "rect" { [4, 6] } else { [5, 5] }, how);
        let mut weights = Weights::new();
        weights.insert("pos_embed", fixture[grid].clone());
        weights.resample_positions(&mut config, sides(size)).unwrap();
        assert_eq!(config.image_size, sides(size));
        let (_, got) = weights.iter().next().unwrap();
        assert_eq!(got.shape, want.shape, "{name}");
        let [got, want, before] = [got, want, &fixture[grid]].map(|tensor| tensor.data.to_f32());
        assert_eq!(got[..4], before[..4], "{name}: the class token's position moved");
        let largest = want.iter().fold(0f32, |most, v| most.max(v.abs()));
        let apart = got.iter().zip(&want[..]).map(|(got, want)| (got - want).abs() / largest);
        let apart = apart.fold(0f32, f32::max);
        assert!(apart <= TOLERANCE, "{name}: {apart:.1e} of the largest value apart");
        let worst: &mut f32 = worst.entry(family).or_default();
        *worst = worst.max(apart);
    }
    println!("largest difference to the largest value: {worst:?}");
    assert_eq!(worst.len(), 8, "{worst:?}");
}

#[test]
fn frames_are_resampled_one_by_one() {
    let how = PositionResample::ANTIALIASED;
    let square = fixture()["square"].clone();
    let (shape, values) = (square.shape.clone(), square.data.to_f32().into_owned());
    let mut config = network([5, 5], how);
    let kept = (shape[1] - 25) * shape[2];
    let twice = |values: &[f32], kept: usize| {
        let data = [values, &values[kept..]].concat();
        Tensor::new([1, data.len() / shape[2], shape[2]], data)
    };
    let mut weights = Weights::new();
    weights.insert("pos_embed", square.clone());
    weights.resample_positions(&mut config, [4, 6]).unwrap();
    let want = weights.get("pos_embed").unwrap().data.to_f32().into_owned();

    let mut config = network([5, 5], how).with(|c| (c.frames, c.patch_frames) = (4, 2));
    let mut weights = Weights::new();
    weights.insert("pos_embed", twice(&values, kept));
    weights.resample_positions(&mut config, [4, 6]).unwrap();
    assert_eq!(weights.get("pos_embed").unwrap(), &twice(&want, kept));
}

#[test]
fn an_equal_grid_changes_nothing() {
    let mut config = Config::preset("dinov2_vits14").unwrap();
    config.depth = 1;
    let weights = Weights::random(&config, 0);
    let (mut other, mut same) = (config.clone(), weights.clone());
    // 520 pixels are 37 patches of 14, too.
    same.resample_positions(&mut other, [520, 519]).unwrap();
    assert_eq!((other.image_size, same), ([520, 519], weights));
}

#[test]
fn a_refused_size_leaves_everything_as_it_was() {
    let mut config = network([5, 5], PositionResample::ANTIALIASED);
    let mut weights = Weights::new();
    weights.insert("pos_embed", fixture()["square"].clone());
    let before = (config.clone(), weights.clone());
    for size in [[0, 5], [5, 1 << 20]] {
        assert!(matches!(weights.resample_positions(&mut config, size), Err(Error::Config { .. })));
    }
    // The positions are not those of the config.
    config.image_size = [4, 5];
    match weights.resample_positions(&mut config, [3, 3]) {
        Err(Error::Weight { name, .. }) => assert_eq!(name, "pos_embed"),
        other => panic!("{other:?}"),
    }
    config.image_size = [5, 5];
    assert_eq!((config, weights), before);
}
