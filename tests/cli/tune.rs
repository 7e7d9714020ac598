use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{CACHE, Run, digit, golden, gpu_required, place, run, tome};

/// Runs the command with what it keeps in `cache`.
fn keeping(cache: &Path, args: &[&str]) -> Run {
    run(Command::new(place!("CARGO_BIN_EXE_tome")).args(args).env(CACHE, cache))
}

/// The files with tunings.
fn tunings(cache: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
}

/// The file in which the first adapter's tuning for f32 is looked for, by the log.
fn place(cache: &Path) -> PathBuf {
    let mut command = Command::new(place!("CARGO_BIN_EXE_tome"));
    command.args(["classify", &digit(3), "--device", "0"]).env(CACHE, cache).env("TOME_LOG", "debug");
    let output = command.output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    let path = log.split("no tuning in ").nth(1).and_then(|rest| rest.split(".json").next()).expect("a path");
    format!("{path}.json").into()
}

#[test]
fn ways_are_compared_and_the_best_is_saved_if_it_pays() {
    if !gpu_required() {
        return println!("SKIP: no adapter is required");
    }
    let folder = tempfile::tempdir().unwrap();
    let model = golden("cls");
    let args = ["tune", "--model", model.to_str().unwrap(), "--batch", "1,8", "--rounds", "2"];
    let args = [&args[..], &["--device", "0"]].concat();
    let tuned = keeping(folder.path(), &args).done();
    assert!(!tuned.stderr.contains("left out"), "all ways compute the same: {}", tuned.stderr);
    let rows: Vec<&str> = tuned.stdout.lines().filter(|line| line.contains("tiles, fill")).collect();
    assert!(rows[0].contains("(built in)") && rows[0].contains("1.000"), "{}", tuned.stdout);
    assert!(rows.iter().any(|row| row.contains("| workgroup")), "{}", tuned.stdout);
    let devices = keeping(folder.path(), &["devices"]).done().stdout;
    if tuned.stdout.contains("the built-in choice stands") {
        assert!(tunings(folder.path()).is_empty() && !devices.contains("tuned"), "{devices}");
    } else {
        let [file] = &tunings(folder.path())[..] else { panic!("{:?}", tunings(folder.path())) };
        assert!(tuned.stdout.contains(&file.display().to_string()), "{}", tuned.stdout);
        assert!(devices.contains("tuned     f32: "), "{devices}");
    }
}

#[test]
fn what_is_saved_is_taken_up_until_it_is_forgotten() {
    if !gpu_required() {
        return println!("SKIP: no adapter is required");
    }
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path();
    let classify = |said: bool| {
        let run = keeping(cache, &["classify", &digit(3), "--device", "0"]).done();
        assert_eq!(run.stderr.contains("tuned: workgroup tiles, fill 16"), said, "{}", run.stderr);
        run.stdout.lines().next().unwrap().split_whitespace().nth(1).map(str::to_owned)
    };
    let file = place(cache);
    let first = classify(false);
    std::fs::write(&file, r#"{"tile":"workgroup","fill":16}"#).unwrap();
    assert_eq!(classify(true), first, "the same class");
    let devices = keeping(cache, &["devices"]).done().stdout;
    assert!(devices.contains("tuned     f32: workgroup tiles, fill 16"), "{devices}");
    let model = golden("cls");
    let bench = ["bench", "--model", model.to_str().unwrap(), "--batch", "1", "--r", "0", "--device", "0"];
    let json = keeping(cache, &[&bench[..], &["--json"]].concat()).done().stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["rows"][0]["tuning"], "workgroup tiles, fill 16");
    assert!(keeping(cache, &bench).done().stdout.contains("tuned: workgroup tiles, fill 16"));

    // Broken, of another kind, and of tiles that f32 does not have.
    for broken in ["", "{", "[]", r#"{"tile":"round","fill":16}"#, r#"{"tile":"matrices","fill":16}"#] {
        std::fs::write(&file, broken).unwrap();
        assert_eq!(classify(false), first, "{broken}");
    }
    let forget = ["tune", "--forget", "--device", "0"];
    assert!(keeping(cache, &forget).done().stdout.starts_with("removed what was saved for "));
    assert!(!file.exists());
    assert!(keeping(cache, &forget).done().stdout.starts_with("nothing was saved for "));
}

#[test]
fn the_cpu_path_has_nothing_to_tune() {
    let model = golden("cls");
    tome(&["tune", "--model", model.to_str().unwrap(), "--device", "cpu"]).failed("nothing to tune");
    tome(&["tune", "--forget", "--device", "cpu"]).failed("nothing to tune");
}

#[test]
fn without_a_folder_nothing_is_forgotten() {
    if !gpu_required() {
        return println!("SKIP: no adapter is required");
    }
    tome(&["tune", "--forget", "--device", "0"]).failed(CACHE);
}
