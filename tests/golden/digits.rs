//! The trained network that ships with the command: 16 bits read handwritten digits as well as 32 bits do.

use std::fs;
use std::path::PathBuf;

use image::GrayImage;
use tome_wgpu::files::{fit, load_model, normalise};
use tome_wgpu::vit::{Config, Options, Outputs, Tensors, VisionTransformer};
use tome_wgpu::{Caps, Element, Schedule, TileSize, Variant, cpu};

use crate::by_matrices;
use crate::common::{Rig, place, rigs};

const BATCH: usize = 50;
const SIDE: u32 = 8;

fn folder() -> PathBuf {
    place!("CARGO_MANIFEST_DIR").join("models/digits")
}

/// The held-out pictures, normalised, and what they show.
fn held_out(config: &Config) -> (Vec<f32>, Vec<usize>) {
    let file = fs::read(folder().join("heldout.bin")).expect("held-out digits");
    let pixels = (SIDE * SIDE) as usize;
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for record in file.chunks_exact(pixels + 1) {
        let picture = GrayImage::from_raw(SIDE, SIDE, record[..pixels].to_vec()).expect("a picture");
        let picture = fit(image::DynamicImage::from(picture), config).expect("a resized picture");
        images.extend(normalise(&picture, config).expect("an image"));
        labels.push(record[pixels].into());
    }
    (images, labels)
}

/// The class with the highest logit of each image.
fn classes(outputs: &Outputs) -> impl Iterator<Item = usize> + '_ {
    (0..outputs.batch).map(|image| outputs.top(image, 1)[0].0)
}

fn on_gpu(
    rig: &Rig,
    config: &Config,
    weights: &dyn Tensors,
    images: &[f32],
    options: &Options,
) -> Vec<usize> {
    let vit = VisionTransformer::new(&rig.gpu, config.clone(), weights).expect("a network");
    let plan = vit.plan(BATCH as u32, options).expect("a plan");
    let batches = images.chunks_exact(BATCH * config.image_values()).map(|batch| {
        rig.queue.write_buffer(plan.input(), 0, bytemuck::cast_slice(batch));
        let mut encoder = rig.gpu.device().create_command_encoder(&Default::default());
        plan.encode(&mut encoder);
        rig.queue.submit([encoder.finish()]);
        let logits = rig.read(plan.logits(), plan.batch() * config.outputs());
        let mut outputs = Outputs::default();
        (outputs.batch, outputs.logits) = (BATCH, logits);
        outputs
    });
    batches.flat_map(|outputs| classes(&outputs).collect::<Vec<_>>()).collect()
}

/// Accuracy within 0.2 points, of 450 images none, whatever merges. With the lanes and tiles that suit the device, and
/// by its matrix units.
#[test]
fn digits_are_read_in_16_bits_as_in_32() {
    const POINTS: f64 = 0.2;
    let Some(last) = rigs().last() else { return };
    let suits = Variant { element: Element::F16, ..Caps::of(last.gpu.device()).variant() };
    let halves = || {
        rigs().iter().filter(|rig| {
            let variant = rig.gpu.variant();
            (variant == suits || by_matrices(rig)) && rig.tile_size() == TileSize::Medium
        })
    };
    let (config, weights) = load_model(&folder(), None).expect("the digits network");
    let (images, labels) = held_out(&config);
    assert_eq!(labels.len(), 450);
    let right = |classes: &[usize]| classes.iter().zip(&labels).filter(|(got, want)| got == want).count();
    let vit = cpu::VisionTransformer::new(config.clone(), &weights).expect("a network");
    for r in [0, 4, 8, 12, 16, 20, 24] {
        let options = Options::with_schedule(Schedule::constant(r));
        let want: Vec<usize> = classes(&vit.forward(&images, &options).expect("logits")).collect();
        let expected = right(&want);
        for rig in halves() {
            let got = on_gpu(rig, &config, &weights, &images, &options);
            let right = right(&got);
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
