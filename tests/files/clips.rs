//! Clips as Pillow and transformers' processors make them (`make_frames.py`), and broken ones.

use std::path::Path;

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, RgbaImage};
use safetensors::SafeTensors;
use tome_wgpu::files::{Clip, is_animated, load_clip, load_clip_bytes, load_model, normalise};
use tome_wgpu::vit::{Config, Images};
use tome_wgpu::{Error, Result};

use crate::golden;
use crate::place::place;

fn fixture(name: &str) -> (Vec<usize>, Vec<u8>) {
    let path = place!("CARGO_MANIFEST_DIR").join("tests/files/frames.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = tensors.tensor(name).unwrap();
    (tensor.shape().to_vec(), tensor.data().to_vec())
}

/// A network that sees so many frames of 35 x 42 pixels, the fixture's own size.
fn eyes(frames: u32) -> Config {
    let config = Config::preset("vit_tiny_patch16_224").unwrap();
    config.with(|config| {
        (config.frames, config.image_size) = (frames, [35, 42]);
        config.preprocess.crop = 1.0;
    })
}

fn seen(bytes: &[u8], frames: u32) -> Result<Clip> {
    load_clip_bytes(bytes, Path::new("a.gif"), &eyes(frames))
}

/// Why a clip is refused; its name is in the message.
fn refused(result: Result<Clip>) -> String {
    match result {
        Err(Error::File { path, why }) if path == "a.gif" => why,
        other => panic!("{:?}", other.map(|clip| clip.changes)),
    }
}

#[test]
fn frames_are_those_of_pillow() {
    let (_, want) = fixture("frames");
    for kind in ["gif", "png", "webp"] {
        let (_, bytes) = fixture(kind);
        assert!(is_animated(&bytes) && is_animated(&bytes[..200]), "{kind}");
        let clip = seen(&bytes, 6).unwrap();
        assert!(clip.changes.is_empty());
        // The decoder of WebP rounds down where it lays a frame over the one before.
        let most = if kind == "webp" { 1 } else { 0 };
        let apart = clip.pixels().iter().zip(&want).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(clip.pixels().len() == want.len() && apart <= Some(most), "{kind}: {apart:?}");
    }
}

#[test]
fn frames_are_taken_evenly() {
    let (_, gif) = fixture("gif");
    let (_, all) = fixture("frames");
    let numbers = |clip: &Clip| -> Vec<usize> {
        let frames: Vec<&[u8]> = all.chunks_exact(all.len() / 6).collect();
        clip.frames
            .iter()
            .map(|seen| frames.iter().position(|frame| *frame == seen.as_bytes()).unwrap())
            .collect()
    };
    for (count, want, change) in [
        (2, &[0, 3][..], "2 of its 6 frames are seen, at even distances"),
        (4, &[0, 1, 3, 4], "4 of its 6 frames are seen, at even distances"),
        (9, &[0, 0, 1, 2, 2, 3, 4, 4, 5], "its 6 frames are seen more than once, as the network sees 9"),
    ] {
        let clip = seen(&gif, count).unwrap();
        assert_eq!((numbers(&clip), &clip.changes[..]), (want.to_vec(), &[change.to_owned()][..]));
    }
}

#[test]
fn a_folder_is_a_clip() {
    let (_, all) = fixture("frames");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    assert!(
        matches!(load_clip(path, &eyes(3)), Err(Error::File { why, .. }) if why == "no pictures in this folder")
    );
    std::fs::write(path.join("about.txt"), "no frame").unwrap();
    for (number, frame) in all.chunks_exact(35 * 42 * 3).enumerate() {
        let frame = image::RgbImage::from_raw(42, 35, frame.to_vec()).unwrap();
        // 8.png, 9.png, 10.png and so on.
        frame.save(path.join(format!("{}.png", number + 8))).unwrap();
    }
    assert!(load_clip(path, &eyes(6)).unwrap().pixels() == all);
    let two = load_clip(path, &eyes(2)).unwrap();
    assert_eq!(two.frames[1].as_bytes(), &all[3 * 35 * 42 * 3..][..35 * 42 * 3]);
    std::fs::write(path.join("11.png"), b"\x89PNG\r\n\x1a\n broken").unwrap();
    let error = load_clip(path, &eyes(6)).unwrap_err().to_string();
    assert!(error.contains("11.png"), "{error}");
}

/// As `tests/files/processors.rs` compares pictures.
#[test]
fn clips_are_prepared_as_by_transformers() {
    let (_, gif) = fixture("gif");
    for (name, case, json) in [
        (
            "videomae",
            "hf_videomae",
            r#"{"image_processor_type": "VideoMAEImageProcessor", "size": {"shortest_edge": 20}, "crop_size": {"height": 16, "width": 16},
                "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "do_center_crop": true, "do_normalize": true,
                "do_rescale": true, "do_resize": true, "resample": 2}"#,
        ),
        // Its bytes become [-1, 1] before mean and deviation of 0.5 are applied.
        (
            "vivit",
            "hf_vivit",
            r#"{"image_processor_type": "VivitImageProcessor", "size": {"shortest_edge": 24}, "crop_size": {"height": 20, "width": 20},
                "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "rescale_factor": 0.00784313725490196, "offset": true,
                "resample": 2}"#,
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for file in ["config.json", "model.safetensors"] {
            std::fs::copy(golden(case).join(file), folder.path().join(file)).unwrap();
        }
        std::fs::write(folder.path().join("preprocessor_config.json"), json).unwrap();
        let (config, checkpoint) = load_model(folder.path(), None).unwrap();
        assert!(checkpoint.warnings().is_empty(), "{:?}", checkpoint.warnings());
        let (shape, want) = fixture(name);
        let want: Vec<f32> = bytemuck::pod_collect_to_vec(&want);
        let config = config.with(|config| {
            (config.frames, config.image_size) = (shape[0] as u32, [shape[2] as u32, shape[3] as u32]);
        });
        let clip = load_clip_bytes(&gif, Path::new("a.gif"), &config).unwrap();
        let got: Vec<f32> = clip.frames.iter().flat_map(|frame| normalise(frame, &config).unwrap()).collect();
        assert_eq!(got.len(), want.len());
        let byte = 1.01 / 255.0 / config.preprocess.std.iter().copied().fold(f32::INFINITY, f32::min);
        let near = got.iter().zip(&want).filter(|(got, want)| (*got - *want).abs() <= byte).count();
        let same = got.iter().zip(&want).filter(|(got, want)| (*got - *want).abs() <= byte / 100.0).count();
        let share = |count: usize| count as f64 / got.len() as f64;
        assert!(share(near) >= 0.999 && share(same) >= 0.9, "{name}: {} {}", share(near), share(same));
        // From bytes a session makes the same values.
        let pixels = clip.pixels();
        let values = Images::Pixels(&pixels).normalised(&config).unwrap().into_owned();
        assert!(values == got, "{name}");
    }
}

