//! Networks that hear, and networks that see clips.

use std::path::{Path, PathBuf};

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::{AnimationDecoder, Rgb, RgbImage};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};

use crate::{golden, repository, tome};

/// A tensor of a fixture of tests/files as a file.
fn file(folder: &Path, fixture: &str, tensor: &str, name: &str) -> PathBuf {
    let bytes = std::fs::read(repository("tests/files").join(fixture)).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, SafeTensors::deserialize(&bytes).unwrap().tensor(tensor).unwrap().data()).unwrap();
    path
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The command with a golden network on the CPU.
fn with(case: &str, args: &[&str]) -> crate::Run {
    let model = golden(case);
    tome(&[args, &["--model", text(&model), "--device", "cpu"]].concat())
}

fn floats(path: &Path, name: &str) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    bytemuck::pod_collect_to_vec(SafeTensors::deserialize(&bytes).unwrap().tensor(name).unwrap().data())
}

#[test]
fn sounds_are_classified() {
    let folder = tempfile::tempdir().unwrap();
    let [wav, flac] =
        ["wav", "flac"].map(|kind| file(folder.path(), "sounds.safetensors", kind, &format!("a.{kind}")));
    let run =
        with("hf_ast_classifier", &["classify", text(&wav), text(&flac), "--r", "4", "--top", "2"]).done();
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 6, "{}", run.stdout);
    assert!(lines[0].ends_with("a.wav") && lines[3].ends_with("a.flac") && lines[1].contains("thing"));
    assert_eq!(lines[1..3], lines[4..6], "FLAC loses nothing");
    assert!(run.stderr.contains("a.wav: its first 0.46 s are heard"), "{}", run.stderr);
    // The folder with what is no sound in it.
    std::fs::write(folder.path().join("about.txt"), "no sound").unwrap();
    std::fs::write(folder.path().join("broken.ogg"), "no sound").unwrap();
    let run = with("hf_ast_classifier", &["classify", text(folder.path()), "--json"])
        .failed("1 of 3 sounds could not be read");
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(json["preprocess"]["sampling_rate"], 16_000);
    assert!(json["images"][2]["error"].as_str().unwrap().contains("broken.ogg"), "{json}");
    assert!(!run.stderr.contains("probe"), "the decoder is quiet: {}", run.stderr);
}

#[test]
fn each_network_takes_what_it_has_a_sense_for() {
    let folder = tempfile::tempdir().unwrap();
    let wav = file(folder.path(), "sounds.safetensors", "wav", "a.wav");
    let gif = file(folder.path(), "frames.safetensors", "gif", "a.gif");
    let digit = crate::digit(3);
    let fails = |case: &str, input: &str, why: &str| _ = with(case, &["classify", input]).failed(why);
    fails("hf_ast_classifier", text(&gif), "1 of 1 sounds could not be read");
    fails("hf_ast_classifier", &digit, "is no sound that is known");
    fails("hf_vivit_classifier", text(&wav), "is no clip");
    fails("hf_vivit_classifier", &digit, "is a picture that does not move");
    fails("hf_vit_classifier", text(&wav), "is no picture");
    fails("hf_ast", text(&wav), "has no classes");
    with("hf_ast_classifier", &["classify", text(&wav), "--mean", "0.5"]).failed("the network hears sounds");
    with("hf_ast_classifier", &["classify", text(folder.path())]).done();
    with("hf_vivit_classifier", &["classify", text(folder.path())]).done();
}

#[test]
fn clips_are_files_and_folders_of_frames() {
    let folder = tempfile::tempdir().unwrap();
    let gif = file(folder.path(), "frames.safetensors", "gif", "a.gif");
    let frames = folder.path().join("frames");
    std::fs::create_dir(&frames).unwrap();
    let decoder = GifDecoder::new(std::io::BufReader::new(std::fs::File::open(&gif).unwrap())).unwrap();
    for (number, frame) in decoder.into_frames().enumerate() {
        let frame = frame.unwrap().into_buffer();
        image::DynamicImage::from(frame)
            .into_rgb8()
            .save(frames.join(format!("{}.png", number + 7)))
            .unwrap();
    }
    let run = with("hf_vivit_classifier", &["classify", text(&gif), text(&frames), "--r", "3"]).done();
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines[1..lines.len() / 2], lines[lines.len() / 2 + 1..], "{}", run.stdout);
    assert!(run.stderr.contains("frames: 4 of its 6 frames are seen, at even distances"), "{}", run.stderr);
    // All clips below a folder: the GIF, and the folder of frames.
    let run =
        with("hf_vivit_classifier", &["classify", text(folder.path()), "--recursive", "--top", "1"]).done();
    assert_eq!(run.stdout.lines().count(), 4, "{}", run.stdout);
    // A folder that could be either.
    std::fs::copy(&gif, frames.join("b.gif")).unwrap();
    with("hf_vivit_classifier", &["classify", text(&frames)])
        .failed("holds 6 single pictures and 1 animated ones");
}

