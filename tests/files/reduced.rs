//! JPEGs decoded at reduced size, beside the same decoded whole, which is what Pillow gives.

use std::path::Path;

use libjpeg_turbo_rs::Subsampling;
use tome_wgpu::files::load_bytes;
use tome_wgpu::vit::{Config, Resample, Resize};

use crate::photo::{Stored, jpeg};

/// The documented bounds, of 255: any value's difference, and the mean of a picture's.
const MOST: u8 = 24;
const MEAN: f64 = 1.5;

const PLAIN: Stored = Stored { subsampling: Some(Subsampling::S444), progressive: false, orientation: 1 };

fn config(side: u32, resample: Resample) -> Config {
    let mut config = Config::preset("vit_tiny_patch16_224").unwrap();
    config.image_size = [side, side];
    config.preprocess.resample = resample;
    config
}

/// The largest difference and the mean, in 255; none where the pictures are equal, which is what not reducing gives.
fn apart(bytes: &[u8], config: &Config) -> Option<(u8, f64)> {
    let mut reduced = config.clone();
    reduced.preprocess.reduced = true;
    let load = |config| load_bytes(bytes, Path::new("photo.jpg"), config).unwrap().into_bytes();
    let (whole, reduced) = (load(config), load(&reduced));
    let apart: Vec<u8> = whole.iter().zip(&reduced).map(|(a, b)| a.abs_diff(*b)).collect();
    let mean = apart.iter().map(|&apart| f64::from(apart)).sum::<f64>() / apart.len() as f64;
    (mean > 0.0).then(|| (apart.iter().copied().max().unwrap(), mean))
}

#[test]
fn reduced_pictures_are_near_whole_ones() {
    let mut worst = (0, 0f64);
    let kinds = [Some(Subsampling::S420), Some(Subsampling::S422), Some(Subsampling::S444), None];
    for (seed, subsampling) in kinds.into_iter().enumerate() {
        for progressive in [false, true] {
            let stored = Stored { subsampling, progressive, ..PLAIN };
            // Sides that 8 does not divide.
            let bytes = jpeg(1003, 777, seed as u32, stored);
            for resample in [Resample::Bilinear, Resample::Bicubic, Resample::Lanczos, Resample::Hamming] {
                // They shrink 17 and 8.9 times: at 1/8 and 1/4.
                for side in [40, 76] {
                    let (most, mean) = apart(&bytes, &config(side, resample)).expect("it is reduced");
                    println!("{stored:?} {resample} {side}: {most}, {mean:.2}");
                    assert!(most <= MOST && mean <= MEAN, "{stored:?} {resample} {side}: {most}, {mean}");
                    worst = (worst.0.max(most), worst.1.max(mean));
                }
            }
        }
    }
    println!("at most {worst:?}");
}

#[test]
fn turned_and_squashed_pictures_stay_in_their_places() {
    for orientation in 1..=8 {
        let bytes = jpeg(501, 779, 7, Stored { orientation, ..PLAIN });
        for resize in [Resize::Shortest, Resize::Squash] {
            let mut config = config(40, Resample::Bicubic);
            config.image_size = [40, 56];
            (config.preprocess.exif, config.preprocess.resize) = (true, resize);
            let (most, mean) = apart(&bytes, &config).expect("it is reduced");
            assert!(most <= MOST && mean <= MEAN, "{orientation} {resize:?}: {most}, {mean}");
        }
    }
}

#[test]
fn what_shrinks_too_little_is_decoded_whole() {
    let bytes = jpeg(640, 480, 3, PLAIN);
    // 480 pixels to 71, less than 8 times; and a box has edges between its pixels.
    assert_eq!(apart(&bytes, &config(64, Resample::Bicubic)), None);
    assert_eq!(apart(&bytes, &config(32, Resample::Box)), None);
    assert!(apart(&bytes, &config(32, Resample::Bicubic)).is_some());
}

#[test]
fn a_broken_picture_is_an_error_at_any_size() {
    let bytes = jpeg(640, 480, 3, PLAIN);
    let mut config = config(32, Resample::Bicubic);
    config.preprocess.reduced = true;
    for cut in [3, 100, bytes.len() / 2, bytes.len() - 400] {
        let error = load_bytes(&bytes[..cut], Path::new("cut.jpg"), &config).unwrap_err().to_string();
        assert!(error.contains("cut.jpg"), "{error}");
    }
}

#[test]
fn spoilt_bytes_are_pictures_or_errors() {
    let mut config = config(16, Resample::Bicubic);
    config.preprocess.reduced = true;
    for (subsampling, progressive) in [(Some(Subsampling::S420), false), (Some(Subsampling::S422), true)] {
        let whole = jpeg(301, 299, 5, Stored { subsampling, progressive, orientation: 6 });
        let mut at = 1usize;
        for spoilt in 0..300 {
            let mut bytes = whole.clone();
            for _ in 0..3 {
                at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let place = (at >> 20) % if spoilt % 2 == 0 { 700 } else { bytes.len() };
                bytes[place] = (at >> 50) as u8;
            }
            if let Ok(picture) = load_bytes(&bytes, Path::new("spoilt.jpg"), &config) {
                assert_eq!((picture.width(), picture.height()), (16, 16));
            }
        }
    }
}
