//! Tensors stay in their files until they are asked for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use half::{bf16, f16};
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::{Map, Value, json};
use tome_wgpu::Error;
use tome_wgpu::files::{Checkpoint, ModelFiles, load_files, load_model};
use tome_wgpu::vit::{Config, Tensor, TensorData, Tensors, Weights};

use crate::golden;

/// Counts the bytes that are read.
struct Counting<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl<R: Seek> Seek for Counting<R> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(to)
    }
}

/// A network, and how many bytes of its tensors' file have been read.
fn counted<R: Read + Seek + Send + 'static>(
    config: &str,
    tensors: R,
) -> (Result<(Config, Checkpoint), Error>, Arc<AtomicU64>) {
    let read = Arc::new(AtomicU64::new(0));
    let tensors = Counting { inner: tensors, read: Arc::clone(&read) };
    let files = ModelFiles::new()
        .with("config.json", Cursor::new(config.to_owned()))
        .with("model.safetensors", tensors);
    (load_files(files), read)
}

/// Bytes of the header, its length included.
fn header(file: &[u8]) -> u64 {
    8 + u64::from_le_bytes(file[..8].try_into().unwrap())
}

#[test]
fn a_tensor_is_read_when_it_is_asked_for() {
    let config = std::fs::read_to_string(golden("cls").join("config.json")).unwrap();
    let file = std::fs::read(golden("cls").join("model.safetensors")).unwrap();
    let (header, whole) = (header(&file), file.len() as u64);
    let (loaded, read) = counted(&config, Cursor::new(file));
    let (_, checkpoint) = loaded.unwrap();
    assert_eq!(read.load(Ordering::Relaxed), header);
    let bias = checkpoint.tensor("norm.bias").unwrap();
    assert_eq!(read.load(Ordering::Relaxed), header + 4 * bias.data.len() as u64);
    checkpoint.read_all().unwrap();
    assert_eq!(read.load(Ordering::Relaxed), whole + 4 * bias.data.len() as u64);
    assert!(matches!(checkpoint.tensor("nothing"), Err(Error::Weight { name, .. }) if name == "nothing"));
}

/// A file of zeros behind a header that gives its tensors these shapes: as long as they say, and nowhere on a disk.
struct Sparse {
    header: Vec<u8>,
    length: u64,
    at: u64,
}

impl Sparse {
    fn of(shapes: &BTreeMap<String, Vec<usize>>) -> Self {
        let mut end = 0;
        let mut all = Map::new();
        for (name, shape) in shapes {
            let start = end;
            end += 4 * shape.iter().product::<usize>();
            all.insert(name.clone(), json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] }));
        }
        let text = Value::from(all).to_string();
        let header = [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
        Sparse { length: (header.len() + end) as u64, header, at: 0 }
    }
}

impl Read for Sparse {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let left = self.header.get(self.at as usize..).unwrap_or_default();
        let read = match left.len().min(bytes.len()) {
            0 => bytes.len().min((self.length - self.at) as usize),
            of_header => of_header,
        };
        bytes[..read].fill(0);
        bytes.iter_mut().zip(left).for_each(|(byte, header)| *byte = *header);
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Sparse {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(past) => self.length.saturating_add_signed(past),
            SeekFrom::Current(more) => self.at.saturating_add_signed(more),
        };
        Ok(self.at)
    }
}

#[test]
fn absurd_shapes_are_refused_before_anything_is_read() {
    let config = json!({ "architecture": "vit_tiny_patch16_224" }).to_string();
    let shapes = Config::preset("vit_tiny_patch16_224").unwrap().tensors();
    let refused = |name: &str, changed: &BTreeMap<String, Vec<usize>>| {
        let file = Sparse::of(changed);
        let header = file.header.len() as u64;
        let (loaded, read) = counted(&config, file);
        match loaded {
            Err(Error::Weight { name: named, .. }) => assert_eq!(named, name),
            other => panic!("{other:?}"),
        }
        assert_eq!(read.load(Ordering::Relaxed), header, "{name}");
    };
    for (name, shape) in [
        ("blocks.3.mlp.fc1.weight", vec![1 << 31, 192]),
        ("zzz", vec![1 << 39]),
        // Positions of another grid are resampled, but not of any.
        ("pos_embed", vec![1, 1 + (1 << 32), 192]),
        ("pos_embed", vec![1 << 39]),
    ] {
        let mut changed = shapes.clone();
        changed.insert(name.into(), shape);
        refused(name, &changed);
    }
    // Nor where another tensor is wrong.
    let mut changed = shapes.clone();
    changed.insert("pos_embed".into(), vec![1, 1 + 24 * 24, 192]);
    assert!(counted(&config, Sparse::of(&changed)).0.is_ok());
    changed.remove("norm.bias");
    refused("norm.bias", &changed);
}

