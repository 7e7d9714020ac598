use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};

use crate::{Run, digit, golden, gpu_required, indices, place, repository, tome};

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A golden network on its golden images.
fn infer(case: &str, output: &Path, more: &[&str]) -> Run {
    let (model, input) = (golden(case), golden(case).join("input.safetensors"));
    let args = ["infer", "--model", text(&model), "--input", text(&input), "--output", text(output)];
    tome(&[&args, more].concat())
}

pub fn floats(file: &[u8], name: &str) -> (Vec<usize>, Vec<f32>) {
    let tensors = SafeTensors::deserialize(file).unwrap();
    let tensor = tensors.tensor(name).unwrap();
    assert_eq!(tensor.dtype(), Dtype::F32);
    (tensor.shape().to_vec(), bytemuck::pod_collect_to_vec(tensor.data()))
}

fn source(file: &[u8]) -> Vec<i64> {
    let tensors = SafeTensors::deserialize(file).unwrap();
    let tensor = tensors.tensor("source").unwrap();
    let data = tensor.data();
    match tensor.dtype() {
        Dtype::U32 => bytemuck::pod_collect_to_vec::<u8, u32>(data).into_iter().map(i64::from).collect(),
        Dtype::I32 => bytemuck::pod_collect_to_vec::<u8, i32>(data).into_iter().map(i64::from).collect(),
        _ => bytemuck::pod_collect_to_vec(data),
    }
}

/// Files in a folder, hidden ones too.
pub fn listing(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn options_of(case: &str) -> Vec<String> {
    let json = std::fs::read_to_string(golden(case).join("case.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let keys = [
        "r",
        "threshold",
        "least",
        "prop_attn",
        "pool",
        "protect",
        "merge_mode",
        "positions",
        "partition",
        "matching",
    ];
    keys.iter()
        .chain(&["metric", "similarity"])
        .filter_map(|key| Some((key, json.get(key)?)))
        .map(|(key, value)| (key, value.as_str().map_or_else(|| value.to_string(), str::to_string)))
        .flat_map(|(key, value)| [format!("--{}", key.replace('_', "-")), value])
        .collect()
}

fn agrees_with_pytorch(case: &str, device: &str) {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.safetensors");
    let options = options_of(case);
    let mut args: Vec<&str> = options.iter().map(String::as_str).collect();
    args.extend(["--device", device]);
    infer(case, &output, &args).done();
    let got = std::fs::read(&output).unwrap();
    let want = std::fs::read(golden(case).join("expected.safetensors")).unwrap();
    let ((shape, got_logits), (want_shape, want_logits)) = (floats(&got, "logits"), floats(&want, "logits"));
    assert_eq!(shape, want_shape);
    let tolerance = if device == "cpu" { 1e-5 } else { 3e-5 };
    let largest = want_logits.iter().fold(0f32, |most, v| most.max(v.abs()));
    for (got, want) in got_logits.iter().zip(&want_logits) {
        assert!((got - want).abs() < tolerance * largest, "{case}: {got} for {want}");
    }
    assert_eq!(source(&got), source(&want), "{case}");
    let (sizes, tokens) = (floats(&got, "size"), floats(&got, "tokens"));
    assert_eq!(sizes.0[..], tokens.0[..2]);
    let total: f32 = sizes.1.iter().sum();
    assert_eq!(total as usize, source(&got).len());
}

#[test]
fn every_result_is_pytorchs() {
    for case in ["cls", "cls_noprop", "avg_plain", "avg_size", "decreasing", "reg4", "rect", "grey_50"] {
        agrees_with_pytorch(case, "cpu");
    }
    let knobs =
        ["mode_keep_one_euclidean", "mode_min_attention_dot", "every_3_reg4_clamp", "sequential", "lines"];
    let later = ["mode_mlerp", "mode_max_magnitude_nocls", "energy", "energy_nocls_odd_clamp"];
    let own = ["greedy", "kmeans_2", "threshold_least", "threshold_nocls_size_input", "eva_dinov3_kept"];
    knobs.iter().chain(&later).chain(&own).for_each(|case| agrees_with_pytorch(case, "cpu"));
}

#[test]
fn an_adapter_gives_the_same_results() {
    if !gpu_required() {
        return println!("SKIP: TOME_REQUIRE_GPU is not set");
    }
    agrees_with_pytorch("cls", "0");
    agrees_with_pytorch("avg_size", "0");
    agrees_with_pytorch("lines", "0");
    agrees_with_pytorch("eva_mixed_ape_rect_kept", "0");
    agrees_with_pytorch("threshold_noprop_reg4", "0");
    let folder = tempfile::tempdir().unwrap();
    let refused =
        infer("cls", &folder.path().join("o"), &["--r", "4", "--matching", "greedy", "--device", "0"]);
    refused.failed("on the CPU path only");
}

#[test]
fn a_threshold_says_how_many_tokens_each_image_has_left() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.safetensors");
    let options = options_of("threshold_least");
    let mut args: Vec<&str> = options.iter().map(String::as_str).collect();
    args.extend(["--device", "cpu", "--want", "logits,size", "--batch", "2"]);
    infer("threshold_least", &output, &args).done();
    let (shape, size) = floats(&std::fs::read(&output).unwrap(), "size");
    let rows = std::fs::read_to_string(output.with_extension("jsonl")).unwrap();
    let mut counts = Vec::new();
    for (row, size) in rows.lines().zip(size.chunks_exact(shape[1])) {
        let row: serde_json::Value = serde_json::from_str(row).unwrap();
        let there = size.iter().filter(|&&size| size > 0.0).count();
        assert_eq!(row["tokens"], there, "{row}");
        counts.push(there);
    }
    assert_eq!(counts.len(), 3);
    assert!(counts.iter().any(|&count| count != counts[0]), "{counts:?}");
    // The sizes need not be wanted, and without a threshold there is nothing to say.
    args.iter_mut().filter(|arg| **arg == "logits,size").for_each(|arg| *arg = "logits");
    infer("threshold_least", &output, &args).done();
    let again = std::fs::read_to_string(output.with_extension("jsonl")).unwrap();
    assert_eq!(again, rows);
    infer("threshold_least", &output, &["--r", "4", "--device", "cpu"]).done();
    assert!(!std::fs::read_to_string(output.with_extension("jsonl")).unwrap().contains("tokens"));
}

#[test]
fn a_seed_gives_the_same_draw_again() {
    let folder = tempfile::tempdir().unwrap();
    let drawn = ["random:5", "random:5", "random:6"].map(|partition| {
        let output = folder.path().join("out");
        infer("cls", &output, &["--r", "5", "--partition", partition, "--device", "cpu"]).done();
        source(&std::fs::read(output).unwrap())
    });
    assert_eq!(drawn[0], drawn[1]);
    assert_ne!(drawn[0], drawn[2]);
}

#[test]
fn the_batch_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let outputs = ["1", "2", "64"].map(|batch| {
        let output = folder.path().join(batch);
        infer("cls_odd_3_images", &output, &["--r", "3", "--batch", batch, "--device", "cpu"]).done();
        std::fs::read(output).unwrap()
    });
    assert!(outputs[0] == outputs[1] && outputs[1] == outputs[2]);
    assert_eq!(floats(&outputs[0], "logits").0[0], 3);
    assert_eq!(outputs[0][0] % 8, 0, "data is aligned");
}

