use std::path::Path;

use image::GrayImage;
use serde_json::Value;

use crate::{Run, digit, golden, repository, tome};

/// The first held-out digits as pictures.
fn pictures(count: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let digits = std::fs::read(repository("models/digits/heldout.bin")).unwrap();
    for (i, record) in digits.chunks_exact(65).take(count).enumerate() {
        let picture = GrayImage::from_raw(8, 8, record[..64].to_vec()).unwrap();
        picture.save(folder.path().join(format!("{i:03}.png"))).unwrap();
    }
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn fit(images: &Path, out: &Path, more: &[&str]) -> Run {
    let args = ["fit", "--device", "cpu", "--images", text(images), "--out", text(out)];
    tome(&[&args[..], more].concat())
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// What is found promises the speed that was asked for, is compared with ToMe's at that speed, and runs.
#[test]
fn a_fit_is_found_and_taken_up() {
    let (images, folder) = (pictures(24), tempfile::tempdir().unwrap());
    let out = folder.path().join("fit.json");
    let args = ["--target", "1.5x", "--cost", "flops", "--tries", "60", "--json"];
    let run = fit(images.path(), &out, &args).done();
    let report = json(&run.stdout);
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows[0]["name"], "constant, keys (ToMe)");
    for row in rows {
        let promised = row["promised_speedup"].as_f64().unwrap();
        assert!((1.5..1.6).contains(&promised), "{row}");
    }
    let chosen = &rows[report["chosen"].as_u64().unwrap() as usize];
    let loss = |row: &Value| row["loss"].as_f64().unwrap();
    assert!(loss(chosen) <= loss(&rows[0]), "ToMe's is among what is chosen from");
    assert!(report["verdict"].as_str().unwrap().contains("24 pictures are few"), "{}", report["verdict"]);
    let file = json(&std::fs::read_to_string(&out).unwrap());
    assert_eq!(file["merging"], chosen["merging"]);
    assert_eq!(file, report["fitted"]);
    assert!(!folder.path().join("fit.json.tried").exists(), "it is of use to an interrupted fit only");

    // The file says all there is to say; a flag goes before it.
    let classify = |more: &[&str]| {
        let digit = digit(3);
        let args = ["classify", &digit, "--device", "cpu", "--json", "--r", text(&out)];
        tome(&[&args[..], more].concat()).done().stdout
    };
    assert_eq!(json(&classify(&[]))["images"][0]["top"][0]["label"], "3");
    assert_ne!(classify(&["--metric", "values", "--prop-attn", "off"]), classify(&[]));
    let bench = tome(
        &["bench", "--device", "cpu", "--batch", "1", "--json", "--model"]
            .iter()
            .copied()
            .chain([text(&repository("models/digits")), "--r", text(&out)])
            .collect::<Vec<_>>(),
    )
    .done();
    let promised = json(&bench.stdout)["rows"][1]["promised_speedup"].as_f64().unwrap();
    assert!((promised - chosen["promised_speedup"].as_f64().unwrap()).abs() < 1e-9);
}

/// Beside the network, and as a table.
#[test]
fn a_fit_beside_the_network_is_what_fitted_means() {
    let (images, model) = (pictures(36), tempfile::tempdir().unwrap());
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(repository("models/digits").join(file), model.path().join(file)).unwrap();
    }
    let model = text(model.path());
    let args = ["fit", "--device", "cpu", "--images", text(images.path()), "--model", model];
    let run = tome(&[&args[..], &["--target", "1.3x", "--cost", "flops", "--tries", "30"]].concat()).done();
    assert!(run.stdout.contains("| constant, keys (ToMe)"), "{}", run.stdout);
    assert!(run.stdout.contains("fitted to 24 pictures; what is lost on 12 others"), "{}", run.stdout);
    let digit = digit(8);
    let args = ["classify", &digit, "--model", model, "--r", "fitted", "--device", "cpu", "--json"];
    assert_eq!(json(&tome(&args).done().stdout)["images"][0]["top"][0]["label"], "8");

    // Of another network it is refused, and without one it is missed.
    let own = Path::new(model).join("fitted.json");
    let other = golden("cls");
    let refused = tome(&["classify", &digit, "--model", text(&other), "--r", text(&own), "--device", "cpu"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("fitted.json") && refused.stderr.contains("8 blocks"),
        "{}",
        refused.stderr
    );
    let missing = tome(&["classify", &digit, "--model", text(&other), "--r", "fitted", "--device", "cpu"]);
    assert!(missing.code == Some(1) && missing.stderr.contains("fitted.json"), "{}", missing.stderr);
}

#[test]
fn what_cannot_be_fitted_is_said() {
    let (images, folder) = (pictures(8), tempfile::tempdir().unwrap());
    let out = folder.path().join("fit.json");
    for (args, said) in [
        (&["--target", "50x", "--cost", "flops"][..], "target 50x cannot be reached"),
        (&["--target", "30ms", "--cost", "flops"], "FLOPs promise none"),
        (&["--target", "error:0.1", "--want", "features,logits"], "name one"),
    ] {
        let run = fit(images.path(), &out, args);
        assert_eq!(run.code, Some(1), "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{args:?}: {}", run.stderr);
        assert!(!out.exists(), "{args:?}");
    }
    for args in [&["--target", "2"][..], &["--target", "2x", "--want", "tokens"]] {
        assert_eq!(fit(images.path(), &out, args).code, Some(2), "{args:?}");
    }
    let few = pictures(3);
    let run = fit(few.path(), &out, &["--target", "1.5x", "--cost", "flops"]);
    assert!(run.code == Some(1) && run.stderr.contains("3 pictures"), "{}", run.stderr);

    // What was tried for something else is not mixed in.
    let tried = folder.path().join("fit.json.tried");
    std::fs::write(&tried, "another network\n").unwrap();
    let run = fit(images.path(), &out, &["--target", "1.5x", "--cost", "flops"]);
    assert!(
        run.code == Some(1) && run.stderr.contains("fit.json.tried: is of another fit"),
        "{}",
        run.stderr
    );
    assert_eq!(std::fs::read_to_string(&tried).unwrap(), "another network\n");
}

#[test]
fn a_target_that_needs_no_merging_gets_none() {
    let (images, folder) = (pictures(8), tempfile::tempdir().unwrap());
    let out = folder.path().join("fit.json");
    let run = fit(images.path(), &out, &["--target", "1x", "--cost", "flops"]).done();
    assert!(run.stdout.contains("0 everywhere"), "{}", run.stdout);
    // Merging four tokens loses less than 1e-9 of these.
    let target = "error:0.000000000000001";
    let run = fit(images.path(), &out, &["--target", target, "--cost", "flops", "--tries", "20"]).done();
    assert!(run.stdout.contains("0 everywhere"), "{}", run.stdout);
}

/// Pictures that cannot be read are left out, and the command fails in the end.
#[test]
fn a_broken_picture_is_left_out() {
    let (images, folder) = (pictures(9), tempfile::tempdir().unwrap());
    let out = folder.path().join("fit.json");
    std::fs::write(images.path().join("x.png"), "no picture").unwrap();
    let run = fit(images.path(), &out, &["--target", "1.3x", "--cost", "flops", "--tries", "20"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.contains("x.png") && run.stderr.contains("1 pictures could not be read"),
        "{}",
        run.stderr
    );
    assert!(out.exists());
}

#[test]
fn files_that_are_no_fit_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let good = r#"{"format": "tome-wgpu fitted 1", "network": "digits", "depth": 8, "tokens": 197, "merging": {"r": [4],
        "prop_attn": true, "pool": "size", "protect": "prefix", "partition": "alternating", "matching": "bipartite",
        "rule": {"metric": "keys", "similarity": "cosine", "by_size": 0.5, "merge_mode": "wmean"}}}"#;
    let digit = digit(3);
    let run = |content: &str| {
        let path = folder.path().join("f.json");
        std::fs::write(&path, content).unwrap();
        tome(&["classify", &digit, "--device", "cpu", "--r", text(&path)])
    };
    run(good).done();
    for partition in ["frames", "frames:7"] {
        run(&good.replace("alternating", partition)).done();
    }
    let lines = good.replace("alternating", "lines");
    run(&lines.replace("0.5", "0")).done();
    run(&lines).failed("by_size is 0.5; leave it at 0");
    run(&good.replace("alternating", "frames:5")).failed("5 frame groups of 196 unprotected tokens");
    for (from, to, said) in [
        ("tome-wgpu fitted 1", "tome-wgpu fitted 9", "its format is `tome-wgpu fitted 9`"),
        ("\"keys\"", "\"key\"", "`key` is no metric"),
        ("0.5", "-3", "by_size is -3"),
        ("[4]", "[-4]", "is no file of `tome fit`"),
        ("\"r\"", "\"s\"", "is no file of `tome fit`"),
        ("\"metric\"", "\"way\": 1, \"metric\"", "unknown field `way`"),
        ("{\"format\"", "format", "is no file of `tome fit`"),
    ] {
        let broken = run(&good.replacen(from, to, 1));
        assert_eq!(broken.code, Some(1), "{to}");
        assert!(broken.stderr.contains("f.json") && broken.stderr.contains(said), "{to}: {}", broken.stderr);
    }
}