/// By the processors' own names and shapes, and as the goldens have it.
#[test]
fn tensors_of_clips_and_spectrograms_are_read() {
    let folder = tempfile::tempdir().unwrap();
    for case in ["hf_ast_classifier", "audiomae_classifier", "hf_videomae_classifier", "hf_vivit"] {
        let out = folder.path().join(format!("{case}.safetensors"));
        let input = golden(case).join("input.safetensors");
        with(case, &["infer", "--input", text(&input), "--output", text(&out), "--r", "4"]).done();
        let want = floats(&golden(case).join("expected.safetensors"), "features");
        let got = floats(&out, "features");
        let apart = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // Features of up to 4, as in tests/golden.
        assert!(got.len() == want.len() && apart < 4e-5, "{case}: {apart}");
        // Of another network.
        let other = if case == "hf_ast_classifier" { "hf_vivit" } else { "hf_ast" };
        with(other, &["infer", "--input", text(&input), "--output", text(&out)])
            .failed("and the network reads [");
    }
}

/// A square that moves over a still ground.
fn moving(path: &Path) {
    let mut encoder = image::codecs::gif::GifEncoder::new(std::fs::File::create(path).unwrap());
    for number in 0..6 {
        let frame = RgbImage::from_fn(12, 12, |x, y| {
            let inside = (2 * number..2 * number + 4).contains(&x) && (4..8).contains(&y);
            if inside { Rgb([250, 20, 20]) } else { Rgb([(x / 4 * 80) as u8, (y / 4 * 80) as u8, 90]) }
        });
        let frame = image::DynamicImage::from(frame).into_rgba8();
        encoder.encode_frame(image::Frame::new(frame)).unwrap();
    }
}

#[test]
fn clips_are_painted_as_animations() {
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("clip.gif");
    moving(&clip);
    let [gif, png, strip] = ["out.gif", "out.png", "strip.png"].map(|name| folder.path().join(name));
    let paint = |out: &Path, more: &[&str]| {
        let args = ["visualize", text(&clip), "--out", text(out), "--r", "6"];
        with("hf_videomae_classifier", &[&args[..], more].concat()).done()
    };
    let run = paint(&gif, &[]);
    assert!(run.stderr.contains("27 21 15"), "{}", run.stderr);
    paint(&png, &[]);
    paint(&strip, &["--strip"]);
    let open = |path: &Path| std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let frames = |frames: image::Frames<'_>| -> Vec<RgbImage> {
        let frames = frames.map(|frame| image::DynamicImage::from(frame.unwrap().into_buffer()).into_rgb8());
        frames.collect()
    };
    let of_gif = frames(GifDecoder::new(open(&gif)).unwrap().into_frames());
    let of_png = frames(PngDecoder::new(open(&png)).unwrap().apng().unwrap().into_frames());
    let of_strip = frames(PngDecoder::new(open(&strip)).unwrap().apng().unwrap().into_frames());
    // 12 pixels in patches of 4, enlarged four times; plain and two blocks side by side.
    assert_eq!((of_gif.len(), of_png.len(), of_strip.len()), (6, 6, 6));
    assert_eq!((of_png[0].dimensions(), of_strip[0].dimensions()), ((48, 48), (3 * 54 + 6, 60)));
    // Two frames are one tubelet: they have the same groups, and a group one colour through time.
    assert!(of_png[0] == of_png[1] && of_png[2] == of_png[3] && of_png[0] != of_png[4]);
    let last = image::imageops::crop_imm(&of_strip[5], 6 + 2 * 54, 6, 48, 48).to_image();
    assert!(last == of_png[5], "the last panel is the whole network's");
    // The GIF's frames are the same but for its palette.
    let far = of_gif[0].iter().zip(of_png[0].iter()).filter(|(a, b)| a.abs_diff(**b) > 8).count();
    assert!(far < of_png[0].len() / 50, "{far}");
    with("hf_videomae_classifier", &["visualize", text(&clip), "--out", text(&folder.path().join("a.jpg"))])
        .failed("give a name that ends in .png or .gif");
}

/// A still picture, but that each step in time has a blue of its own: what is merged across steps has none of these.
#[test]
fn frame_groups_keep_to_their_time() {
    const BLUES: [u8; 2] = [0, 80];
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("frames");
    std::fs::create_dir(&clip).unwrap();
    for number in 0..4 {
        let blue = BLUES[number / 2];
        let frame = RgbImage::from_fn(15, 12, |x, y| Rgb([(x / 5 * 110) as u8, (y / 4 * 110) as u8, blue]));
        frame.save(clip.join(format!("{number}.png"))).unwrap();
    }
    let out = folder.path().join("out.png");
    for (partition, r, left, crosses) in [
        ("frames", "4", "19 15 11", false),
        // Two of each group and one over, which with the next 5 makes three of each.
        ("frames:2", "5", "19 15 9", false),
        ("alternating", "4", "19 15 11", true),
    ] {
        let args = ["visualize", text(&clip), "--out", text(&out), "--partition", partition, "--r", r];
        let run = with("hf_vivit_classifier", &args).done();
        assert!(run.stderr.contains(left), "{partition}: {}", run.stderr);
        let file = std::io::BufReader::new(std::fs::File::open(&out).unwrap());
        let mut mixed = 0;
        for (number, frame) in PngDecoder::new(file).unwrap().apng().unwrap().into_frames().enumerate() {
            let frame = frame.unwrap().into_buffer();
            // The middles of patches, which are painted 16 high and 20 wide, away from outlines.
            for (x, y) in (0..9).map(|patch| (patch % 3 * 20 + 10, patch / 3 * 16 + 8)) {
                mixed += usize::from(frame.get_pixel(x, y).0[2] != BLUES[number / 2]);
            }
        }
        assert_eq!(mixed > 0, crosses, "{partition}: {mixed} patches of several times");
    }
    with("hf_vivit_classifier", &["visualize", text(&clip), "--out", text(&out), "--partition", "frames:4"])
        .failed("4 frame groups of 18 unprotected tokens");
}

