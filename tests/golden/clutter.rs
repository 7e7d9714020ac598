//! The trained networks that merging costs something, with a table of positions and with rotary ones: held-out pictures
//! against PyTorch (models/clutter/evaluate.py, models/rotary/evaluate.py).

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use tome_wgpu::files::{Checkpoint, load_image, load_model, normalise};
use tome_wgpu::kernels::merge_tokens::MergedPosition;
use tome_wgpu::vit::{Config, Metric, Options, VisionTransformer};
use tome_wgpu::{Element, Schedule, TileSize, cpu};

use crate::common::{place, rigs};

/// Logits are up to about 10, and sums of 96 values each are up to 1e-6 of that away from PyTorch's; eight blocks let a
/// few of these add up. The merges of these pictures are decided by more than rounding.
const TOLERANCE: f32 = 1e-4;

/// Percent of the pictures below that PyTorch reads right with so many tokens merged in each block, by a metric, a merged
/// token lying there.
const RIGHT: [(&str, u32, Metric, MergedPosition, f64); 5] = [
    ("clutter", 0, Metric::Keys, MergedPosition::Mean, 96.7),
    ("clutter", 24, Metric::Keys, MergedPosition::Mean, 80.4),
    ("rotary", 0, Metric::Keys, MergedPosition::Mean, 97.5),
    ("rotary", 24, Metric::Keys, MergedPosition::Mean, 77.1),
    ("rotary", 24, Metric::Input, MergedPosition::Kept, 94.2),
];

/// A held-out picture and its logits by schedule.
#[derive(Deserialize)]
struct Case {
    picture: PathBuf,
    logits: BTreeMap<String, Vec<f32>>,
}

fn network(name: &str) -> (PathBuf, Config, Checkpoint) {
    let folder = place!("CARGO_MANIFEST_DIR").join("models").join(name);
    let (config, weights) = load_model(&folder, None).expect("the network");
    (folder, config, weights)
}

/// The pictures of both.
fn held_out() -> PathBuf {
    place!("CARGO_MANIFEST_DIR").join("models/clutter/heldout")
}

#[test]
fn letters_in_clutter_are_read_as_pytorch_reads_them() {
    read_as_pytorch("clutter");
}

#[test]
fn letters_in_clutter_are_read_by_rotary_positions_as_pytorch_reads_them() {
    read_as_pytorch("rotary");
}

fn read_as_pytorch(name: &str) {
    let (folder, config, weights) = network(name);
    let file = fs::read(folder.join("logits.json")).expect("logits");
    let cases: Vec<Case> = serde_json::from_slice(&file).expect("cases");
    assert!(cases.len() >= 4, "{} pictures", cases.len());
    let by_cpu = cpu::VisionTransformer::new(config.clone(), &weights).expect("a network");
    let exact = rigs()
        .iter()
        .filter(|rig| rig.gpu.variant().element == Element::F32 && rig.tile_size() == TileSize::Medium);
    let by_gpu: Vec<_> = exact
        .map(|rig| {
            let vit = VisionTransformer::new(&rig.gpu, config.clone(), &weights).expect("a network");
            (rig, vit)
        })
        .collect();
    for Case { picture, logits } in &cases {
        let pixels = load_image(&held_out().join(picture), &config).expect("a picture");
        let image = normalise(&pixels, &config).expect("an image");
        for (r, want) in logits {
            let options = Options::with_schedule(r.parse().expect("a schedule"));
            let close = |got: &[f32], id: &str| {
                let apart = got.iter().zip(want).map(|(got, want)| (got - want).abs()).fold(0.0, f32::max);
                assert_eq!(got.len(), want.len());
                assert!(apart <= TOLERANCE, "{}, r = {r}, {id}: {apart} apart", picture.display());
            };
            close(&by_cpu.forward(&image, &options).expect("logits").logits, "CPU");
            for (rig, vit) in &by_gpu {
                let plan = vit.plan(1, &options).expect("a plan");
                rig.queue.write_buffer(plan.input(), 0, bytemuck::cast_slice(&image));
                let mut encoder = rig.gpu.device().create_command_encoder(&Default::default());
                plan.encode(&mut encoder);
                rig.queue.submit([encoder.finish()]);
                close(&rig.read::<f32>(plan.logits(), config.outputs()), rig.id().as_str());
            }
        }
    }
}

/// Every fourth held-out picture, ten of each letter. Two points are five of them: of those that merge, some hang on decisions
/// that rounding makes.
#[test]
fn merging_costs_the_letters_as_much_as_by_pytorch() {
    const POINTS: f64 = 2.0;
    for (name, r, metric, positions, want) in RIGHT {
        let (_, config, weights) = network(name);
        let vit = cpu::VisionTransformer::new(config.clone(), &weights).expect("a network");
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        for (label, letter) in config.labels.iter().enumerate() {
            for number in (0..40).step_by(4) {
                let path = held_out().join(format!("{letter}/{number:02}.png"));
                let pixels = load_image(&path, &config).expect("a picture");
                images.extend(normalise(&pixels, &config).expect("an image"));
                labels.push(label);
            }
        }
        let mut options = Options::with_schedule(Schedule::constant(r));
        (options.metric, options.positions) = (metric, positions);
        let outputs = vit.forward(&images, &options).expect("logits");
        let right = (0..labels.len()).filter(|&image| outputs.top(image, 1)[0].0 == labels[image]).count();
        let share = 100.0 * right as f64 / labels.len() as f64;
        assert!(
            (share - want).abs() <= POINTS,
            "{name}, r = {r}, {metric}: {share} % right, {want} % by PyTorch"
        );
    }
}
