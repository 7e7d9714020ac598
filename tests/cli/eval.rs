use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use image::GrayImage;
use serde_json::Value;

use crate::{CACHE, Run, golden, gpu_required, place, repository, tome};

/// Records of 8x8 grey pixels and a label; the network has two of them wrong, 383 and 444.
const RECORD: usize = 65;

fn digits() -> Vec<u8> {
    std::fs::read(repository("models/digits/heldout.bin")).unwrap()
}

/// A folder of the held-out digits of these records, each in the folder of its class.
fn album(records: impl Iterator<Item = usize>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let digits = digits();
    for record in records {
        let bytes = &digits[record * RECORD..][..RECORD];
        let class = folder.path().join(bytes[64].to_string());
        std::fs::create_dir_all(&class).unwrap();
        let picture = GrayImage::from_raw(8, 8, bytes[..64].to_vec()).unwrap();
        picture.save(class.join(format!("{record:03}.png"))).unwrap();
    }
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn args<'a>(images: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    [&["eval", "--device", "cpu", "--images", text(images)], more].concat()
}

fn eval(images: &Path, more: &[&str]) -> Run {
    tome(&args(images, more))
}

/// The one document that was printed.
fn document(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {}", run.stdout))
}

fn estimate(row: &Value, figure: &str) -> f64 {
    let interval = &row[figure];
    let [low, estimate, high] = ["low", "estimate", "high"]
        .map(|end| interval[end].as_f64().unwrap_or_else(|| panic!("{figure} in {row}")));
    assert!(low <= estimate && estimate <= high, "{figure}: {interval}");
    estimate
}

/// Without what a clock says.
fn untimed(mut document: Value) -> Value {
    document["of_an_earlier_run"] = Value::Null;
    for row in document["rows"].as_array_mut().unwrap() {
        for timed in ["images_per_s", "speedup", "peak_bytes"] {
            assert!(row[timed].as_f64().is_some_and(|value| value > 0.0), "{timed} in {row}");
            row[timed] = Value::Null;
        }
    }
    document
}

/// The same but for the last digit, which a file may lose.
fn assert_same(one: &Value, other: &Value) {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!((a - b).abs() <= 1e-12 * a.abs().max(1e-6), "{a} and {b}");
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len());
            a.iter().zip(b).for_each(|(a, b)| assert_same(a, b));
        }
        (Value::Object(a), Value::Object(b)) => {
            assert!(a.keys().eq(b.keys()));
            a.iter().for_each(|(key, a)| assert_same(a, &b[key]));
        }
        _ => assert_eq!(one, other),
    }
}

