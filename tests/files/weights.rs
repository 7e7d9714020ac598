use std::collections::HashMap;
use std::io::Cursor;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView, serialize};
use tome_wgpu::Error;
use tome_wgpu::files::{TensorReader, load_model, read_weights};
use tome_wgpu::vit::{TensorData, Weights};

use crate::golden;

#[test]
fn a_folder_and_a_file_are_the_same_network() {
    let folder = golden("cls");
    let (config, weights) = load_model(&folder, None).unwrap();
    let (other, same) =
        load_model(&folder.join("model.safetensors"), Some(&folder.join("config.json"))).unwrap();
    assert_eq!(config, other);
    assert_eq!(weights.read_all().unwrap(), same.read_all().unwrap());
}

/// Values as a safetensors file of `dtype`.
fn file_of(dtype: Dtype, values: &[f32]) -> Vec<u8> {
    let bytes: Vec<u8> = match dtype {
        Dtype::F16 => values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect(),
        Dtype::BF16 => values.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect(),
        Dtype::F64 => values.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
    };
    let view = TensorView::new(dtype, vec![values.len()], &bytes).unwrap();
    serialize([("x", view)], None).unwrap()
}

fn read(bytes: &[u8]) -> Result<Weights, Error> {
    read_weights(&mut TensorReader::new(Cursor::new(bytes), Path::new("memory.safetensors"))?)
}

#[test]
fn three_float_types_are_read() {
    let values = [0.5, -2.0, 1.0 / 3.0];
    for (dtype, tolerance) in [(Dtype::F32, 0.0), (Dtype::F16, 1e-3), (Dtype::BF16, 1e-2)] {
        let weights = read(&file_of(dtype, &values)).unwrap();
        let (name, tensor) = weights.iter().next().unwrap();
        assert_eq!((name, tensor.shape.as_slice()), ("x", [3].as_slice()));
        for (got, want) in tensor.data.to_f32().iter().zip(values) {
            assert!((got - want).abs() <= tolerance, "{dtype:?}: {got} for {want}");
        }
    }
}

#[test]
fn a_stretch_of_a_tensor_is_read() {
    let file = file_of(Dtype::F32, &[0.0, 1.0, 2.0, 3.0]);
    let mut reader = TensorReader::new(Cursor::new(&file), Path::new("memory")).unwrap();
    assert_eq!(reader.read("x", 1..3).unwrap(), TensorData::from(vec![1.0f32, 2.0]));
    assert!(matches!(reader.read("x", 3..5), Err(Error::Input(_))));
    assert!(matches!(reader.read("y", 0..1), Err(Error::File { .. })));
}

#[test]
fn broken_files_are_errors_wherever_they_break() {
    let whole = file_of(Dtype::F32, &[1.0; 64]);
    for length in 0..whole.len() {
        assert!(matches!(read(&whole[..length]), Err(Error::File { .. })), "cut to {length} bytes");
    }
    let mut longer = whole.clone();
    longer.push(0);
    assert!(read(&longer).unwrap_err().to_string().contains("surplus"));
    // No byte of the header makes it panic or read outside.
    for position in 0..whole.len() - 256 {
        for value in [0, 0x22, 0x39, 0x7b, 0xff] {
            let mut corrupt = whole.clone();
            corrupt[position] = value;
            let _ = read(&corrupt);
        }
    }
    let mut huge = whole;
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(read(&huge), Err(Error::File { .. })));
}

/// The golden network's tensors as bytes, to be changed.
fn tensors() -> HashMap<String, (Vec<usize>, Vec<u8>)> {
    let weights = load_model(&golden("cls"), None).unwrap().1.read_all().unwrap();
    let bytes = |data: &[f32]| data.iter().flat_map(|v| v.to_le_bytes()).collect();
    weights
        .iter()
        .map(|(name, tensor)| (name.to_owned(), (tensor.shape.clone(), bytes(&tensor.data.to_f32()))))
        .collect()
}

fn load_changed(change: impl FnOnce(&mut HashMap<String, (Vec<usize>, Vec<u8>)>)) -> Error {
    let mut tensors = tensors();
    change(&mut tensors);
    let folder = tempfile::tempdir().unwrap();
    let views = tensors.iter().map(|(name, (shape, bytes))| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    std::fs::write(folder.path().join("model.safetensors"), serialize(views, None).unwrap()).unwrap();
    std::fs::copy(golden("cls").join("config.json"), folder.path().join("config.json")).unwrap();
    load_model(folder.path(), None).unwrap_err()
}

#[test]
fn a_tensor_that_does_not_belong_is_named() {
    let missing = load_changed(|tensors| drop(tensors.remove("norm.bias")));
    assert!(
        matches!(&missing, Error::Weight { name, why } if name == "norm.bias" && why.contains("missing"))
    );
    let surplus =
        load_changed(|tensors| drop(tensors.insert("head_dist.bias".into(), (vec![1], vec![0; 4]))));
    assert!(matches!(&surplus, Error::Weight { name, .. } if name == "head_dist.bias"));
    let reshaped = load_changed(|tensors| tensors.get_mut("norm.bias").unwrap().0.insert(0, 1));
    assert!(matches!(&reshaped, Error::Weight { name, .. } if name == "norm.bias"), "{reshaped}");
}

#[test]
fn missing_files_and_pickles_are_errors_with_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let error = |path: &Path| load_model(path, None).unwrap_err().to_string();
    assert!(error(&folder.path().join("nowhere")).contains("nowhere: is no folder or file"));
    assert!(error(folder.path()).contains("it is empty"));
    std::fs::write(folder.path().join("pytorch_model.bin"), "").unwrap();
    assert!(error(folder.path()).contains("safetensors.torch"));
}

#[test]
fn labels_may_lie_beside_the_config() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(golden("cls").join(name), folder.path().join(name)).unwrap();
    }
    let (config, _) = load_model(folder.path(), None).unwrap();
    assert!(config.labels.is_empty());
    let names: Vec<String> = (0..config.num_classes).map(|class| format!("class {class}")).collect();
    std::fs::write(folder.path().join("labels.txt"), names.join("\n")).unwrap();
    assert_eq!(load_model(folder.path(), None).unwrap().0.labels, names);
    std::fs::write(folder.path().join("labels.txt"), "one").unwrap();
    assert!(load_model(folder.path(), None).unwrap_err().to_string().contains("labels.txt"));
}
