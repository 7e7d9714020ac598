//! Pictures, folders and tensors as people bring them.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::Value;

use crate::{digit, golden, repository, tome};

/// A folder of digits and of what else lies about.
fn album() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let picture = std::fs::read(digit(3)).unwrap();
    put("a.png", &picture);
    put("b.JPE", &picture);
    put("c", &picture);
    put("d.jpg", b"broken");
    put("notes.txt", b"no picture");
    put("e.avif", b"\0\0\0 ftypavif\0\0\0\0");
    std::fs::create_dir(folder.path().join("more")).unwrap();
    put("more/z.png", &picture);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("nowhere", folder.path().join("f.jpg")).unwrap();
        std::os::unix::fs::symlink("..", folder.path().join("more/up")).unwrap();
    }
    folder
}

fn lines(path: &Path) -> Vec<Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
#[cfg(unix)]
fn rows_bear_their_names_and_nothing_is_left_out_silently() {
    let (folder, out) = (album(), tempfile::tempdir().unwrap());
    let output = out.path().join("o.safetensors");
    let args = [
        "infer",
        "--device",
        "cpu",
        "--input",
        folder.path().to_str().unwrap(),
        "--output",
        output.to_str().unwrap(),
    ];
    let run = tome(&[&args[..], &["-v"]].concat()).failed("3 of 6 images could not be read");
    assert!(run.stderr.contains("left out") && run.stderr.contains("notes.txt"), "{}", run.stderr);
    assert!(run.stderr.contains("AVIF"), "{}", run.stderr);
    let rows = lines(&out.path().join("o.jsonl"));
    let names: Vec<&str> =
        rows.iter().map(|row| row["path"].as_str().unwrap().rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["a.png", "b.JPE", "c", "d.jpg", "e.avif", "f.jpg"]);
    let failed: Vec<bool> = rows.iter().map(|row| row["error"].is_string()).collect();
    assert_eq!(failed, [false, false, false, true, true, true]);
    let file = std::fs::read(&output).unwrap();
    let (_, header) = SafeTensors::read_metadata(&file).unwrap();
    let about = header.metadata().as_ref().unwrap();
    let paths: Vec<String> = serde_json::from_str(&about["paths"]).unwrap();
    assert!(paths.len() == 6 && paths[0].ends_with("a.png") && about["preprocess"].contains("mean"));

    // With what lies in folders, and a link in a circle.
    let run = tome(&[&args[..], &["--recursive", "-q"]].concat()).failed("3 of 7 images");
    assert!(!run.stderr.contains("left out"));
    assert!(lines(&out.path().join("o.jsonl"))[6]["path"].as_str().unwrap().ends_with("more/z.png"));
}

#[test]
fn a_bad_picture_costs_its_own_line() {
    let folder = album();
    let run =
        tome(&["classify", "--device", "cpu", folder.path().to_str().unwrap()]).failed("could not be read");
    assert_eq!(run.stdout.matches("%  3").count(), 3, "{}", run.stdout);
    let run = tome(&["classify", "--device", "cpu", "--json", "-q", folder.path().to_str().unwrap()]);
    assert_eq!(run.code, Some(1));
    let json: Value = serde_json::from_str(&run.stdout).unwrap();
    let images = json["images"].as_array().unwrap();
    assert!(images[3]["error"].as_str().unwrap().contains("d.jpg") && images[0]["top"][0]["label"] == "3");
    assert_eq!(json["preprocess"]["source"], "pretrained_cfg");
}

