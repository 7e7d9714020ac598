//! Pictures of any shape: SigLIP 2's NaFlex against transformers, with padding and merging.

use std::collections::BTreeMap;
use std::path::PathBuf;

use image::{DynamicImage, RgbImage};
use safetensors::{Dtype, SafeTensors};
use tome_wgpu::files::{load_model, pack};
use tome_wgpu::vit::{Config, Images, Options, Output, Weights};
use tome_wgpu::{Element, Schedule};

use crate::common::{Tol, close, place, rigs};
use crate::{CPU_TOLERANCE, GPU_TOLERANCE, HALF_TOLERANCE, Numbers, Stages, on_cpu, on_gpu};

struct Naflex {
    name: &'static str,
    network: (Config, Weights),
    /// Rows and columns of patches of each picture.
    grids: Vec<[u32; 2]>,
    /// Of each picture, padding and all.
    patches: Vec<Vec<f32>>,
    given: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

fn tensors(path: PathBuf) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = |dtype: Dtype, data: &[u8]| -> Vec<f32> {
        match dtype {
            Dtype::F32 => data.as_chunks().0.iter().map(|&v| f32::from_le_bytes(v)).collect(),
            Dtype::I32 => data.as_chunks().0.iter().map(|&v| i32::from_le_bytes(v) as f32).collect(),
            Dtype::I64 => data.as_chunks().0.iter().map(|&v| i64::from_le_bytes(v) as f32).collect(),
            Dtype::U8 => data.iter().map(|&v| v.into()).collect(),
            other => panic!("{other}"),
        }
    };
    file.iter()
        .map(|(name, tensor)| (name.into(), (tensor.shape().to_vec(), values(tensor.dtype(), tensor.data()))))
        .collect()
}

fn cases() -> impl Iterator<Item = Naflex> {
    ["naflex", "naflex_classifier"].into_iter().map(|name| {
        let folder = place!("CARGO_MANIFEST_DIR").join("tests/golden/cases").join(name);
        let (config, checkpoint) = load_model(&folder, None).unwrap();
        let input = tensors(folder.join("input.safetensors"));
        let (shape, values) = &input["pixel_values"];
        Naflex {
            name,
            network: (config, checkpoint.read_all().unwrap()),
            grids: input["spatial_shapes"]
                .1
                .as_chunks()
                .0
                .iter()
                .map(|pair| pair.map(|v| v as u32))
                .collect(),
            patches: values.chunks_exact(shape[1] * shape[2]).map(<[f32]>::to_vec).collect(),
            given: tensors(folder.join("expected.safetensors")),
        }
    })
}

impl Naflex {
    fn packed(&self) -> Vec<f32> {
        let pictures = self.patches.iter().zip(&self.grids);
        pictures.flat_map(|(values, &grid)| self.network.0.pack(values, grid).unwrap()).collect()
    }

    /// Of pictures whose tokens merge as they should the logits are as they should be; gives how many those are.
    fn check(&self, what: &str, r: u32, tolerance: f64, run: impl Fn(&[f32], &Options) -> Stages) -> usize {
        let options = Options::for_network(&self.network.0, Schedule::constant(r));
        let got = run(&self.packed(), &options);
        let what = format!("{what} {} r {r}", self.name);
        let want = &self.given[if r == 0 { "library" } else { "merged" }].1;
        let Numbers::F32(logits) = &got["logits"] else { panic!("{what}: no logits") };
        let largest = want.iter().fold(0.0, |most: f32, v| most.max(v.abs()));
        let tolerance = Tol { abs: tolerance as f32 * largest, rel: 0.0 };
        let Numbers::U32(source) = &got["source"] else { panic!("{what}: no source") };
        let count = self.grids.len();
        let parts = |values: usize| values / count;
        let rows = logits.chunks_exact(parts(logits.len())).zip(want.chunks_exact(parts(want.len())));
        let maps = source.chunks_exact(parts(source.len()));
        let maps = maps.zip(self.given["source"].1.chunks_exact(parts(source.len())));
        // Of padding nothing is said.
        let same = |(own, given): (&[u32], &[f32])| {
            r == 0 || own.iter().zip(given).all(|(&own, &given)| given < 0.0 || own as f32 == given)
        };
        let decided: Vec<_> = rows.zip(maps).filter(|&(_, maps)| same(maps)).map(|(rows, _)| rows).collect();
        decided.iter().for_each(|(logits, want)| close(&what, logits, want, tolerance));
        decided.len()
    }
}

