use tome_wgpu::kernels::embed_patches::{Io, Params, SPEC, embed_patches};
use tome_wgpu::{Element, TileSize, cpu};

use crate::common::{Random, Rig, Tol, close, rigs_for, same};
use crate::matmul::tol;

struct Case {
    params: Params,
    image: Vec<f32>,
    /// Instead, with what they are normalised by.
    pixels: Option<(Vec<u8>, Vec<f32>)>,
    w: Vec<f32>,
    bias: Vec<f32>,
    position: Vec<f32>,
    first: Option<Vec<f32>>,
}

impl Case {
    fn new(params: Params) -> Self {
        let mut random = Random(params.channels.into());
        let Params { batch, image_channels, height, width, prefix, channels, .. } = params;
        // Rows of w end in zeros up to a multiple of four.
        let values = params.patch_values();
        let mut w = Vec::new();
        for _ in 0..channels {
            w.extend(random.floats(values));
            w.resize(w.len().next_multiple_of(4), 0.0);
        }
        // A row of a length that is no multiple of four would shift the next ones.
        assert_eq!(w.len() as u32, channels * values.next_multiple_of(4));
        Case {
            params,
            image: random.floats(batch * image_channels * height * width),
            pixels: None,
            w,
            bias: random.floats(channels),
            position: random.floats(params.patches() * channels),
            first: (prefix > 0).then(|| random.floats(prefix * channels)),
        }
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
        let [bias, position] = [&self.bias, &self.position].map(|data| rig.data(data));
        let image = self.pixels.as_ref().map_or_else(|| rig.data(&self.image), |(bytes, _)| rig.data(bytes));
        let normal = self.pixels.as_ref().map(|(_, normal)| rig.data(normal));
        let w = rig.elems(&self.w);
        let first = self.first.as_ref().map(|first| rig.data(first));
        let y = rig.unwritten(self.len());
        let io = Io {
            image: (&image).into(),
            normal: normal.as_ref().map(Into::into),
            w: (&w).into(),
            bias: (&bias).into(),
            position: (&position).into(),
            first: first.as_ref().map(Into::into),
            y: (&y).into(),
        };
        rig.run(&[embed_patches(&rig.gpu, self.params, io).unwrap()]);
        rig.read(&y, self.len())
    }

    fn check(&self, rig: &Rig) {
        let Case { params, image, pixels, w, bias, position, first } = self;
        let mut want = vec![f32::NAN; self.len() as usize];
        let (first, want_in) = (first.as_deref(), &mut want);
        match pixels {
            None => cpu::embed_patches(params, image, None, w, bias, position, first, want_in),
            Some((bytes, normal)) => {
                cpu::embed_patches(params, bytes, Some(normal), w, bias, position, first, want_in);
            }
        }
        let Tol { abs, rel } = tol(params.patch_values());
        // Bytes, normalised to at most 1, are rounded to the storage type, and weights are at most 1.
        let rounded = pixels.is_some() && rig.gpu.variant().element == Element::F16;
        let abs = if rounded { abs + 2.5e-4 * params.patch_values() as f32 } else { abs };
        close(format!("{} {params:?}", rig.id()), &self.on_gpu(rig), &want, Tol { abs, rel });
    }
}

/// Colour images cut into patches, all sides different.
const IMAGES: Params = set!(Params::default(); batch: 2, image_channels: 3, height: 24, width: 40, patch_height: 4, patch_width: 8, prefix: 1, channels: 20, has_normal: 0, tokens: 0);

#[test]
fn matches_cpu() {
    let cases = [
        IMAGES,
        // No prefix, and a class token with four registers.
        set!(IMAGES; prefix: 0),
        set!(IMAGES; prefix: 5),
        // One grey pixel; nine values a patch, which are filled up to twelve; four channels of 3 x 5.
        set!(IMAGES; image_channels: 1, height: 1, width: 1, patch_height: 1, patch_width: 1),
        set!(IMAGES; image_channels: 1, patch_height: 3, patch_width: 3),
        set!(IMAGES; image_channels: 4, patch_height: 3, patch_width: 5),
        // Pixels left over below and on the right.
        set!(IMAGES; height: 27, width: 47),
        // Around the tiles' columns, 64.
        set!(IMAGES; channels: 60),
        set!(IMAGES; channels: 68),
        set!(IMAGES; channels: 260),
        // A ViT-Tiny.
        set!(IMAGES; batch: 2, image_channels: 3, height: 224, width: 224, patch_height: 16, patch_width: 16, prefix: 1, channels: 192),
    ];
    for rig in rigs_for(&SPEC) {
        for params in cases {
            Case::new(params).check(rig);
            Case::new(params).of_pixels().check(rig);
        }
    }
}

#[test]
fn prefix_tokens_are_copied_and_nan_pixels_stay_in_their_patch() {
    for rig in rigs_for(&SPEC) {
        let mut case = Case::new(IMAGES);
        let clean = case.on_gpu(rig);
        // The first pixel of the first image is in its first patch, token 1.
        case.image[0] = f32::NAN;
        let y = case.on_gpu(rig);
        same(rig.id(), &y[..20], case.first.as_ref().unwrap());
        assert!(y[20..40].iter().all(|v| v.is_nan()), "{}", rig.id());
        same(rig.id(), &y[40..], &clean[40..]);
    }
}

#[test]
fn more_tiles_than_one_dimension_of_workgroups() {
    for rig in rigs_for(&SPEC).filter(|rig| rig.tile_size() == TileSize::Medium) {
        // 66,000 tiles of 32 or 64 tokens, 4 pixels a patch.
        let rows = rig.tile_rows();
        let params = set!(IMAGES; batch: 660, image_channels: 1, height: 2 * rows, width: 200, patch_height: 2, patch_width: 2, prefix: 0, channels: 4);
        assert_eq!(params.patches(), 100 * rows);
        Case::new(params).check(rig);
    }
}