/// A small network, each tensor of another type in turn, and what its values are as 32-bit floats.
fn mixed() -> (Config, Vec<u8>, Weights) {
    let mut config = Config::preset("vit_tiny_patch16_224").unwrap();
    (config.embed_dim, config.num_heads, config.mlp_hidden) = (24, 2, 96);
    (config.depth, config.image_size, config.num_classes) = (2, [48, 48], 5);
    let drawn = Weights::random(&config, 1);
    let mut exact = Weights::new();
    let bytes: Vec<_> = drawn
        .iter()
        .enumerate()
        .map(|(i, (name, tensor))| {
            let values = tensor.data.to_f32();
            let (dtype, bytes, floats): (_, Vec<u8>, Vec<f32>) = match i % 3 {
                0 => (
                    Dtype::F16,
                    values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect(),
                    values.iter().map(|&v| f16::from_f32(v).to_f32()).collect(),
                ),
                1 => (
                    Dtype::BF16,
                    values.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect(),
                    values.iter().map(|&v| bf16::from_f32(v).to_f32()).collect(),
                ),
                _ => (Dtype::F32, values.iter().flat_map(|v| v.to_le_bytes()).collect(), values.to_vec()),
            };
            exact.insert(name, Tensor::new(&tensor.shape[..], floats));
            (name.to_owned(), dtype, tensor.shape.clone(), bytes)
        })
        .collect();
    let views = bytes.iter().map(|(name, dtype, shape, bytes)| {
        (name.clone(), TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    let file = serialize(views, None).unwrap();
    (config, file, exact)
}

/// The config.json of `mixed`.
fn config_of_mixed() -> Value {
    let args = json!({ "embed_dim": 24, "num_heads": 2, "depth": 2, "img_size": 48 });
    json!({ "architecture": "vit_tiny_patch16_224", "num_classes": 5, "model_args": args })
}

#[test]
fn tensors_keep_their_type_and_compute_the_same() {
    let (_, file, exact) = mixed();
    let (config, checkpoint) = counted(&config_of_mixed().to_string(), Cursor::new(file)).0.unwrap();
    let mut types = [0; 3];
    for (i, name) in checkpoint.names().into_iter().enumerate() {
        let tensor = checkpoint.tensor(name).unwrap();
        let (kind, len) = match &tensor.data {
            TensorData::F16(values) => (0, values.len()),
            TensorData::BF16(values) => (1, values.len()),
            TensorData::F32(values) => (2, values.len()),
            other => panic!("{other:?}"),
        };
        assert_eq!((kind, len), (i % 3, tensor.data.len()), "{name}");
        assert_eq!(tensor.data.to_f32(), exact.get(name).unwrap().data.to_f32(), "{name}");
        types[kind] += 1;
    }
    assert!(types.iter().all(|&count| count > 3), "{types:?}");

    let images: Vec<f32> = (0..config.image_values()).map(|i| (i as f32 * 0.37).sin()).collect();
    #[cfg(feature = "cpu")]
    {
        use tome_wgpu::cpu::VisionTransformer;
        use tome_wgpu::vit::Options;
        let of = |tensors: &dyn Tensors| {
            let vit = VisionTransformer::new(config.clone(), tensors).unwrap();
            vit.forward(&images, &Options::default()).unwrap()
        };
        let read = checkpoint.read_all().unwrap();
        assert_eq!(of(&checkpoint), of(&exact));
        assert_eq!(of(&read), of(&exact));
    }
    drop(images);
}

#[test]
fn positions_are_changed_beside_the_file() {
    // Of 3 x 3 patches, for images of 5 x 4, then of 2 x 2.
    let (mut config, file, mut exact) = mixed();
    let mut json = config_of_mixed();
    json["model_args"]["img_size"] = json!([80, 64]);
    let (mut loaded, mut checkpoint) = counted(&json.to_string(), Cursor::new(file)).0.unwrap();
    exact.resample_positions(&mut config, [80, 64]).unwrap();
    assert_eq!(loaded.image_size, config.image_size);
    assert_eq!(checkpoint.tensor("pos_embed").unwrap().as_ref(), exact.get("pos_embed").unwrap());

    checkpoint.resample_positions(&mut loaded, [32, 32]).unwrap();
    exact.resample_positions(&mut config, [32, 32]).unwrap();
    assert_eq!(loaded.image_size, [32, 32]);
    assert_eq!(checkpoint.tensor("pos_embed").unwrap().as_ref(), exact.get("pos_embed").unwrap());
    checkpoint.check(&loaded).unwrap();

    // A size that makes no network changes nothing.
    assert!(checkpoint.resample_positions(&mut loaded, [0, 32]).is_err());
    assert_eq!(loaded.image_size, [32, 32]);
    assert_eq!(checkpoint.tensor("pos_embed").unwrap().as_ref(), exact.get("pos_embed").unwrap());
}

#[test]
fn errors_about_a_tensor_name_its_file() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(golden("cls").join(name), folder.path().join(name)).unwrap();
    }
    let path = folder.path().join("model.safetensors");
    let (_, checkpoint) = load_model(folder.path(), None).unwrap();
    let length = std::fs::metadata(&path).unwrap().len();
    File::options().write(true).open(&path).unwrap().set_len(length / 2).unwrap();
    match checkpoint.read_all() {
        Err(Error::File { path: named, why }) => {
            assert_eq!(named, path.display().to_string());
            assert!(checkpoint.names().iter().any(|name| why.contains(name)), "{why}");
        }
        other => panic!("{other:?}"),
    }

    // A type that is not read is found in the header, if the network has a use for the tensor.
    let (_, file, exact) = mixed();
    let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
    let numbers = vec![0; 8 * 24];
    let with = |name: &'static str| {
        let views: Vec<(String, TensorView<'_>)> = tensors
            .iter()
            .filter(|(other, _)| *other != name)
            .map(|(name, view)| (name.to_owned(), view))
            .chain([(name.to_owned(), TensorView::new(Dtype::I64, vec![24], &numbers).unwrap())])
            .collect();
        let file = serialize(views, None).unwrap();
        counted(&config_of_mixed().to_string(), Cursor::new(file)).0
    };
    match with("norm.bias") {
        Err(Error::Weight { name, why }) => {
            assert_eq!(name, "norm.bias");
            assert!(why.contains("I64") && why.contains("model.safetensors"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    assert!(exact.contains("norm.bias") && with("mask_token").is_ok());
}