#[test]
fn sounds_are_painted_on_their_spectrogram() {
    let folder = tempfile::tempdir().unwrap();
    let wav = file(folder.path(), "sounds.safetensors", "wav", "a.wav");
    let [out, plain] = ["out.png", "plain.png"].map(|name| folder.path().join(name));
    for (out, r) in [(&out, "6"), (&plain, "0")] {
        with("hf_ast_classifier", &["visualize", text(&wav), "--out", text(out), "--r", r]).done();
    }
    let [out, plain] = [out, plain].map(|path| image::open(path).unwrap().into_rgb8());
    // 24 bands of 44 windows; patches begin every 5 and are enlarged to 16 pixels at least.
    assert_eq!((out.dimensions(), out != plain), ((44 * 4, 24 * 4), true));
    with("hf_ast_classifier", &["visualize", text(&wav), "--out", text(&folder.path().join("a.gif"))])
        .failed("is written as PNG");
}

/// AudioMAE in timm's layout, whose spectrograms have a row for each window.
#[test]
fn a_network_may_hear_with_time_first() {
    let folder = tempfile::tempdir().unwrap();
    let wav = file(folder.path(), "sounds.safetensors", "wav", "a.wav");
    let run = with("audiomae_classifier", &["classify", text(&wav), "--r", "4", "--json"]).done();
    let said = "that it hears, and how, is assumed for `audiomae`: 16000 Hz";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let prepared = &json["preprocess"];
    assert_eq!([&prepared["bands"], &prepared["windows"], &prepared["sampling_rate"]], [20, 24, 16_000]);
    // What the command hears is what a tensor of windows of bands says, with a dimension for the channel or without.
    let config = tome_wgpu::files::load_model(&golden("audiomae_classifier"), None).unwrap().0;
    let values = tome_wgpu::files::hear(&wav, &config).unwrap().values;
    let features = |input: &Path| {
        let out = folder.path().join("out.safetensors");
        with("audiomae_classifier", &["infer", "--input", text(input), "--output", text(&out), "--r", "4"])
            .done();
        floats(&out, "features")
    };
    let heard = features(&wav);
    for (name, shape) in [("input_values", vec![1, 24, 20]), ("images", vec![1, 1, 24, 20])] {
        let view = TensorView::new(Dtype::F32, shape, bytemuck::cast_slice(&values)).unwrap();
        let path = folder.path().join(format!("{name}.safetensors"));
        std::fs::write(&path, serialize([(name, view)], None).unwrap()).unwrap();
        assert_eq!(features(&path), heard, "{name}");
    }
    // Time runs from left to right, and low tones are at the bottom: a low tone that ends half way.
    let low = folder.path().join("low.wav");
    let tone =
        (0..4000).map(|at| (9000.0 * (at as f32 * 0.12).sin() * if at < 2000 { 1.0 } else { 0.0 }) as i16);
    std::fs::write(&low, wave(&tone.collect::<Vec<_>>())).unwrap();
    let out = folder.path().join("out.png");
    with("audiomae_classifier", &["visualize", text(&low), "--out", text(&out), "--r", "0"]).done();
    let painted = image::open(out).unwrap().into_rgb8();
    assert_eq!(painted.dimensions(), (24 * 4, 20 * 4));
    let bright = |x: u32, y: u32| u32::from(painted.get_pixel(x, y)[0]);
    let loud = bright(20, 66);
    for (x, y) in [(20, 6), (70, 66), (70, 6)] {
        assert!(loud > bright(x, y) + 40, "{loud}, {} at {x}, {y}", bright(x, y));
    }
}

/// A WAV file of 16 kHz.
fn wave(samples: &[i16]) -> Vec<u8> {
    let data = 2 * samples.len() as u32;
    let mut file = [&b"RIFF"[..], &(36 + data).to_le_bytes(), b"WAVEfmt ", &16u32.to_le_bytes()].concat();
    [1u16, 1].iter().for_each(|value| file.extend(value.to_le_bytes()));
    [16_000u32, 32_000].iter().for_each(|value| file.extend(value.to_le_bytes()));
    [2u16, 16].iter().for_each(|value| file.extend(value.to_le_bytes()));
    file.extend([&b"data"[..], &data.to_le_bytes()].concat());
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}
