use super::slices::{elements, part, part_mut};
use super::threads::for_each_chunk;
use crate::kernels::resize_image::{FRACTION, Order, Params};

/// A picture of bytes, `[image_height, image_width, 4]`, resized across, then down, rounded to 8 bits after each, and
/// normalised.
///
/// # Panics
/// Where a side is 0, there are neither 1 nor 3 channels, a table leads beyond the picture, or a slice is too short.
pub fn resize_image(
    params: &Params,
    image: &[u8],
    down: &[i32],
    across: &[i32],
    normal: &[f32],
    y: &mut [f32],
) {
    let &Params { image_height, image_width, height, width, channels, order, .. } = params;
    assert!(channels == 1 || channels == 3, "{channels} channels");
    let image = part("image", image, &[image_height, image_width, 4]);
    let down = Table { words: part("down", down, &[2 + params.taps_down, height]), made: height as usize };
    let across =
        Table { words: part("across", across, &[2 + params.taps_across, width]), made: width as usize };
    let normal = part("normal", normal, &[2, channels]);
    let y = part_mut("y", &mut y[params.first as usize..], &[channels, height, width]);

    // The rows that the image is made of, resized across: [rows, width].
    let row_bytes = 4 * image_width as usize;
    let first = down.taps(0).0;
    let last = (0..down.made).map(|row| down.taps(row)).map(|(start, count)| start + count).max();
    let mut between = vec![[0i32; 3]; (last.unwrap_or(first) - first) * across.made];
    for_each_chunk(&mut between, across.made, |row, between| {
        let texels = &image[(first + row) * row_bytes..][..row_bytes];
        let colours: Vec<[i32; 3]> = texels.chunks_exact(4).map(|texel| stored(texel, channels)).collect();
        for (column, value) in between.iter_mut().enumerate() {
            *value = across.sum(column, |tap| colours[tap]);
        }
    });

    let (width, plane) = (across.made, elements(&[height, width]));
    for row in 0..down.made {
        for column in 0..width {
            let mut colour = down.sum(row, |tap| between[(tap - first) * width + column]);
            if order == Order::Bgr {
                colour.reverse();
            }
            for (channel, &byte) in colour.iter().take(channels as usize).enumerate() {
                let [mean, deviation] = [normal[channel], normal[channels as usize + channel]];
                y[channel * plane + row * width + column] = (byte as f32 / 255.0 - mean) / deviation;
            }
        }
    }
}

/// What pixels are made of.
struct Table<'a> {
    words: &'a [i32],
    made: usize,
}

impl Table<'_> {
    /// The first tap of a pixel, and how many they are.
    fn taps(&self, at: usize) -> (usize, usize) {
        (self.words[at] as usize, self.words[self.made + at] as usize)
    }

    /// A pixel's taps by their weights, as bytes.
    fn sum(&self, at: usize, pixel: impl Fn(usize) -> [i32; 3]) -> [i32; 3] {
        let (start, count) = self.taps(at);
        let mut sum = [1 << (FRACTION - 1); 3];
        for tap in 0..count {
            let (weight, values) = (self.words[(2 + tap) * self.made + at], pixel(start + tap));
            sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value * weight);
        }
        sum.map(|sum| (sum >> FRACTION).clamp(0, 255))
    }
}

/// A texel's colour; of one channel, luma after ITU-R 601 in all three.
fn stored(texel: &[u8], channels: u32) -> [i32; 3] {
    let [red, green, blue] = [texel[0], texel[1], texel[2]].map(i32::from);
    match channels {
        1 => [(red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16; 3],
        _ => [red, green, blue],
    }
}
