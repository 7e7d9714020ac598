use crate::kernels::resize_image::{Order, Params};

/// A picture of bytes, resized across, then down, rounded to 8 bits after each, and normalised.
///
/// `resized[column] = round(sum of weight[tap] * picture[start[column] + tap])` along each row, the same down each column,
/// then `(value / 255 - mean) / deviation`.
///
/// `image` is `[image_height, image_width, 4]`: red, green, blue and what is dropped, as they are stored. `down` and
/// `across` are `[2 + taps, pixels]`: where each pixel's taps start, how many they are, and their weights times 2^22.
/// `normal` is `[2, channels]`. `y` is `[channels, height, width]` from its value `first` on.
pub fn resize_image(
    params: &Params,
    image: &[u8],
    down: &[i32],
    across: &[i32],
    normal: &[f32],
    y: &mut [f32],
) {
    let &Params { order, .. } = params;
    let sides = [params.image_height, params.image_width, params.height, params.width, params.channels];
    let [image_height, image_width, height, width, channels] = sides.map(|side| side as usize);
    // [channels, image_height, image_width]
    let plane = |channel: usize| -> Vec<f64> {
        let value = |texel: &[u8]| match channels {
            1 => luma(texel),
            _ => f64::from(texel[channel]),
        };
        image.chunks_exact(4).take(image_height * image_width).map(value).collect()
    };

    for channel in 0..channels {
        let colour = if order == Order::Bgr { channels - 1 - channel } else { channel };
        let picture = plane(colour);
        let mut between = vec![0.0; image_height * width];
        for (row, between) in between.chunks_exact_mut(width).enumerate() {
            for (column, value) in between.iter_mut().enumerate() {
                *value = sum(across, (width, column), |tap| picture[row * image_width + tap]);
            }
        }
        let [mean, deviation] = [normal[channel], normal[channels + channel]].map(f64::from);
        let y = &mut y[params.first as usize + channel * height * width..];
        for row in 0..height {
            for column in 0..width {
                let value = sum(down, (height, row), |tap| between[tap * width + column]);
                y[row * width + column] = ((value / 255.0 - mean) / deviation) as f32;
            }
        }
    }
}

/// A pixel's taps by their weights, as a byte.
fn sum(taps: &[i32], (made, at): (usize, usize), pixel: impl Fn(usize) -> f64) -> f64 {
    let (start, count) = (taps[at] as usize, taps[made + at] as usize);
    let sum: f64 = (0..count).map(|tap| f64::from(taps[(2 + tap) * made + at]) * pixel(start + tap)).sum();
    (sum / f64::from(1 << 22) + 0.5).floor().clamp(0.0, 255.0)
}

/// Grey after ITU-R 601, as Pillow rounds it.
fn luma(texel: &[u8]) -> f64 {
    let [red, green, blue] = [texel[0], texel[1], texel[2]].map(f64::from);
    ((19595.0 * red + 38470.0 * green + 7471.0 * blue) / 65536.0 + 0.5).floor()
}