#[test]
fn only_what_is_wanted_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.safetensors");
    infer("cls", &output, &["--want", "size,features,size", "--device", "cpu", "--quiet"]).done();
    let file = std::fs::read(output).unwrap();
    let mut names =
        SafeTensors::deserialize(&file).unwrap().names().into_iter().map(str::to_owned).collect::<Vec<_>>();
    names.sort();
    assert_eq!(names, ["features", "size"]);
}

#[test]
fn dense_output_and_maps_are_written_over_the_grid() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.safetensors");
    // 3 x 5 patches behind a class token; 4 registers and a class token before 5 x 5.
    for (case, images, [rows, columns], prefix) in [("rect", 2, [3, 5], 1), ("reg4", 2, [5, 5], 5)] {
        let more = ["--r", "3", "--want", "tokens,source,dense,source_per_block", "--device", "cpu"];
        infer(case, &output, &more).done();
        let file = std::fs::read(&output).unwrap();
        let ((shape, tokens), (grid, dense)) = (floats(&file, "tokens"), floats(&file, "dense"));
        let (merged, channels, count) = (shape[1], shape[2], prefix + rows * columns);
        assert_eq!(grid, [images, rows, columns, channels]);
        let (blocks, maps) = indices(&file, "source_per_block");
        assert_eq!(blocks, [images, 3, count]);
        let (_, source) = indices(&file, "source");
        for image in 0..images {
            let source = &source[image * count..][..count];
            assert_eq!(&maps[(image * 3 + 2) * count..][..count], source);
            for (patch, &holder) in source[prefix..].iter().enumerate() {
                let feature = &dense[(image * rows * columns + patch) * channels..][..channels];
                assert_eq!(feature, &tokens[(image * merged + holder as usize) * channels..][..channels]);
            }
        }
    }
    infer("cls", &output, &["--device", "cpu"]).done();
    let file = std::fs::read(&output).unwrap();
    let mut names =
        SafeTensors::deserialize(&file).unwrap().names().into_iter().map(str::to_owned).collect::<Vec<_>>();
    names.sort();
    assert_eq!(names, ["features", "logits", "size", "source", "tokens"], "without being asked for more");
}

