use std::iter;

use tome_wgpu::kernels::embed_patches::{Io, Params, SPEC, embed_patches};
use tome_wgpu::{Element, TileSize, reference};

use crate::common::{Random, Rig, Tol, close, rigs_for, same, set};
use crate::matmul::tol;

struct Case {
    params: Params,
    image: Vec<f32>,
    /// Instead, with what they are normalised by.
    pixels: Option<(Vec<u8>, Vec<f32>)>,
    w: Vec<f32>,
    base: Vec<f32>,
}

impl Case {
    fn new(params: Params) -> Self {
        let mut random = Random(params.channels.into());
        let Params { batch, image_channels, frames, height, width, prefix, channels, .. } = params;
        // Rows of w end in zeros up to a multiple of four.
        let values = params.patch_values();
        let mut w = Vec::new();
        for _ in 0..channels {
            w.extend(random.floats(values));
            w.resize(w.len().next_multiple_of(4), 0.0);
        }
        // A row of a length that is no multiple of four would shift the next ones.
        assert_eq!(w.len() as u32, channels * values.next_multiple_of(4));
        let image = random.floats(batch * frames * image_channels * height * width);
        let base = random.floats((prefix + params.patches()) * channels);
        Case { params, image, pixels: None, w, base }
    }

    /// The same with images of bytes.
    fn of_pixels(self) -> Self {
        let Params { image_channels, .. } = self.params;
        let mut random = Random(9);
        let bytes = (0..self.image.len()).map(|_| random.below(256) as u8).collect();
        let (mean, deviation) =
            (0..image_channels).map(|i| (0.5 - 0.1 * i as f32, 0.5 + 0.1 * i as f32)).unzip();
        let normal = [mean, deviation].map(|values: Vec<f32>| values).concat();
        Case { pixels: Some((bytes, normal)), ..self }
    }

    fn len(&self) -> u32 {
        self.params.batch * (self.params.prefix + self.params.patches()) * self.params.channels
    }

    fn on_gpu(&self, rig: &Rig) -> Vec<f32> {
        let image = self.pixels.as_ref().map_or_else(|| rig.data(&self.image), |(bytes, _)| rig.data(bytes));
        let normal = self.pixels.as_ref().map(|(_, normal)| rig.data(normal));
        let (w, base, y) = (rig.weights(&self.w), rig.data(&self.base), rig.unwritten(self.len()));
        let io = set!(Io::new(&image, &w, &base, &y); normal: normal.as_ref().map(Into::into));
        rig.run(&[embed_patches(&rig.gpu, self.params, io).unwrap()]);
        rig.read(&y, self.len())
    }

    /// On some variants the same.
    fn check(&self, rigs: impl Iterator<Item = &'static Rig>) {
        let Case { params, image, pixels, w, base } = self;
        let mut want = vec![f32::NAN; self.len() as usize];
        match pixels {
            None => reference::embed_patches(params, image, w, base, None, &mut want),
            Some((bytes, normal)) => {
                reference::embed_patches(params, bytes, w, base, Some(normal), &mut want);
            }
        }
        let Tol { abs, rel } = tol(params.patch_values());
        for rig in rigs {
            // Bytes, normalised to at most 1, are rounded to the storage type, and weights are at most 1.
            let rounded = pixels.is_some() && rig.gpu.variant().element == Element::F16;
            let abs = if rounded { abs + 2.5e-4 * params.patch_values() as f32 } else { abs };
            close(format!("{} {params:?}", rig.id()), &self.on_gpu(rig), &want, Tol { abs, rel });
        }
    }
}

/// Colour images cut into patches, all sides different.
fn images() -> Params {
    Params::pictures(2, [3, 24, 40], [4, 8], 1, 20)
}

#[test]
fn matches_the_reference() {
    let pictures = |image, patch| Params::pictures(2, image, patch, 1, 20);
    let cases = [
        images(),
        // No prefix, and a class token with four registers.
        set!(images(); prefix: 0),
        set!(images(); prefix: 5),
        // One grey pixel; nine values a patch, which are filled up to twelve; four channels of 3 x 5.
        pictures([1, 1, 1], [1, 1]),
        pictures([1, 24, 40], [3, 3]),
        pictures([4, 24, 40], [3, 5]),
        // Pixels left over below and on the right.
        pictures([3, 27, 47], [4, 8]),
        // Around the tiles' columns, 64.
        set!(images(); channels: 60),
        set!(images(); channels: 68),
        set!(images(); channels: 260),
        // A ViT-Tiny.
        Params::pictures(2, [3, 224, 224], [16, 16], 1, 192),
    ];
    for params in cases {
        Case::new(params).check(rigs_for(&SPEC));
        Case::new(params).of_pixels().check(rigs_for(&SPEC));
    }
}

#[test]
fn patches_overlap_and_have_frames() {
    let cases = [
        // As of a spectrogram: closer together than they are large, and further apart.
        set!(images(); stride_height: 3, stride_width: 5),
        set!(images(); stride_height: 7, stride_width: 9),
        // As of a video: two frames a patch, an odd one left over; every frame with its neighbours.
        set!(images(); frames: 5, patch_frames: 2, stride_frames: 2),
        set!(images(); frames: 4, patch_frames: 3, stride_frames: 1, stride_width: 4),
    ];
    for params in cases {
        Case::new(params).check(rigs_for(&SPEC));
        Case::new(params).of_pixels().check(rigs_for(&SPEC));
    }
}

#[test]
fn prefix_tokens_are_copied_and_nan_pixels_stay_in_their_patch() {
    for rig in rigs_for(&SPEC) {
        let mut case = Case::new(images());
        let clean = case.on_gpu(rig);
        // The first pixel of the first image is in its first patch, token 1.
        case.image[0] = f32::NAN;
        let y = case.on_gpu(rig);
        same(rig.id(), &y[..20], &case.base[..20]);
        assert!(y[20..40].iter().all(|v| v.is_nan()), "{}", rig.id());
        same(rig.id(), &y[40..], &clean[40..]);
    }
}

#[test]
fn more_tiles_than_one_dimension_of_workgroups() {
    for rig in rigs_for(&SPEC).filter(|rig| rig.tile_size() == TileSize::Medium) {
        // 66,000 tiles of 32 or 64 tokens, 4 pixels a patch.
        let rows = rig.tile_rows();
        let params = Params::pictures(660, [1, 2 * rows, 200], [2, 2], 0, 4);
        assert_eq!(params.patches(), 100 * rows);
        Case::new(params).check(iter::once(rig));
    }
}
