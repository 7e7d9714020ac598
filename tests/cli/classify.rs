use image::{DynamicImage, GrayImage};

use crate::{digit, golden, gpu_required, tome};

#[test]
fn digits_are_recognised() {
    for r in ["0", "8", "16:-1", "32,29,26", "4294967295"] {
        let run = tome(&["classify", &digit(3), &digit(8), "--device", "cpu", "--r", r, "--top", "2"]).done();
        let lines: Vec<&str> = run.stdout.lines().collect();
        assert_eq!(lines.len(), 6, "{}", run.stdout);
        assert!(lines[0].ends_with("digit_3.png") && lines[1].ends_with("%  3"), "r = {r}: {}", run.stdout);
        assert!(lines[3].ends_with("digit_8.png") && lines[4].ends_with("%  8"), "r = {r}: {}", run.stdout);
        assert!(run.stderr.contains("CPU"), "the device is said: {}", run.stderr);
    }
}

#[test]
fn json_is_one_document() {
    let run = tome(&["classify", &digit(5), "--device", "cpu", "--json", "--top", "99", "--quiet"]).done();
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let top = json["images"][0]["top"].as_array().unwrap();
    assert_eq!((top.len(), &top[0]["label"], &top[0]["class"]), (10, &"5".into(), &5.into()));
    let total: f64 = top.iter().map(|class| class["probability"].as_f64().unwrap()).sum();
    assert!((total - 1.0).abs() < 1e-5);
    assert_eq!(run.stderr, "");
}

#[test]
fn with_a_threshold_every_picture_says_its_tokens() {
    let args = ["--device", "cpu", "--r", "16", "--threshold", "0.95"];
    let both = ["classify", &digit(3), &digit(8)];
    let run = tome(&[&both[..], &args, &["--json", "--quiet"]].concat()).done();
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let counts = [0, 1].map(|i| json["images"][i]["tokens"].as_u64().unwrap());
    assert!(counts.iter().all(|count| (69..197).contains(count)), "{counts:?}");
    let run = tome(&[&both[..], &args].concat()).done();
    let said = format!("digit_3.png, {} tokens left", counts[0]);
    assert!(run.stdout.contains(&said), "{}", run.stdout);
}

#[test]
fn odd_pictures_have_results() {
    let folder = tempfile::tempdir().unwrap();
    for (name, width, height) in [("dot.png", 1, 1), ("long.png", 20_000, 1), ("tall.bmp", 2, 20_000)] {
        let path = folder.path().join(name);
        DynamicImage::from(GrayImage::new(width, height)).save(&path).unwrap();
        tome(&["classify", path.to_str().unwrap(), "--device", "cpu"]).done();
    }
}

#[test]
fn unreadable_pictures_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [("empty.png", ""), ("text.jpg", "not a picture")] {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        tome(&["classify", path.to_str().unwrap(), "--device", "cpu"]).failed(name);
    }
    tome(&["classify", "absent.png", "--device", "cpu"]).failed("absent.png");
}

#[test]
fn broken_networks_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().to_str().unwrap();
    let classify = || tome(&["classify", &digit(3), "--device", "cpu", "--model", model]);
    classify().failed("it is empty");
    let config = std::fs::read_to_string(golden("cls").join("config.json")).unwrap();
    let weights = std::fs::read(golden("cls").join("model.safetensors")).unwrap();
    let write = |config: &str, weights: &[u8]| {
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        std::fs::write(folder.path().join("model.safetensors"), weights).unwrap();
    };
    write(&config, &weights);
    assert!(classify().done().stdout.contains("class "), "without names classes have numbers");
    write(&config, &weights[..weights.len() / 2]);
    classify().failed("truncated");
    write(&config.replace("\"num_heads\": 2", "\"num_heads\": 0"), &weights);
    classify().failed("num_heads");
    write(&config.replace("\"depth\": ", "\"depth\": 1"), &weights);
    classify().failed("blocks.");
    write("{", &weights);
    classify().failed("JSON");
    tome(&["classify", &digit(3), "--model", "vit.pth"]).failed("is no folder or file");
}

#[test]
fn an_unknown_device_is_an_error() {
    tome(&["classify", &digit(3), "--device", "abacus"]).failed("abacus");
    tome(&["classify", &digit(3), "--device", "999"]).failed("999");
}

#[test]
fn an_adapter_gives_the_same_classes() {
    if !gpu_required() {
        return println!("SKIP: TOME_REQUIRE_GPU is not set");
    }
    let classify = |device: &str| {
        let run =
            tome(&["classify", &digit(0), &digit(3), "--r", "8", "--top", "1", "--device", device]).done();
        run.stdout.lines().map(|line| line.trim_end().chars().last().unwrap()).collect::<String>()
    };
    assert_eq!(classify("0"), classify("cpu"));
    let devices = tome(&["devices"]).done().stdout;
    let name = devices.lines().next().and_then(|line| line.split([' ', '(']).nth(1)).unwrap();
    assert_eq!(classify(&name.to_uppercase()), classify("cpu"), "by name: {name}");
}