/// A folder with two digits and something else, and the output's place beside it.
pub fn album() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let album = folder.path().join("album");
    std::fs::create_dir_all(album.join("deeper")).unwrap();
    for (name, shown) in [("b.PNG", 3), ("a.png", 8), ("deeper/c.png", 5)] {
        std::fs::copy(digit(shown), album.join(name)).unwrap();
    }
    std::fs::write(album.join("notes.txt"), "not a picture").unwrap();
    let output = folder.path().join("out.safetensors");
    (folder, album, output)
}

#[test]
fn folders_are_read_in_order_of_name() {
    let (_folder, album, output) = album();
    tome(&["infer", "--input", text(&album), &digit(0), "--output", text(&output), "--device", "cpu"]).done();
    let (shape, logits) = floats(&std::fs::read(output).unwrap(), "logits");
    assert_eq!(shape, [3, 10]);
    let best = |row: &[f32]| row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
    assert_eq!(logits.chunks(10).map(best).collect::<Vec<_>>(), [8, 3, 0]);
}

#[test]
fn a_failure_leaves_everything_as_it_was() {
    let (folder, album, output) = album();
    for name in ["a.png", "b.PNG"] {
        std::fs::write(album.join(name), "broken").unwrap();
    }
    std::fs::write(&output, "precious").unwrap();
    tome(&["infer", "--input", text(&album), "--output", text(&output), "--batch", "1", "--device", "cpu"])
        .failed("none of the 2 images");
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "precious");
    assert_eq!(listing(folder.path()), ["album", "out.safetensors"]);
    for name in ["a.png", "b.PNG"] {
        std::fs::copy(digit(5), album.join(name)).unwrap();
    }
    tome(&["infer", "--input", text(&album), "--output", text(&output), "--device", "cpu"]).done();
    assert_eq!(floats(&std::fs::read(&output).unwrap(), "logits").0, [2, 10]);
    assert_eq!(listing(folder.path()), ["album", "out.jsonl", "out.safetensors"]);
}

#[test]
fn a_broken_picture_spoils_its_own_row_alone() {
    let (_folder, album, output) = album();
    let want = "logits,tokens,size,source,dense,source_per_block";
    let run = |batch: &str| {
        let args = ["infer", "--input", text(&album), "--output", text(&output), "--batch", batch];
        tome(&[&args[..], &["--want", want, "--r", "8", "--device", "cpu", "--quiet"]].concat())
    };
    run("16").done();
    let clean = std::fs::read(&output).unwrap();
    // Its place is between the two others.
    std::fs::write(album.join("aa.png"), "broken").unwrap();
    for batch in ["1", "2", "16"] {
        std::fs::remove_file(&output).unwrap();
        let run = run(batch).failed("1 of 3 images");
        assert!(run.stderr.contains("aa.png") && !run.stderr.contains("b.PNG"), "{}", run.stderr);
        let spoilt = std::fs::read(&output).unwrap();
        for name in ["logits", "tokens", "size", "dense"] {
            let ((_, clean), (shape, spoilt)) = (floats(&clean, name), floats(&spoilt, name));
            let row = clean.len() / 2;
            assert_eq!((shape[0], spoilt.len()), (3, 3 * row), "{name}");
            assert_eq!((&spoilt[..row], &spoilt[2 * row..]), (&clean[..row], &clean[row..]), "{name}");
            assert!(spoilt[row..2 * row].iter().all(|value| value.is_nan()), "{name}");
        }
        for name in ["source", "source_per_block"] {
            let ((_, clean), (_, spoilt)) = (indices(&clean, name), indices(&spoilt, name));
            let row = clean.len() / 2;
            assert_eq!((&spoilt[..row], &spoilt[2 * row..]), (&clean[..row], &clean[row..]), "{name}");
            assert!(spoilt[row..2 * row].iter().all(|&index| index == u32::MAX), "{name}");
        }
    }
}

