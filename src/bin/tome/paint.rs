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
    let [height, width] = config.patch_size;
    LEAST_PATCH.div_ceil(height.min(width))
}

/// A preprocessed picture, enlarged as the painted ones are.
pub fn plain(picture: &DynamicImage, config: &Config) -> RgbImage {
    let factor = enlargement(config);
    let picture = picture.to_rgb8();
    imageops::resize(&picture, picture.width() * factor, picture.height() * factor, FilterType::Nearest)
}

/// Every group of merged patches in its mean colour, with an outline. `source` holds the final token of each
/// original one; the tokens before the patches are not painted.
pub fn groups(picture: &DynamicImage, source: &[u32], config: &Config) -> RgbImage {
    let factor = enlargement(config);
    let [rows, columns] = config.grid();
    let [patch_height, patch_width] = config.patch_size;
    let patches = &source[config.prefix() as usize..];
    // Pixels past the last whole patch belong to no token.
    let group = |x: u32, y: u32| {
        let (row, column) = (y / patch_height, x / patch_width);
        (row < rows && column < columns).then(|| patches[(row * columns + column) as usize])
    };

    // Outlines are coloured by a group's first patch, so that a group keeps its colour from block to block.
    let mut first: BTreeMap<u32, u32> = BTreeMap::new();
    for (patch, group) in (0..).zip(patches) {
        first.entry(*group).or_insert(patch);
    }
    let pixels = picture.to_rgb8();
    let mut sums: BTreeMap<u32, [u64; 4]> = BTreeMap::new();
    for (x, y, pixel) in pixels.enumerate_pixels() {
        if let Some(group) = group(x, y) {
            let sum = sums.entry(group).or_default();
            let [r, g, b] = pixel.0.map(u64::from);
            *sum = [sum[0] + r, sum[1] + g, sum[2] + b, sum[3] + 1];
        }
    }
    let mean = |[r, g, b, count]: [u64; 4]| Rgb([r, g, b].map(|sum| ((sum + count / 2) / count) as u8));

    let mut painted = plain(picture, config);
    let (width, height) = painted.dimensions();
    for (x, y, pixel) in painted.enumerate_pixels_mut() {
        let Some(own) = group(x / factor, y / factor) else { continue };
        let differs = |dx: i64, dy: i64| {
            let (x, y) = (i64::from(x) + dx, i64::from(y) + dy);
            let inside = (0..i64::from(width)).contains(&x) && (0..i64::from(height)).contains(&y);
            !inside || group(x as u32 / factor, y as u32 / factor) != Some(own)
        };
        let edge = differs(-1, 0) || differs(1, 0) || differs(0, -1) || differs(0, 1);
        *pixel = if edge {
            outline(first.get(&own).copied().unwrap_or_default())
        } else {
            sums.get(&own).map_or(*pixel, |&sum| mean(sum))
        };
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
