use std::collections::BTreeSet;
use std::path::Path;

use image::{Rgb, RgbImage};
use tome_wgpu::files::load_model;

use crate::{digit, golden, indices, tome};

fn visualize(out: &Path, more: &[&str]) -> crate::Run {
    let image = digit(3);
    tome(&[&["visualize", &image, "--out", out.to_str().unwrap(), "--device", "cpu"], more].concat())
}

#[test]
fn groups_are_painted_the_same_every_time() {
    let folder = tempfile::tempdir().unwrap();
    let [once, again, plain] = ["once.png", "again.png", "plain.png"].map(|name| folder.path().join(name));
    let run = visualize(&once, &["--r", "16"]).done();
    assert!(run.stderr.contains("197 181 165 149 133 117 101 85 69"), "{}", run.stderr);
    visualize(&again, &["--r", "16"]).done();
    visualize(&plain, &["--r", "0"]).done();
    let [once, again, plain] = [once, again, plain].map(|path| image::open(path).unwrap().into_rgb8());
    assert_eq!(once.dimensions(), (224, 224), "56 pixels in patches of 4, enlarged");
    assert!(once == again && once != plain);
}

#[test]
fn it_matters_who_may_merge() {
    let folder = tempfile::tempdir().unwrap();
    let mut painted = Vec::new();
    for partition in ["alternating", "sequential", "every:4", "random:1", "lines", "frames", "energy"] {
        let out = folder.path().join("out.png");
        visualize(&out, &["--r", "16", "--partition", partition]).done();
        let picture = image::open(out).unwrap().into_rgb8();
        assert!(!painted.contains(&picture), "{partition}");
        painted.push(picture);
    }
}

#[test]
fn a_strip_shows_every_block() {
    let folder = tempfile::tempdir().unwrap();
    let [strip, last] = ["strip.png", "last.png"].map(|name| folder.path().join(name));
    visualize(&strip, &["--r", "16:-1", "--strip"]).done();
    visualize(&last, &["--r", "16:-1"]).done();
    let strip = image::open(strip).unwrap().into_rgb8();
    let last = image::open(last).unwrap().into_rgb8();
    // The picture and 8 blocks, 7 in a row with gaps of 6.
    assert_eq!(strip.dimensions(), (7 * 230 + 6, 2 * 230 + 6));
    let panel = image::imageops::crop_imm(&strip, 6 + 230, 6 + 230, 224, 224).to_image();
    assert!(panel == last, "the last panel is the whole network's");
}

/// Every patch of another colour.
fn colour(patch: usize) -> [u8; 3] {
    [37 * patch + 11, 91 * patch + 5, 151 * patch + 77].map(|v| (v % 256) as u8)
}

/// Panels of networks whose patches are no square and follow 0 to 5 other tokens, and of those that take pictures of any shape,
/// pixel by pixel.
#[test]
fn a_strip_paints_each_blocks_groups_where_the_patches_are() {
    let folder = tempfile::tempdir().unwrap();
    let [picture, strip, out] = ["picture.png", "strip.png", "out"].map(|name| folder.path().join(name));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    for (case, prefix, shape) in [
        ("rect", 1, None),
        ("avg_plain", 0, None),
        ("distilled", 2, None),
        ("reg4", 5, None),
        ("reg4_avg_nocls_size", 4, None),
        ("naflex", 0, Some([4, 7])),
        ("naflex", 0, Some([2, 14])),
        ("naflex_classifier", 0, Some([8, 3])),
    ] {
        let (config, _) = load_model(&golden(case), None).unwrap();
        let [[rows, columns], [high, wide]] = [shape.unwrap_or(config.grid()), config.patch_size];
        let [height, width] =
            shape.map_or(config.image_size, |[rows, columns]| [rows * high, columns * wide]);
        let number = |row: u32, column: u32| (row * columns + column) as usize;
        RgbImage::from_fn(width, height, |x, y| Rgb(colour(number(y / high, x / wide))))
            .save(&picture)
            .unwrap();
        let (model, picture) = (text(&golden(case)), text(&picture));
        let same = ["--model", &model, "--r", "3", "--device", "cpu"];
        let paint = ["visualize", &picture, "--strip", "--out", &text(&strip)];
        tome(&[&paint[..], &same[..]].concat()).done();
        let run = ["infer", "--input", &picture, "--output", &text(&out), "--want", "source_per_block"];
        tome(&[&run[..], &same[..]].concat()).done();

        let strip = image::open(&strip).unwrap().into_rgb8();
        let (shape, maps) = indices(&std::fs::read(&out).unwrap(), "source_per_block");
        assert_eq!(shape[2] as u32, prefix + config.patches(), "{case}");
        // Patches are at least 16 pixels wide in the picture, and 6 lie between panels.
        let factor = 16u32.div_ceil(high.min(wide));
        let [high, wide] = [high * factor, wide * factor];
        for (block, map) in (1..).zip(maps.chunks(shape[2])) {
            // Padding is behind a picture's own patches.
            let groups = &map[prefix as usize..][..(rows * columns) as usize];
            let left = 6 + block * (width * factor + 6);
            let what = format!("{case}, block {block}");
            assert!(groups.iter().collect::<BTreeSet<_>>().len() < groups.len(), "{what}: nothing merged");
            for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
                let own = groups[number(row, column)];
                let members: Vec<usize> = (0..groups.len()).filter(|&other| groups[other] == own).collect();
                let mean = [0, 1, 2].map(|channel| {
                    let sum: usize = members.iter().map(|&patch| usize::from(colour(patch)[channel])).sum();
                    ((2 * sum + members.len()) / (2 * members.len())) as u8
                });
                let at = |x: u32, y: u32| strip.get_pixel(left + column * wide + x, 6 + row * high + y).0;
                assert_eq!(at(wide / 2, high / 2), mean, "{what}, patch at {row}, {column}");
                // There is an outline to another group and to the picture's edge, and none within a group.
                let right = column + 1 < columns && groups[number(row, column + 1)] == own;
                let below = row + 1 < rows && groups[number(row + 1, column)] == own;
                assert_eq!(at(wide - 1, high / 2) == mean, right, "{what}, right of {row}, {column}");
                assert_eq!(at(wide / 2, high - 1) == mean, below, "{what}, below {row}, {column}");
            }
        }
    }
}

#[test]
fn a_picture_of_any_shape_keeps_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let [picture, out] = ["picture.png", "out.png"].map(|name| folder.path().join(name));
    RgbImage::from_fn(50, 30, |x, y| Rgb(colour((y * 50 + x) as usize))).save(&picture).unwrap();
    let model = golden("naflex");
    let args = ["visualize", picture.to_str().unwrap(), "--model", model.to_str().unwrap(), "--r", "3"];
    let run = tome(&[&args[..], &["--out", out.to_str().unwrap(), "--device", "cpu"]].concat()).done();
    // Patches of 4 x 7 of 29 at most, without the padding; each is 16 pixels wide.
    assert!(run.stderr.contains("28 25 22"), "{}", run.stderr);
    assert_eq!(image::open(&out).unwrap().into_rgb8().dimensions(), (7 * 16, 4 * 16));
}

#[test]
fn what_cannot_be_painted_is_said() {
    let folder = tempfile::tempdir().unwrap();
    visualize(&folder.path().join("out.jpg"), &[]).failed("PNG");
    visualize(&folder.path().join("no/folder/out.png"), &[]).failed("cannot be written");
    tome(&["visualize", "absent.png", "--out", "out.png"]).failed("absent.png");
    tome(&["visualize", &digit(3), "--r", "4"]).misused("--out");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
