//! JPEGs like photographs: colours that vary on every scale, discs with sharp edges, and a sensor's noise.

use libjpeg_turbo_rs::{Encoder, PixelFormat, Subsampling};

/// How a picture is stored.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    /// None: grey.
    pub subsampling: Option<Subsampling>,
    pub progressive: bool,
    /// What EXIF data says of its orientation; 1 says nothing.
    pub orientation: u8,
}

/// The file of a picture; another for each seed.
pub fn jpeg(width: usize, height: usize, seed: u32, stored: Stored) -> Vec<u8> {
    let pixels = rgb(width, height, seed);
    let exif = exif(stored.orientation);
    let (pixels, format) = match stored.subsampling {
        Some(_) => (pixels, PixelFormat::Rgb),
        None => (pixels.into_iter().skip(1).step_by(3).collect(), PixelFormat::Grayscale),
    };
    let encoder = Encoder::new(&pixels, width, height, format)
        .quality(88)
        .subsampling(stored.subsampling.unwrap_or(Subsampling::S444))
        .progressive(stored.progressive);
    let encoder = if stored.orientation == 1 { encoder } else { encoder.exif_data(&exif) };
    encoder.encode().expect("a picture")
}

/// Numbers in [0, 1), spread evenly and always the same.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 24) as f32
    }
}

fn rgb(width: usize, height: usize, seed: u32) -> Vec<u8> {
    let mut draws = Draws(u64::from(seed) + 1);
    let mut values = vec![120f32; width * height * 3];
    // Grids of random colours from coarse to fine, each half as strong as the one before.
    let (mut cell, mut strength) = (width.max(height) as f32 / 2.0, 90.0);
    while cell >= 2.0 {
        let columns = (width as f32 / cell) as usize + 2;
        let rows = (height as f32 / cell) as usize + 2;
        let grid: Vec<f32> = (0..rows * columns * 3).map(|_| draws.next() - 0.5).collect();
        for (at, value) in values.iter_mut().enumerate() {
            let (x, y, channel) = (at / 3 % width, at / 3 / width, at % 3);
            let (x, y) = (x as f32 / cell, y as f32 / cell);
            let corner = |row: usize, column: usize| grid[(row * columns + column) * 3 + channel];
            let (row, column) = (y as usize, x as usize);
            let (down, across) = (y.fract(), x.fract());
            let upper = corner(row, column) * (1.0 - across) + corner(row, column + 1) * across;
            let lower = corner(row + 1, column) * (1.0 - across) + corner(row + 1, column + 1) * across;
            *value += strength * (upper * (1.0 - down) + lower * down);
        }
        (cell, strength) = (cell / 2.0, strength / 1.6);
    }
    for _ in 0..25 {
        let [x, y, radius] = [draws.next() * width as f32, draws.next() * height as f32, draws.next()];
        let radius = (0.01 + 0.14 * radius) * width.min(height) as f32;
        let colour = [draws.next(), draws.next(), draws.next()];
        for (at, value) in values.iter_mut().enumerate() {
            let (dx, dy) = ((at / 3 % width) as f32 - x, (at / 3 / width) as f32 - y);
            if dx * dx + dy * dy < radius * radius {
                *value = 0.4 * *value + 153.0 * colour[at % 3];
            }
        }
    }
    values.iter().map(|value| (value + 10.0 * (draws.next() - 0.5)).clamp(0.0, 255.0) as u8).collect()
}

/// EXIF data with an orientation alone: a TIFF of one tag.
fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    tiff.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    tiff
}
