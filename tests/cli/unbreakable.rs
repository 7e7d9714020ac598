//! Inputs and circumstances that nobody should bring: every one ends in an error of one line, in time.
#![cfg(unix)]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use image::{DynamicImage, GrayImage};

use crate::{digit, golden, place, run, tome};

/// The command within a shell, for limits and redirections.
fn shell(script: &str) -> crate::Run {
    let tome = place!("CARGO_BIN_EXE_tome");
    let mut bash = Command::new("bash");
    // `ulimit -v` counts addresses, of which glibc reserves 64 MB for each of eight arenas a core.
    bash.args(["-c", script]).env("TOME", tome).env("DIGIT", digit(3)).env("MALLOC_ARENA_MAX", "2");
    run(&mut bash)
}

#[test]
fn pipes_and_devices_are_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("p.png");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (pipe, start) = (pipe.to_str().unwrap(), Instant::now());
    tome(&["classify", pipe, "--device", "cpu"]).failed("p.png: is no regular file");
    tome(&["classify", "/dev/zero", "--device", "cpu"]).failed("/dev/zero: is no regular file");
    let out = folder.path().join("o");
    tome(&["infer", "--input", pipe, "--output", out.to_str().unwrap(), "--device", "cpu"])
        .failed("none of the 1");
    let model = tempfile::tempdir().unwrap();
    std::fs::copy(golden("cls").join("config.json"), model.path().join("config.json")).unwrap();
    std::os::unix::fs::symlink(pipe, model.path().join("model.safetensors")).unwrap();
    let model = model.path().to_str().unwrap();
    tome(&["classify", &digit(3), "--device", "cpu", "--model", model]).failed("is no regular file");
    let config = ["classify", &digit(3), "--device", "cpu", "--model", model, "--config", "/dev/zero"];
    tome(&config).failed("is no regular file");
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn stderr_may_be_closed_or_full() {
    let folder = tempfile::tempdir().unwrap();
    for (i, to) in ["2>/dev/full", "2>&-", "2> >(true)"].iter().enumerate() {
        let output = folder.path().join(format!("{i}.safetensors"));
        let run = shell(&format!(
            r#""$TOME" infer --input "$DIGIT" --output {} --device cpu {to}"#,
            output.display()
        ));
        assert!(run.code == Some(0) && output.exists(), "{to}: {:?}", run.code);
        let run = shell(&format!(r#""$TOME" classify absent.png --device cpu {to}"#));
        assert_eq!(run.code, Some(1), "{to}");
    }
}

#[test]
fn threads_that_cannot_be_made_are_done_without() {
    let run =
        shell(r#"export RAYON_NUM_THREADS=1000; ulimit -v 204800; "$TOME" classify "$DIGIT" --device cpu"#);
    assert!(run.code == Some(0) && run.stdout.contains("%  3"), "{:?} {}", run.code, run.stderr);
}

#[test]
fn pictures_are_bounded_before_they_are_decoded() {
    let folder = tempfile::tempdir().unwrap();
    // One bit a pixel: few bytes, and 529 million pixels.
    let large = folder.path().join("large.pbm");
    let mut bytes = b"P4\n23000 23000\n".to_vec();
    bytes.resize(bytes.len() + 23000 / 8 * 23000, 0);
    std::fs::write(&large, bytes).unwrap();
    let model = golden("cls");
    let start = Instant::now();
    tome(&["classify", large.to_str().unwrap(), "--device", "cpu", "--model", model.to_str().unwrap()])
        .failed("large.pbm: 23000 x 23000 pixels are too many");
    assert!(start.elapsed() < Duration::from_secs(10));
    // Tall and wide ones are small where they are resized, whatever the order.
    for (name, width, height) in [("tall.png", 1, 4_000_000), ("wide.png", 4_000_000, 1)] {
        let path = folder.path().join(name);
        DynamicImage::from(GrayImage::new(width, height)).save(&path).unwrap();
        for resize in ["shortest", "squash"] {
            let script = format!(
                r#"ulimit -v 2000000; "$TOME" classify {} --device cpu -q --model {} --image-size 224 --resize {resize}"#,
                path.display(),
                model.display()
            );
            assert_eq!(shell(&script).code, Some(0), "{name} {resize}");
        }
    }
}

#[test]
fn what_a_killed_run_has_left_is_removed_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let listing = || -> Vec<String> {
        let mut all: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        all.sort();
        all
    };
    let output = folder.path().join("o.safetensors");
    let args = ["infer", "--device", "cpu", "--batch", "1", "--output", output.to_str().unwrap(), "--input"];
    let mut killed = Command::new(place!("CARGO_BIN_EXE_tome"))
        .args(args)
        .args(vec![digit(3); 5000])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while listing().len() < 2 && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    // A run beside it leaves alone what is being written.
    let other = folder.path().join("other.safetensors");
    tome(&["infer", "--device", "cpu", "--output", other.to_str().unwrap(), "--input", &digit(3)]).done();
    assert_eq!(listing().iter().filter(|name| name.starts_with(".o.")).count(), 2, "{:?}", listing());
    killed.kill().unwrap();
    killed.wait().unwrap();
    tome(&[&args[..], &[&digit(3)]].concat()).done();
    assert_eq!(listing(), ["o.jsonl", "o.safetensors", "other.jsonl", "other.safetensors"]);
}

#[test]
fn two_runs_for_one_output_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("o.safetensors");
    let args =
        ["infer", "--device", "cpu", "--batch", "4", "-q", "--output", output.to_str().unwrap(), "--input"];
    let start = |count| {
        let tome = place!("CARGO_BIN_EXE_tome");
        Command::new(tome).args(args).args(vec![digit(3); count]).spawn().unwrap()
    };
    let runs = [start(300), start(200), start(100)];
    for mut run in runs {
        assert_eq!(run.wait().unwrap().code(), Some(0));
    }
    let file = std::fs::read(&output).unwrap();
    let (shape, _) = crate::infer::floats(&file, "logits");
    assert!([100, 200, 300].contains(&shape[0]));
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn inputs_and_networks_are_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("a.png");
    std::fs::copy(digit(3), &picture).unwrap();
    let picture = picture.to_str().unwrap();
    tome(&["infer", "--device", "cpu", "--input", picture, "--output", picture]).failed("is an input");
    tome(&["visualize", picture, "--out", picture, "--device", "cpu"]).failed("is the input itself");
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(golden("cls").join(file), folder.path().join(file)).unwrap();
    }
    let (model, file) = (folder.path().to_str().unwrap(), folder.path().join("model.safetensors"));
    tome(&[
        "infer",
        "--device",
        "cpu",
        "--model",
        model,
        "--input",
        picture,
        "--output",
        file.to_str().unwrap(),
    ])
    .failed("part of the network");
}

