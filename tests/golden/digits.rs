//! The trained network that ships with the command: 16 bits read handwritten digits as well as 32 bits do.

use std::fs;
use std::path::PathBuf;

use image::GrayImage;
use tome_wgpu::files::{fit, load_model, normalise};
use tome_wgpu::vit::{Config, Options, Outputs, VisionTransformer, Weights};
use tome_wgpu::{Caps, Element, Schedule, Tile, TileSize};

use crate::common::{Rig, rigs};

const BATCH: usize = 50;
const SIDE: u32 = 8;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models/digits")
}

/// The held-out pictures, normalised, and what they show.
fn held_out(config: &Config) -> (Vec<f32>, Vec<usize>) {
    let file = fs::read(folder().join("heldout.bin")).expect("held-out digits");
    let pixels = (SIDE * SIDE) as usize;
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for record in file.chunks_exact(pixels + 1) {
        let picture = GrayImage::from_raw(SIDE, SIDE, record[..pixels].to_vec()).expect("a picture");
        let picture = fit(picture.into(), config).expect("a resized picture");
        images.extend(normalise(&picture, config).expect("an image"));
        labels.push(record[pixels].into());
    }
    (images, labels)
}

/// The class with the highest logit of each image.
fn classify(rig: &Rig, network: &(Config, Weights), images: &[f32], r: u32) -> Vec<usize> {
    let (config, weights) = network;
    let vit = VisionTransformer::new(&rig.gpu, config.clone(), weights).expect("a network");
    let plan = vit.plan(BATCH as u32, &Options::with_schedule(Schedule::constant(r))).expect("a plan");
    let mut classes = Vec::new();
    for batch in images.chunks_exact(BATCH * config.image_values()) {
        rig.queue.write_buffer(plan.input(), 0, bytemuck::cast_slice(batch));
        let mut encoder = rig.gpu.device().create_command_encoder(&Default::default());
        plan.encode(&mut encoder);
        rig.queue.submit([encoder.finish()]);
        let logits = rig.read(plan.logits(), plan.batch() * config.outputs());
        let outputs = Outputs { batch: BATCH, logits, ..Default::default() };
        classes.extend((0..BATCH).map(|image| outputs.top(image, 1)[0].0));
    }
    classes
}

/// Accuracy within 0.2 points, of 450 images none, whatever merges. With the device's own lanes and tiles, and by its
/// matrix units.
#[test]
fn digits_are_read_in_16_bits_as_in_32() {
    const POINTS: f64 = 0.2;
    let network = load_model(&folder(), None).expect("the digits network");
    let (images, labels) = held_out(&network.0);
    assert_eq!(labels.len(), 450);
    let Some(first) = rigs().first() else { return };
    let suits = Caps::of(rigs().last().unwrap_or(first).gpu.device()).variant();
    let of = |element: Element| {
        rigs().iter().filter(move |rig| {
            let variant = rig.gpu.variant();
            let matrices = matches!(variant.tile, Tile::Cooperative { .. });
            variant.element == element
                && variant.lane == suits.lane
                && (variant.tile == suits.tile || matrices)
                && rig.tile_size() == TileSize::Medium
        })
    };
    let exact = of(Element::F32).next().expect("every device has 32 bits");
    for r in [0, 4, 8, 16, 24] {
        let right = |classes: &[usize]| classes.iter().zip(&labels).filter(|(got, want)| got == want).count();
        let want = classify(exact, &network, &images, r);
        for rig in of(Element::F16) {
            let got = classify(rig, &network, &images, r);
            let [right, expected] = [&got, &want].map(|classes| right(classes));
            let differ = got.iter().zip(&want).filter(|(got, want)| got != want).count();
            let what =
                format!("r = {r}, {}: {right} right, {expected} in 32 bits; {differ} differ", rig.id());
            if std::env::var("TOME_SHOW_ERRORS").is_ok() {
                eprintln!("{what}");
            }
            assert!(expected >= 440, "{what}");
            assert!(right.abs_diff(expected) as f64 <= POINTS / 100.0 * labels.len() as f64, "{what}");
        }
    }
}