#[test]
#[cfg(unix)]
fn an_interruption_leaves_everything_as_it_was() {
    let (folder, _, output) = album();
    std::fs::write(&output, "precious").unwrap();
    for signal in ["-INT", "-TERM"] {
        // More than are done before the signal comes.
        let pictures = vec![digit(3); 10_000];
        let mut running = std::process::Command::new(place!("CARGO_BIN_EXE_tome"))
            .args(["infer", "--output", text(&output), "--device", "cpu", "--quiet", "--input"])
            .args(pictures)
            .spawn()
            .unwrap();
        while listing(folder.path()).len() < 3 && running.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        std::thread::sleep(std::time::Duration::from_millis(300));
        let pid = running.id().to_string();
        assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
        match running.wait().unwrap().code() {
            // A caller that ignores signals, such as `nohup`, hands that down.
            Some(0) => return println!("SKIP: signals are ignored here"),
            code => assert_eq!(code, Some(130), "{signal}"),
        }
        assert_eq!(std::fs::read_to_string(&output).unwrap(), "precious");
        assert_eq!(listing(folder.path()), ["album", "out.safetensors"], "{signal}");
    }
}

#[test]
fn outputs_that_cannot_be_written_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for output in [folder.path().join("no/such/folder/out"), folder.path().to_owned()] {
        infer("cls", &output, &["--device", "cpu"]).failed(text(&output));
    }
    if cfg!(unix) {
        infer("cls", Path::new("/dev/null"), &["--device", "cpu"]).failed("no regular file");
    }
    assert!(listing(folder.path()).is_empty());
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out");
    let run = |input: &Path| {
        let model = repository("models/digits");
        let args = ["infer", "--model", text(&model), "--input", text(input), "--output", text(&output)];
        tome(&[&args[..], &["--device", "cpu"]].concat())
    };
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    run(&empty).failed("no pictures");
    run(&folder.path().join("absent")).failed("absent");
    run(&folder.path().join("absent.safetensors")).failed("absent.safetensors");

    let input = folder.path().join("input.safetensors");
    let write = |name: &str, dtype: Dtype, shape: Vec<usize>| {
        let bytes = vec![0; shape.iter().product::<usize>() * dtype.bitsize() / 8];
        let view = TensorView::new(dtype, shape, &bytes).unwrap();
        std::fs::write(&input, serialize([(name, view)], None).unwrap()).unwrap();
    };
    write("images", Dtype::F32, vec![2, 3, 56, 56]);
    run(&input).failed("[images, 1, 56, 56]");
    write("images", Dtype::F32, vec![1, 56, 56]);
    run(&input).failed("[1, 56, 56]");
    write("images", Dtype::F32, vec![0, 1, 56, 56]);
    run(&input).failed("no images");
    write("pictures", Dtype::F32, vec![1, 1, 56, 56]);
    run(&input).failed("pictures");
    write("images", Dtype::I32, vec![1, 1, 56, 56]);
    run(&input).failed("I32");
    std::fs::write(&input, [7; 100]).unwrap();
    run(&input).failed("truncated");
    assert_eq!(listing(folder.path()), ["empty", "input.safetensors"]);
    tome(&["infer", "--input", text(&input), &digit(0), "--output", "o", "--device", "cpu"])
        .failed("only input");
}

#[test]
fn nan_stays_in_its_image() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("input.safetensors"), folder.path().join("out"));
    let mut images: Vec<f32> = (0..3 * 56 * 56).map(|i| (i as f32 * 0.37).sin()).collect();
    let mut run = |poison: Option<usize>| {
        if let Some(at) = poison {
            images[at] = f32::NAN;
        }
        let view = TensorView::new(Dtype::F32, vec![3, 1, 56, 56], bytemuck::cast_slice(&images)).unwrap();
        std::fs::write(&input, serialize([("images", view)], None).unwrap()).unwrap();
        let args =
            ["infer", "--input", text(&input), "--output", text(&output), "--r", "8", "--device", "cpu"];
        let run = tome(&args).done();
        (run.stderr, floats(&std::fs::read(&output).unwrap(), "logits").1)
    };
    let (quiet, clean) = run(None);
    let (warned, poisoned) = run(Some(56 * 56 + 5));
    assert!(!quiet.contains("NaN") && warned.contains("image 1 has NaN"), "{warned}");
    assert_eq!((&clean[..10], &clean[20..]), (&poisoned[..10], &poisoned[20..]));
    assert!(poisoned[10..20].iter().all(|value| value.is_nan()));
}