/// The closest decisions of the cases are 0.0011 apart (run.json), about what 16 bits round keys by, and a picture of which one
/// falls otherwise is another result: that many of the four have none so close. On lavapipe all four agree, logits to 2.5e-3.
const DECIDED_IN_16_BITS: usize = 2;

#[test]
fn pictures_of_any_shape_agree_with_transformers() {
    for case in cases() {
        let (config, weights) = &case.network;
        let packed = config.packed.expect("a network of pictures of any shape");
        assert!(case.grids.iter().all(|[rows, columns]| rows * columns < packed.patches), "no padding");
        for r in [0, 3] {
            let decided = case.check("cpu", r, CPU_TOLERANCE, |images, options| {
                on_cpu(config, weights, images, options).unwrap()
            });
            assert_eq!(decided, case.grids.len(), "cpu {} r {r}: another source map", case.name);
            for rig in rigs() {
                let whole = rig.gpu.variant().element == Element::F32;
                let tolerance = if whole { GPU_TOLERANCE } else { HALF_TOLERANCE };
                let decided = case.check(&rig.id(), r, tolerance, |images, options| {
                    on_gpu(rig, config, weights, images, options).unwrap()
                });
                let least = if whole || r == 0 { case.grids.len() } else { DECIDED_IN_16_BITS };
                assert!(
                    decided >= least,
                    "{} {} r {r}: {decided} pictures' source maps",
                    rig.id(),
                    case.name
                );
            }
        }
    }
}

#[test]
fn pictures_are_packed_as_the_processor_packs_them() {
    for case in cases() {
        let (config, _) = &case.network;
        for (i, (values, &grid)) in case.patches.iter().zip(&case.grids).enumerate() {
            let (shape, bytes) = &case.given[&format!("picture{i}")];
            let bytes = bytes.iter().map(|&v| v as u8).collect();
            let picture = RgbImage::from_raw(shape[1] as u32, shape[0] as u32, bytes).unwrap();
            let packed = pack(DynamicImage::from(picture), config).unwrap();
            assert_eq!(packed.grid, grid, "{} picture {i}", case.name);
            let got = packed.values;
            let want = config.pack(values, grid).unwrap();
            // A step of a byte is 2/255; a few are rounded the other way.
            let off = got.iter().zip(&want).filter(|(a, b)| (*a - *b).abs() > 1e-6).count();
            let most = got.iter().zip(&want).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(
                most < 0.0079 && off * 100 < got.len(),
                "{} picture {i}: {off} values off by {most}",
                case.name
            );
        }
    }
}

#[test]
fn maps_have_a_row_for_each_patch_and_pixels_are_refused() {
    for case in cases() {
        let (config, weights) = &case.network;
        let vit = tome_wgpu::cpu::VisionTransformer::new(config.clone(), weights).unwrap();
        let options = Options::for_network(config, Schedule::constant(3));
        let outputs = vit.forward(&case.packed(), &options).unwrap();
        let shape = Output::Dense.shape(config, outputs.merged as u32);
        // As many as there are at most, which is another number than that of the table's positions.
        assert_eq!(shape, [29, 32], "{}", case.name);
        let dense = vit.dense(&outputs);
        assert_eq!(dense.len(), case.grids.len() * 29 * 32);
        for (image, [rows, columns]) in case.grids.iter().enumerate() {
            for patch in 0..(rows * columns) as usize {
                let token = image * outputs.merged + outputs.source[image * 29 + patch] as usize;
                let own = &dense[(image * 29 + patch) * 32..][..32];
                assert_eq!(own, &outputs.tokens[token * 32..][..32], "{} {image} {patch}", case.name);
            }
        }
        let pixels = vec![0u8; config.image_values()];
        assert!(Images::Pixels(&pixels).normalised(config).is_err());
    }
}

#[test]
fn what_is_no_picture_of_any_shape_is_refused() {
    let case = cases().next().unwrap();
    let (config, weights) = &case.network;
    let values = &case.patches[0];
    for (values, grid) in
        [(&values[..], [0, 3]), (values, [5, 6]), (values, [u32::MAX; 2]), (&values[..48], [1, 2])]
    {
        assert!(config.pack(values, grid).is_err(), "{grid:?}");
    }
    let mut other = config.clone();
    assert!(weights.clone().resample_positions(&mut other, [40, 40]).is_err());
    // Without a threshold padding would merge.
    let options = Options::with_schedule(Schedule::constant(3));
    let error = on_cpu(config, weights, &case.packed(), &options).err().expect("refused").to_string();
    assert!(error.contains("threshold"), "{error}");
}