#[test]
fn accuracy_is_that_of_the_held_out_digits() {
    // The two that the network has wrong are among them.
    let images = album((360..450).chain(0..30));
    let run = eval(images.path(), &["--labels", "folder-names", "--r", "8,1000", "--json"]).done();
    let document = document(&run);
    assert_eq!(
        (&document["images"], &document["labels"]),
        (&120.into(), &"by the names of the network's classes".into())
    );
    let rows = document["rows"].as_array().unwrap();
    let of = |key: &str| rows.iter().map(|row| row[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("r"), [0, 8, 1000], "r = 0 is always there");
    assert_eq!(of("tokens_left"), [197, 133, 2]);
    assert_eq!(of("labelled"), [120, 120, 120]);
    for row in &rows[..2] {
        assert!((estimate(row, "top1") - 118.0 / 120.0).abs() < 1e-12);
        assert_eq!(estimate(row, "top1_change"), 0.0);
        assert_eq!(estimate(row, "agreement"), 1.0);
    }
    let [plain, merged] = [&rows[0], &rows[2]];
    let change = (merged["top1_gained"].as_f64().unwrap() - merged["top1_lost"].as_f64().unwrap()) / 120.0;
    assert!((estimate(merged, "top1") - estimate(plain, "top1") - change).abs() < 1e-12);
    assert!((estimate(merged, "top1_change") - change).abs() < 1e-12);
    assert_eq!(estimate(plain, "divergence"), 0.0);
    let [eight, all] =
        ["divergence", "features"].map(|figure| [1, 2].map(|row| estimate(&rows[row], figure)));
    assert!(eight[0] > 0.0 && eight[1] > 10.0 * eight[0] && all[1] > 10.0 * all[0], "{rows:?}");
    assert_eq!(rows[1]["dense"], Value::Null);
    assert!(rows[2]["promised_speedup"].as_f64().unwrap() > 5.0);
}

#[test]
fn labels_of_all_kinds_give_the_same() {
    let images = album((0..40).chain(440..450));
    let by_folder = eval(images.path(), &["--labels", "folder-names", "--r", "16", "--json"]).done();
    let wanted = untimed(document(&by_folder));

    let digits = digits();
    let mut lines = vec!["path,label".to_owned()];
    for record in (0..40).chain(440..450) {
        let class = digits[record * RECORD + 64];
        lines.push(format!("\"{class}/{record:03}.png\", {class}"));
    }
    // In the order of the folders, which is that of the differences' sums.
    lines[1..].sort_unstable();
    let table = images.path().join("labels.csv");
    for lines in [&lines[..], &lines[1..]] {
        std::fs::write(&table, lines.join("\r\n")).unwrap();
        let by_table = eval(images.path(), &["--labels", text(&table), "--r", "16", "--json"]).done();
        assert_same(&untimed(document(&by_table)), &wanted);
    }

    // Names that are none of the network's, as many as it has: a guess that is said.
    for class in 0..10 {
        let (from, to) =
            (images.path().join(class.to_string()), images.path().join(format!("digit {class}")));
        std::fs::rename(from, to).unwrap();
    }
    let guessed = eval(images.path(), &["--labels", "folder-names", "--r", "16", "--json"]).done();
    assert!(guessed.stderr.contains("taken to be in order: `digit 0 = 0`"), "{}", guessed.stderr);
    let mut guessed = untimed(document(&guessed));
    assert!(guessed["labels"].as_str().unwrap().starts_with("guessed"), "{guessed}");
    guessed["labels"] = wanted["labels"].clone();
    assert_same(&guessed, &wanted);
}

#[test]
fn labels_that_fit_no_class_are_refused() {
    let images = album(0..12);
    let of = |labels: &str| eval(images.path(), &["--labels", labels, "--r", "8"]);
    let table = |text_of: &str| {
        let path = images.path().join("table.csv");
        std::fs::write(&path, text_of).unwrap();
        of(text(&path))
    };
    let some = std::fs::read_dir(images.path().join("0")).unwrap().next().unwrap().unwrap().file_name();
    let some = format!("0/{}", some.to_str().unwrap());
    table(&format!("{some},cat\n"))
        .failed("1 of 1 labels are no classes of the network: `cat`; its 10 classes are `0`");
    table("9/nothing.png,3\n").failed("line 1: ").failed("nothing.png is no file");
    table(&format!("{some},1\n{some},2\n")).failed("line 2: ").failed("stands in line 1 already");
    table(&format!("{some},1,2\n")).failed("line 1 has 3 fields");
    table(&format!("{some},\n")).failed("has no label");
    table("path,label\n").failed("has no pictures in it");
    table("\"\n").failed("line 1 has 1 fields");
    of("nowhere.csv").failed("nowhere.csv: the table of labels cannot be read");
    of("imagenet").failed("the folder `0` is no synset");
    let truth = images.path().join("ILSVRC2012_validation_ground_truth.txt");
    std::fs::write(&truth, "490\n361\n").unwrap();
    let imagenet = format!("imagenet:{}", text(&truth));
    eval(&images.path().join("0"), &["--labels", &imagenet]).failed("ILSVRC2012 ids");
    std::fs::create_dir(images.path().join("cat")).unwrap();
    of("folder-names").failed("`cat`");
    eval(&images.path().join("cat"), &[]).failed("no pictures in this folder");
    eval(&images.path().join("cat"), &["--labels", "folder-names"]).failed("has no folders in it");
    eval(&truth, &[]).failed("is no folder");
}

#[test]
fn a_broken_picture_is_left_out_and_fails_in_the_end() {
    let images = album(0..12);
    std::fs::write(images.path().join("0/broken.png"), b"broken").unwrap();
    let plot = images.path().join("plot.png");
    let more = ["--labels", "folder-names", "--r", "8", "--batch", "5", "--json", "--plot", text(&plot)];
    let run = eval(images.path(), &more).failed("1 of 13 images could not be read and are left out");
    let document = document(&run);
    assert_eq!(document["images"], 12);
    assert_eq!(document["unreadable"][0]["image"], "0/broken.png");
    assert!(document["rows"].as_array().unwrap().iter().all(|row| row["labelled"] == 12), "{document}");
    assert!(run.stderr.contains("left out: ") && run.stderr.contains("broken.png"), "{}", run.stderr);
    let painted = image::open(&plot).unwrap().to_rgb8();
    assert!(painted.pixels().any(|pixel| pixel.0 == [20, 90, 190]), "no dots");

    let none = tempfile::tempdir().unwrap();
    std::fs::write(none.path().join("a.png"), b"broken").unwrap();
    eval(none.path(), &["--r", "8"]).failed("none of the 1 images could be read");
    eval(images.path(), &["--plot", "plot.jpg"]).failed("ends in .png");
}

#[test]
fn features_are_judged_by_neighbours_and_probes() {
    let images = album(0..120);
    let more = ["--labels", "folder-names", "--want", "features,dense", "--r", "16,1000", "--json"];
    let rows = document(&eval(images.path(), &more).done())["rows"].clone();
    for row in rows.as_array().unwrap() {
        assert_eq!((&row["top1"], &row["agreement"]), (&Value::Null, &Value::Null));
        // Of a class there are 12, of which 6 fit.
        for judge in ["probe", "refitted", "neighbours"] {
            assert!(estimate(row, judge) > 0.9, "{judge} in {row}");
            estimate(row, &format!("{judge}_change"));
        }
        assert_eq!(estimate(row, "dense") > 0.0, row["r"] != 0);
        assert_eq!(estimate(row, "dense_cosine") > 0.0, row["r"] != 0);
    }
}

#[test]
fn a_network_without_classes_is_judged_by_its_features() {
    let images = album(0..60);
    let state = images.path().join("state.jsonl");
    let model = golden("hf_dinov2_smaller");
    let more =
        ["--model", text(&model), "--labels", "folder-names", "--r", "2", "--json", "--state", text(&state)];
    let first = document(&eval(images.path(), &more).done());
    assert_eq!(first["labels"], Value::Null);
    for row in first["rows"].as_array().unwrap() {
        // Also by random weights digits are told apart better than by chance, which is a tenth.
        for judge in ["probe", "refitted"] {
            assert!(estimate(row, judge) > 0.2, "{judge} in {row}");
        }
        estimate(row, "neighbours");
        assert!(estimate(row, "features") < 0.5);
    }
    // Features are kept too.
    assert_same(&untimed(document(&eval(images.path(), &more).done())), &untimed(first));
    let features = images.path().join("state.jsonl.features");
    std::fs::File::options().write(true).open(&features).unwrap().set_len(8).unwrap();
    eval(images.path(), &more).failed("state.jsonl.features: has 8 bytes");
    eval(images.path(), &["--model", text(&model), "--recursive", "--want", "logits"])
        .failed("this network has no classes");
    // Without labels there is still what changes.
    let row = document(
        &eval(images.path(), &["--model", text(&model), "--recursive", "--r", "2", "--json"]).done(),
    );
    assert_eq!(row["rows"][1]["probe"], Value::Null);
    assert!(estimate(&row["rows"][1], "features") > 0.0);
}

#[test]
fn what_was_killed_goes_on() {
    let images = album(0..200);
    let state = images.path().join("state.jsonl");
    let more = ["--labels", "folder-names", "--r", "8,16", "--batch", "4", "--json"];
    let whole = untimed(document(&eval(images.path(), &more).done()));
    let kept = [&more[..], &["--state", text(&state)]].concat();

    let mut command = Command::new(place!("CARGO_BIN_EXE_tome"));
    command.args(args(images.path(), &kept)).env(CACHE, "").stdout(Stdio::null()).stderr(Stdio::null());
    let mut run = command.spawn().unwrap();
    let lines = || std::fs::read_to_string(&state).map_or(0, |text| text.lines().count());
    let start = Instant::now();
    while lines() < 20 {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing is kept");
        std::thread::sleep(Duration::from_millis(2));
    }
    run.kill().unwrap();
    run.wait().unwrap();
    let done = lines() - 1;
    assert!(done < 200, "killed too late to show anything");
    // As where the kill came within a line.
    let mut text_so_far = std::fs::read_to_string(&state).unwrap();
    text_so_far.truncate(text_so_far.rfind('\n').unwrap() + 1);
    std::fs::write(&state, text_so_far.clone() + "{\"label\":3,\"pa").unwrap();

    let other = |more: &[&str]| eval(images.path(), &[more, &["--state", text(&state)]].concat());
    other(&["--labels", "folder-names", "--r", "8,13"]).failed("is of another evaluation: ways");
    other(&["--labels", "folder-names", "--r", "8,16", "--mean", "0.4"])
        .failed("is of another evaluation: pictures");
    other(&["--labels", "folder-names", "--r", "8,16", "--limit", "100"])
        .failed("is of other pictures: number 2");
    other(&["--recursive", "--r", "8,16"]).failed("with no label now and was");

    let run = eval(images.path(), &kept).done();
    assert!(run.stderr.contains("images are done already; speed is measured anew"), "{}", run.stderr);
    let resumed = document(&run);
    assert!(resumed["of_an_earlier_run"].as_u64().unwrap() >= 19, "{}", resumed["of_an_earlier_run"]);
    assert_same(&untimed(resumed), &whole);
    assert_eq!(lines(), 201);
}

#[test]
fn what_is_no_state_stays_as_it_is() {
    let images = album(0..3);
    let state = images.path().join("notes.txt");
    for content in ["my notes\n", "my notes", "{\"tome\": 1}\n"] {
        std::fs::write(&state, content).unwrap();
        eval(images.path(), &["--recursive", "--r", "8", "--state", text(&state)]).failed("notes.txt: ");
        assert_eq!(std::fs::read_to_string(&state).unwrap(), content);
    }
    let model = golden("cls").join("model.safetensors");
    let more = ["--model", text(&model), "--state", text(&model)];
    eval(images.path(), &more).failed("is an input or part of the network");
    eval(images.path(), &["--recursive", "--state", text(images.path())]).failed("is no regular file");
    let broken = "{\"tome_eval\":1}\n{\n";
    std::fs::write(&state, broken).unwrap();
    eval(images.path(), &["--recursive", "--state", text(&state)]).failed("is of another evaluation");
}

#[test]
fn an_adapter_gives_the_same_accuracy() {
    if !gpu_required() {
        return println!("SKIP: TOME_REQUIRE_GPU is not set");
    }
    let images = album(0..24);
    let more = ["--device", "0", "--labels", "folder-names", "--r", "8", "--json"];
    let run = tome(&[&["eval", "--images", text(images.path())], &more[..]].concat()).done();
    let rows = document(&run)["rows"].clone();
    for row in rows.as_array().unwrap() {
        assert_eq!(estimate(row, "top1"), 1.0);
        assert_eq!(estimate(row, "agreement"), 1.0);
    }
}

#[test]
fn people_get_tables() {
    let images = album(0..24);
    let run = eval(images.path(), &["--labels", "folder-names", "--r", "8", "--limit", "12"]).done();
    for part in [
        "12 images, 95 % intervals",
        "| accuracy",
        "| change",
        "| top 5",
        "| same class",
        "| KL, nats",
        "100.00 % (",
    ] {
        assert!(run.stdout.contains(part), "`{part}` in {}", run.stdout);
    }
    eval(images.path(), &["--r", "x"]).misused("r = `x`");
    tome(&["eval"]).misused("--images");
}
