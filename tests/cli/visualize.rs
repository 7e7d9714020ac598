use std::path::Path;

use crate::{digit, tome};

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

#[test]
fn what_cannot_be_painted_is_said() {
    let folder = tempfile::tempdir().unwrap();
    visualize(&folder.path().join("out.jpg"), &[]).failed("PNG");
    visualize(&folder.path().join("no/folder/out.png"), &[]).failed("cannot be written");
    tome(&["visualize", "absent.png", "--out", "out.png"]).failed("absent.png");
    tome(&["visualize", &digit(3), "--r", "4"]).misused("--out");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