#[test]
fn broken_clips_are_refused() {
    let (_, gif) = fixture("gif");
    let one = |frames: u32| {
        let mut bytes = Vec::new();
        let mut encoder = GifEncoder::new(&mut bytes);
        (0..frames).for_each(|_| encoder.encode_frame(Frame::new(RgbaImage::new(2, 2))).unwrap());
        drop(encoder);
        bytes
    };
    assert_eq!(refused(seen(&one(1), 4)), "has 1 frame, and the network sees 4; a clip has two at least");
    assert_eq!(seen(&one(2), 4).unwrap().frames.len(), 4);
    let many = refused(seen(&one((1 << 14) + 1), 4));
    assert!(many.contains("has more than 16384 frames, which are too many"), "{many}");
    // A canvas of 65535 x 65535 pixels is refused before anything is decoded.
    let mut large = gif.clone();
    large[6..10].fill(0xff);
    assert!(refused(seen(&large, 4)).contains("65535 x 65535 pixels, which are too many"));
    for kind in ["gif", "png", "webp"] {
        let (_, bytes) = fixture(kind);
        let cut = refused(seen(&bytes[..bytes.len() / 2], 6));
        assert!(cut.contains("broken"), "{kind}: {cut}");
        for at in 0..bytes.len() {
            if let Err(error) = seen(&bytes[..at], 6) {
                assert!(matches!(error, Error::File { .. }), "{kind} {at}: {error}");
            }
            let mut spoilt = bytes.clone();
            spoilt[at] ^= 0xff;
            _ = seen(&spoilt, 6);
        }
    }
    assert!(refused(seen(b"", 4)).contains("is no clip"));
    let mut still = std::io::Cursor::new(Vec::new());
    DynamicImage::new_rgb8(3, 3).write_to(&mut still, image::ImageFormat::Png).unwrap();
    let why = refused(seen(still.get_ref(), 4));
    assert!(why.contains("does not move") && why.contains("ffmpeg -i IN frames/%05d.png"), "{why}");
    assert!(matches!(seen(&gif, 1), Err(Error::Input(why)) if why.contains("no clips")));
}
