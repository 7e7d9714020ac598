//! `--image-size` on the subcommands that take a network.

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::Value;

use crate::{digit, golden, tome};

#[test]
fn images_of_another_size_have_other_patches() {
    let folder = tempfile::tempdir().unwrap();
    let [input, output] = ["in.safetensors", "out.safetensors"].map(|name| folder.path().join(name));
    let zeros = vec![0; 2 * 3 * 16 * 24 * 4];
    let view = TensorView::new(Dtype::F32, vec![2, 3, 16, 24], &zeros).unwrap();
    std::fs::write(&input, serialize([("images", view)], None).unwrap()).unwrap();
    // Patches of 4 pixels, and registers or not.
    for (case, prefix) in [("hf_dinov2_smaller", 1), ("hf_dinov2_registers_rect", 5), ("reg4", 5)] {
        let model = golden(case);
        let args = ["infer", "--model", model.to_str().unwrap(), "--device", "cpu", "--image-size", "16x24"];
        let files = ["--input", input.to_str().unwrap(), "--output", output.to_str().unwrap()];
        tome(&[&args[..], &files].concat()).done();
        let file = std::fs::read(&output).unwrap();
        let tensors = SafeTensors::deserialize(&file).unwrap();
        assert_eq!(tensors.tensor("tokens").unwrap().shape()[..2], [2, prefix + 4 * 6], "{case}");
    }
}

#[test]
fn digits_are_read_at_another_size() {
    let args = ["classify", &digit(3), "--json", "--device", "cpu", "--image-size"];
    for size in ["84", "70x98"] {
        let json: Value = serde_json::from_str(&tome(&[&args[..], &[size]].concat()).done().stdout).unwrap();
        assert!(json.to_string().contains("\"label\":\"3\""), "{json}");
    }
    let merge = tempfile::tempdir().unwrap();
    let out = merge.path().join("merge.png");
    let args =
        ["visualize", &digit(3), "--out", out.to_str().unwrap(), "--device", "cpu", "--image-size", "84"];
    tome(&args).done();
    assert!(out.is_file());
}

#[test]
fn an_architecture_is_timed_at_another_size() {
    let args =
        ["bench", "--arch", "vit_tiny_patch16_224", "--image-size", "32x48", "--batch", "1", "--r", "0"];
    tome(&[&args[..], &["--device", "cpu", "--json"]].concat()).done();
}

#[test]
fn a_wrong_size_is_refused() {
    for size in ["0x", "x", "large", "224x224x3", "1.5"] {
        tome(&["classify", "x.png", "--image-size", size]).misused("HEIGHTxWIDTH");
    }
    tome(&["classify", &digit(3), "--image-size", "2", "--device", "cpu"]).failed("patch_size");
    // Of pictures of any shape it is the number of patches that can be another.
    let model = golden("naflex_classifier");
    let any_shape = ["classify", &digit(3), "--model", model.to_str().unwrap(), "--device", "cpu"];
    tome(&[&any_shape[..], &["--image-size", "40"]].concat()).failed("max_num_patches");
    for said in [["--crop", "0.5"], ["--resize", "squash"], ["--jpeg", "reduced"]] {
        tome(&[&any_shape[..], &said].concat()).failed(said[0]);
    }
    tome(&["bench", "--arch", "vit_tiny_patch16_224", "--image-size", "99999999"]).failed("img_size");
}

/// Pictures of any shape: an evaluation that is kept, and files that are no patches.
#[test]
fn pictures_of_any_shape_are_evaluated_and_checked() {
    let model = golden("naflex_classifier");
    let model = model.to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::create_dir(at("pictures")).unwrap();
    for number in [0, 3] {
        std::fs::copy(digit(number), at(&format!("pictures/{number}.png"))).unwrap();
    }
    let [pictures, state] = [at("pictures"), at("state.jsonl")];
    let eval =
        ["eval", "--images", &pictures, "--model", model, "--r", "3", "--device", "cpu", "--state", &state];
    let first = tome(&eval).done().stdout;
    assert!(first.contains("2 images"), "{first}");
    tome(&eval).done();

    let [input, output] = [at("in.safetensors"), at("out.safetensors")];
    // Of no places for patches, and more patches than the network takes.
    for (patches, sides, said) in [
        (0, [1i64, 2], "pixel_values has shape [1, 0, 48]"),
        (200, [100, 2], "picture 0 is of [100, 2] patches"),
    ] {
        let (values, mask) = (vec![0; patches * 48 * 4], [1i64].repeat(patches));
        let bytes = |integers: &[i64]| -> Vec<u8> { integers.iter().flat_map(|v| v.to_le_bytes()).collect() };
        let (mask, sides) = (bytes(&mask), bytes(&sides));
        let views = [
            ("pixel_values", TensorView::new(Dtype::F32, vec![1, patches, 48], &values).unwrap()),
            ("pixel_attention_mask", TensorView::new(Dtype::I64, vec![1, patches], &mask).unwrap()),
            ("spatial_shapes", TensorView::new(Dtype::I64, vec![1, 2], &sides).unwrap()),
        ];
        std::fs::write(&input, serialize(views, None).unwrap()).unwrap();
        let infer = ["infer", "--model", model, "--device", "cpu", "--input", &input, "--output", &output];
        tome(&infer).failed(said);
    }
}
