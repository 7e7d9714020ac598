use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::infer::{floats, listing, text};
use crate::{Run, digit, golden, place, tome};

/// A folder with so many pictures, which are digits.
fn album(folder: &Path, pictures: usize) -> PathBuf {
    let album = folder.join("album");
    std::fs::create_dir(&album).unwrap();
    for picture in 0..pictures {
        std::fs::copy(digit([0, 3, 5, 8][picture % 4]), album.join(format!("{picture:05}.png"))).unwrap();
    }
    album
}

fn infer(album: &Path, output: &Path, more: &[&str]) -> Run {
    let args = ["infer", "--input", text(album), "--output", text(output), "--device", "cpu"];
    tome(&[&args[..], &["--want", "logits"], more].concat())
}

/// The logits of every row of an output, by its path, each of which must be there once.
fn rows(output: &Path, all: &mut BTreeMap<String, Vec<f32>>) {
    let (shape, logits) = floats(&std::fs::read(output).unwrap(), "logits");
    let names = std::fs::read_to_string(output.with_extension("jsonl")).unwrap();
    assert_eq!(names.lines().count(), shape[0]);
    for (line, logits) in names.lines().zip(logits.chunks_exact(10)) {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let before = all.insert(row["path"].as_str().unwrap().to_owned(), logits.to_vec());
        assert!(before.is_none(), "{row} is there twice");
    }
}

#[test]
fn shards_together_are_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let album = album(folder.path(), 40);
    let (whole, output) = (folder.path().join("whole.safetensors"), folder.path().join("out.safetensors"));
    infer(&album, &whole, &[]).done();
    let (mut want, mut got) = (BTreeMap::new(), BTreeMap::new());
    rows(&whole, &mut want);
    for shard in 1..=3 {
        infer(&album, &output, &["--shard", &format!("{shard}/3"), "--batch", "5"]).done();
        rows(&folder.path().join(format!("out-0000{shard}-of-00003.safetensors")), &mut got);
    }
    assert_eq!(want.len(), 40);
    assert_eq!(got, want);
}

#[test]
fn a_finished_shard_is_kept_and_another_run_s_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let album = album(folder.path(), 12);
    let output = folder.path().join("out.safetensors");
    let first = folder.path().join("out-00001-of-00002.safetensors");
    let run = |more: &[&str]| infer(&album, &output, &[&["--shard", "1/2"], more].concat());
    assert!(!run(&[]).done().stderr.contains("finished already"));
    let about = |path: &Path| (std::fs::read(path).unwrap(), path.metadata().unwrap().modified().unwrap());
    let before = about(&first);
    assert!(run(&["--batch", "1"]).done().stderr.contains("finished already"));
    run(&["--r", "8"]).failed("is of another run: options");
    run(&["--jpeg", "reduced"]).failed("is of another run: preprocess");
    // Of a hundred more some are in this shard.
    for picture in 0..100 {
        std::fs::copy(digit(3), album.join(format!("new{picture}.png"))).unwrap();
    }
    run(&[]).failed("is of another run: inputs");
    assert_eq!(about(&first), before);
    // What was wrong with some pictures is said again.
    std::fs::remove_file(&first).unwrap();
    for picture in 0..50 {
        std::fs::write(album.join(format!("new{picture}.png")), "broken").unwrap();
    }
    let failed = run(&[]).failed("images could not be read").stderr;
    let said = failed.lines().last().unwrap();
    run(&[]).failed(said.trim_start_matches("error: "));
}

#[test]
#[cfg(unix)]
fn a_killed_shard_started_again_has_every_row_once() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = 3000;
    let album = album(folder.path(), pictures);
    let output = folder.path().join("out.safetensors");
    let args = ["infer", "--input", text(&album), "--output", text(&output), "--device", "cpu", "--quiet"];
    let args = [&args[..], &["--want", "logits", "--shard", "1/2"]].concat();
    let mut running = std::process::Command::new(place!("CARGO_BIN_EXE_tome")).args(&args).spawn().unwrap();
    let hidden = || listing(folder.path()).iter().filter(|name| name.starts_with('.')).count();
    while hidden() < 2 && running.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    std::thread::sleep(std::time::Duration::from_millis(150));
    running.kill().unwrap();
    assert_eq!(running.wait().unwrap().code(), None, "it was killed before it was done");
    assert_eq!(listing(folder.path()).iter().filter(|name| name.starts_with("out")).count(), 0);
    tome(&args).done();
    tome(&[&args[..args.len() - 1], &["2/2"]].concat()).done();
    let mut all = BTreeMap::new();
    for shard in ["1", "2"] {
        rows(&folder.path().join(format!("out-0000{shard}-of-00002.safetensors")), &mut all);
    }
    assert_eq!(all.len(), pictures);
    assert_eq!(hidden(), 0, "nothing of the killed run is left");
}

#[test]
fn a_shard_may_be_empty() {
    let folder = tempfile::tempdir().unwrap();
    let album = album(folder.path(), 1);
    let output = folder.path().join("out.safetensors");
    let mut rows_of = Vec::new();
    for shard in 1..=3 {
        infer(&album, &output, &["--shard", &format!("{shard}/3")]).done();
        let path = folder.path().join(format!("out-0000{shard}-of-00003.safetensors"));
        rows_of.push(floats(&std::fs::read(path).unwrap(), "logits").0[0]);
    }
    rows_of.sort();
    assert_eq!(rows_of, [0, 0, 1]);
}

#[test]
fn a_shard_of_broken_pictures_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let album = album(folder.path(), 3);
    (0..3).for_each(|picture| std::fs::write(album.join(format!("{picture:05}.png")), "broken").unwrap());
    let output = folder.path().join("out.safetensors");
    infer(&album, &output, &["--shard", "1/1"]).failed("3 of 3 images could not be read");
    let mut all = BTreeMap::new();
    rows(&folder.path().join("out-00001-of-00001.safetensors"), &mut all);
    assert!(all.values().flatten().all(|value| value.is_nan()) && all.len() == 3);
}

#[test]
fn shards_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let album = album(folder.path(), 1);
    let output = folder.path().join("out.safetensors");
    for wrong in ["0/3", "4/3", "3", "x/y"] {
        infer(&album, &output, &["--shard", wrong]).misused("I/N");
    }
    let tensors = golden("cls").join("input.safetensors");
    infer(&tensors, &output, &["--shard", "1/2"]).failed("--shard splits pictures");
    std::fs::write(folder.path().join("out-00001-of-00001.safetensors"), "precious").unwrap();
    infer(&album, &output, &["--shard", "1/1"]).failed("out-00001-of-00001.safetensors");
    assert_eq!(listing(folder.path()), ["album", "out-00001-of-00001.safetensors"]);
}
