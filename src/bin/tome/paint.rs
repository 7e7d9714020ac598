//! Pictures of merged tokens, as in the paper's figures.

use std::collections::BTreeMap;

use image::imageops::{self, FilterType};
use image::{DynamicImage, Rgb, RgbImage};
use tome_wgpu::vit::Config;

/// A patch is at least this wide in the picture, so that outlines can be told apart.
const LEAST_PATCH: u32 = 16;
/// Between the panels of a sheet.
const GAP: u32 = 6;

/// How much a network's input is enlarged for painting.
fn enlargement(config: &Config) -> u32 {
    let [height, width] = stride(config);
    LEAST_PATCH.div_ceil(height.min(width))
}

/// Pixels from one patch to the next.
fn stride(config: &Config) -> [u32; 2] {
    config.patch_stride.unwrap_or(config.patch_size)
}

/// The final token of each patch of a network's input.
struct Map<'a> {
    patches: &'a [u32],
    config: &'a Config,
}

impl Map<'_> {
    /// The token that a pixel of a frame belongs to: where patches overlap that of the patch whose middle is nearest. Pixels past
    /// the last whole patch belong to none.
    fn group(&self, frame: u32, x: u32, y: u32) -> Option<u32> {
        let (config, grid) = (self.config, self.config.grid());
        let time = frame / config.patch_frames;
        let along = |side: usize, at: u32| {
            let (patch, stride) = (config.patch_size[side], stride(config)[side]);
            let overlap = patch.saturating_sub(stride);
            let number = (at.saturating_sub(overlap / 2) / stride).min(grid[side] - 1);
            (at < number * stride + patch).then_some(number)
        };
        let (row, column) = (along(0, y)?, along(1, x)?);
        let patch = (time * grid[0] + row) * grid[1] + column;
        (time < config.patch_times()).then(|| self.patches[patch as usize])
    }
}

/// A preprocessed picture, enlarged as the painted ones are.
pub fn plain(picture: &DynamicImage, config: &Config) -> RgbImage {
    let factor = enlargement(config);
    let picture = picture.to_rgb8();
    imageops::resize(&picture, picture.width() * factor, picture.height() * factor, FilterType::Nearest)
}

/// Every group of merged patches in its mean colour, with an outline, in all frames alike. `source` holds the final token of each
/// original one; the tokens before the patches are not painted.
pub fn groups(frames: &[DynamicImage], source: &[u32], config: &Config) -> Vec<RgbImage> {
    let patches = &source[config.prefix() as usize..];
    let map = Map { patches, config };
    // Outlines are coloured by a group's first patch, so that a group keeps its colour from block to block.
    let mut first: BTreeMap<u32, u32> = BTreeMap::new();
    for (patch, group) in (0..).zip(patches) {
        first.entry(*group).or_insert(patch);
    }
    let mut sums: BTreeMap<u32, [u64; 4]> = BTreeMap::new();
    for (number, frame) in (0..).zip(frames) {
        for (x, y, pixel) in frame.to_rgb8().enumerate_pixels() {
            if let Some(group) = map.group(number, x, y) {
                let sum = sums.entry(group).or_default();
                let [r, g, b] = pixel.0.map(u64::from);
                *sum = [sum[0] + r, sum[1] + g, sum[2] + b, sum[3] + 1];
            }
        }
    }
    let mean = |[r, g, b, count]: [u64; 4]| Rgb([r, g, b].map(|sum| ((sum + count / 2) / count) as u8));
    let colours = |group: u32| {
        let outline = outline(first.get(&group).copied().unwrap_or_default());
        (sums.get(&group).map_or(outline, |&sum| mean(sum)), outline)
    };
    (0..).zip(frames).map(|(number, frame)| painted(frame, number, &map, colours)).collect()
}

/// A frame with its groups in their colours, inside and on the outline.
fn painted(
    frame: &DynamicImage,
    number: u32,
    map: &Map<'_>,
    colours: impl Fn(u32) -> (Rgb<u8>, Rgb<u8>),
) -> RgbImage {
    let factor = enlargement(map.config);
    let mut painted = plain(frame, map.config);
    let (width, height) = painted.dimensions();
    for (x, y, pixel) in painted.enumerate_pixels_mut() {
        let Some(own) = map.group(number, x / factor, y / factor) else { continue };
        let differs = |dx: i64, dy: i64| {
            let (x, y) = (i64::from(x) + dx, i64::from(y) + dy);
            let inside = (0..i64::from(width)).contains(&x) && (0..i64::from(height)).contains(&y);
            !inside || map.group(number, x as u32 / factor, y as u32 / factor) != Some(own)
        };
        let edge = differs(-1, 0) || differs(1, 0) || differs(0, -1) || differs(0, 1);
        let (inside, outline) = colours(own);
        *pixel = if edge { outline } else { inside };
    }
    painted
}

/// A bright colour that follows from a group's first patch alone.
fn outline(patch: u32) -> Rgb<u8> {
    // Multiples of the golden ratio spread over the colour circle without coming together.
    let hue = (f64::from(patch) * 0.618_033_988_75).fract() * 6.0;
    Rgb([0.0, 4.0, 2.0].map(|shift: f64| {
        let distance = ((hue + shift).rem_euclid(6.0) - 3.0).abs() - 1.0;
        (55.0 + 200.0 * distance.clamp(0.0, 1.0)) as u8
    }))
}

/// Panels of one size side by side on white, `columns` in a row.
pub fn sheet(panels: &[RgbImage], columns: u32) -> RgbImage {
    let (width, height) = panels.first().map_or((0, 0), RgbImage::dimensions);
    let rows = (panels.len() as u32).div_ceil(columns);
    let across = columns.min(panels.len() as u32);
    let white = Rgb([255; 3]);
    let mut sheet = RgbImage::from_pixel(across * (width + GAP) + GAP, rows * (height + GAP) + GAP, white);
    for (panel, index) in panels.iter().zip(0..) {
        let (x, y) = (GAP + index % columns * (width + GAP), GAP + index / columns * (height + GAP));
        imageops::replace(&mut sheet, panel, x.into(), y.into());
    }
    sheet
}