#[test]
fn scores_are_what_the_network_gives() {
    let classify = |case: &str| {
        let model = golden(case);
        tome(&["classify", "--device", "cpu", "--json", "-q", "--model", model.to_str().unwrap(), &digit(3)])
    };
    for case in ["hf_clip_projection", "hf_vit_model"] {
        classify(case).failed("no classes");
    }
    // The same network with labels that do not exclude each other.
    let folder = tempfile::tempdir().unwrap();
    let config = std::fs::read_to_string(golden("hf_vit_classifier").join("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["problem_type"] = "multi_label_classification".into();
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    std::fs::copy(
        golden("hf_vit_classifier").join("model.safetensors"),
        folder.path().join("model.safetensors"),
    )
    .unwrap();
    let top = |run: crate::Run| -> Vec<f64> {
        let json: Value = serde_json::from_str(&run.done().stdout).unwrap();
        let top = json["images"][0]["top"].as_array().unwrap();
        top.iter().map(|class| class["probability"].as_f64().unwrap()).collect()
    };
    let one = top(classify("hf_vit_classifier"));
    let each = top(tome(&[
        "classify",
        "--device",
        "cpu",
        "--json",
        "-q",
        "--model",
        folder.path().to_str().unwrap(),
        &digit(3),
    ]));
    // Of the same logits: softmax's ratio is that of the odds.
    let odds = |p: f64| p / (1.0 - p);
    assert!((one[0] / one[1] - odds(each[0]) / odds(each[1])).abs() < 1e-3, "{one:?} {each:?}");
    assert!((one[0] - each[0]).abs() > 0.05);
}

#[test]
fn nan_is_an_error_and_no_class() {
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::read(repository("models/digits/model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let nan = f32::NAN.to_le_bytes().repeat(10);
    let views = tensors.iter().map(|(name, view)| match name {
        "head.bias" => (name, TensorView::new(Dtype::F32, vec![10], &nan).unwrap()),
        _ => (name, view),
    });
    std::fs::write(folder.path().join("model.safetensors"), serialize(views, None).unwrap()).unwrap();
    std::fs::copy(repository("models/digits/config.json"), folder.path().join("config.json")).unwrap();
    tome(&["classify", "--device", "cpu", "--model", folder.path().to_str().unwrap(), &digit(3)])
        .failed("NaN");
}

#[test]
fn how_pictures_are_prepared_is_said_and_can_be_set() {
    let model = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(golden("hf_vit_classifier").join(file), model.path().join(file)).unwrap();
    }
    let model = model.path();
    let classify = |more: &[&str]| {
        tome(
            &[
                &["classify", "--device", "cpu", "--json", "--model", model.to_str().unwrap(), &digit(3)],
                more,
            ]
            .concat(),
        )
    };
    let run = classify(&[]).done();
    assert!(run.stderr.contains("WARN") && run.stderr.contains("--mean"), "{}", run.stderr);
    assert!(classify(&["-v"]).done().stderr.contains("pictures: squashed (bilinear)"));
    let flags = [
        "--mean",
        "0.1,0.2,0.3",
        "--std",
        "0.5",
        "--resize",
        "25",
        "--interpolation",
        "lanczos",
        "--channel-order",
        "bgr",
        "--exif",
        "off",
        "-q",
    ];
    let run = classify(&flags).done();
    let json: Value = serde_json::from_str(&run.stdout).unwrap();
    let said = &json["preprocess"];
    assert!((said["mean"][2].as_f64().unwrap() - 0.3).abs() < 1e-6 && said["std"][0] == 0.5);
    assert_eq!((&said["resize"], &said["interpolation"]), (&"shortest".into(), &"lanczos".into()));
    assert_eq!((&said["channel_order"], &said["exif"]), (&"bgr".into(), &false.into()));
    assert!((said["crop"].as_f64().unwrap() - 0.8).abs() < 1e-6, "20 of 25 pixels");
    classify(&["--mean", "1,2"]).failed("2 values");
    classify(&["--std", "0"]).failed("std");
    classify(&["--resize", "10"]).failed("less than the input");
    classify(&["--resize", "30x40"]).failed("proportions");
    classify(&["--crop", "2"]).failed("crop");
    classify(&["--resize", "wide"]).misused("HEIGHTxWIDTH");
}

#[test]
fn a_picture_comes_from_standard_input() {
    for command in ["classify", "infer"] {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("o.safetensors");
        let mut tome = Command::new(crate::place!("CARGO_BIN_EXE_tome"));
        tome.args([command, "--device", "cpu"]);
        match command {
            "classify" => tome.arg("-"),
            _ => tome.args(["--input", "-", "--output", output.to_str().unwrap()]),
        };
        let mut run =
            tome.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        run.stdin.take().unwrap().write_all(&std::fs::read(digit(3)).unwrap()).unwrap();
        let done = run.wait_with_output().unwrap();
        assert!(done.status.success());
        assert!(command != "classify" || String::from_utf8(done.stdout).unwrap().contains("%  3"));
    }
}

#[test]
fn tensors_come_by_other_names_and_from_numpy() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let values: Vec<f32> = (0..2 * 56 * 56).map(|i| (i as f32 * 0.37).sin()).collect();
    let bytes: &[u8] = bytemuck::cast_slice(&values);
    for name in ["images", "pixel_values"] {
        let view = TensorView::new(Dtype::F32, vec![2, 1, 56, 56], bytes).unwrap();
        std::fs::write(path(&format!("{name}.safetensors")), serialize([(name, view)], None).unwrap())
            .unwrap();
    }
    let npy = |kind: &str, shape: &str, fortran: &str, data: &[u8]| {
        let mut header = format!("{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
        header.push_str(&" ".repeat(63 - (10 + header.len()) % 64));
        header.push('\n');
        let mut file = b"\x93NUMPY\x01\0".to_vec();
        file.extend((header.len() as u16).to_le_bytes());
        file.extend(header.bytes());
        file.extend(data);
        std::fs::write(path("x.npy"), file).unwrap();
    };
    let infer = |input: &str| {
        let (input, output) = (path(input), path("o.safetensors"));
        let run = tome(&[
            "infer", "--device", "cpu", "--batch", "1", "--want", "logits", "--input", &input, "--output",
            &output,
        ]);
        (run, std::fs::read(output).ok())
    };
    let logits = |file: Option<Vec<u8>>| {
        SafeTensors::deserialize(&file.unwrap()).unwrap().tensor("logits").unwrap().data().to_vec()
    };
    let want = logits(infer("images.safetensors").1);
    assert!(logits(infer("pixel_values.safetensors").1) == want);
    npy("<f4", "(2, 1, 56, 56)", "False", bytes);
    assert!(logits(infer("x.npy").1) == want);
    let doubles: Vec<f64> = values.iter().map(|&v| v.into()).collect();
    npy("<f8", "(2, 1, 56, 56)", "False", bytemuck::cast_slice(&doubles));
    assert!(logits(infer("x.npy").1) == want);
    npy("<i4", "(2, 1, 56, 56)", "False", bytes);
    infer("x.npy").0.failed("float32");
    npy("<f4", "(2, 1, 56, 56)", "True", bytes);
    infer("x.npy").0.failed("Fortran");
    npy("<f4", "(2, 56, 56)", "False", bytes);
    infer("x.npy").0.failed("[images, 1, 56, 56]");
    // What has been computed before an error is kept, and says where it ends.
    std::fs::remove_file(path("o.safetensors")).unwrap();
    npy("<f4", "(6, 1, 56, 56)", "False", &[bytes, bytes, bytes].concat()[..bytes.len() * 5 / 2]);
    infer("x.npy").0.failed("5 of 6 images are done");
    assert!(!folder.path().join("o.safetensors").exists());
    let rows = lines(&folder.path().join("o.partial.jsonl"));
    assert_eq!(rows.iter().filter(|row| row["error"] == "not run").count(), 1);
    let kept = std::fs::read(path("o.partial.safetensors")).unwrap();
    let (shape, values) = crate::infer::floats(&kept, "logits");
    assert_eq!(shape, [6, 10]);
    assert!(values[..50].iter().all(|v| v.is_finite()) && values[50..].iter().all(|v| v.is_nan()));
    npy("<f4", "(2, 1, 56, 56)", "False", &bytes[..8]);
    infer("x.npy").0.failed("x.npy");
    std::fs::write(path("x.npy"), "no array").unwrap();
    infer("x.npy").0.failed("x.npy");
}