#[test]
fn a_disk_that_is_full_or_read_only_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("o.safetensors");
    // A limit on files stands for a disk that fills up: writing fails in the same way.
    let script = format!(
        r#"trap '' XFSZ; ulimit -f 16; "$TOME" infer --device cpu --want tokens --input "$DIGIT" "$DIGIT" "$DIGIT" --output {}"#,
        output.display()
    );
    shell(&script).failed("o.safetensors: cannot be written");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    for nowhere in ["/proc/o.safetensors", "/sys/o.safetensors"] {
        tome(&["infer", "--device", "cpu", "--input", &digit(3), "--output", nowhere])
            .failed("cannot be written");
    }
}

#[test]
fn names_do_not_steer_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let name = "a\u{1b}[31m\n.png";
    std::fs::copy(digit(3), folder.path().join(name)).unwrap();
    let run = crate::tome_in(folder.path(), &["classify", name, "--device", "cpu"]).done();
    assert!(!run.stdout.contains('\u{1b}') && run.stdout.contains("a\\u{1b}[31m\\n.png"), "{}", run.stdout);
    let run = crate::tome_in(folder.path(), &["classify", "b\u{1b}[31m.png", "--device", "cpu"]).failed("b");
    assert!(!run.stderr.contains('\u{1b}'), "{}", run.stderr);
}

#[test]
fn names_that_are_no_text_are_told_apart() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    for byte in [0xf0u8, 0xf1] {
        let name = [b'a', byte, b'.', b'p', b'n', b'g'];
        std::fs::copy(digit(3), folder.path().join(Path::new(std::ffi::OsStr::from_bytes(&name)))).unwrap();
    }
    let run = tome(&["classify", folder.path().to_str().unwrap(), "--device", "cpu", "--json", "-q"]).done();
    assert!(run.stdout.contains("a\\\\xf0.png") && run.stdout.contains("a\\\\xf1.png"), "{}", run.stdout);
}

#[test]
fn memory_that_ends_is_an_error() {
    // More than addresses reach, so that no system promises it.
    tome(&["bench", "--arch", "vit_tiny_patch16_224", "--device", "cpu", "--batch", "4000000000"])
        .failed("out of memory");
    if !crate::gpu_required() {
        return println!("SKIP: TOME_REQUIRE_GPU is not set");
    }
    if !tome(&["devices"]).done().stdout.contains("llvmpipe") {
        return println!("SKIP: how much memory other drivers take is not known");
    }
    // So much that the driver starts, and too little for the weights.
    let run = shell(
        r#"ulimit -v 1200000; "$TOME" bench --arch vit_base_patch16_224 --r 0 --batch 1 --device llvmpipe"#,
    );
    match run.code {
        Some(0) => println!("SKIP: it fits"),
        // Some of Mesa's drivers crash where they get no memory. An abort of ours says so.
        code if code.is_none_or(|code| code > 128) => {
            assert!(!run.stderr.contains("memory allocation of"), "{}", run.stderr)
        }
        // The driver has no room for a device, or the device none for the weights.
        _ => drop(run.failed("emory")),
    }
}
