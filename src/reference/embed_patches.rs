use crate::kernels::embed_patches::Params;

/// Images to tokens: a convolution over frames, rows and columns, timm's `PatchEmbed` and `_pos_embed`.
///
/// `y[token] = base[token] + w patch`, where the first `prefix` tokens have no patch. `base`, `[tokens, channels]`, holds
/// the prefix tokens with their positions, then for each patch the convolution's bias and the patch's position.
///
/// `image` is `[batch, frames, image_channels, height, width]`; with `normal`, which is `[2, image_channels]`, it is
/// `[batch, frames, height, width, image_channels]` in bytes, and a value becomes `(value / 255 - mean) / deviation`. `w`
/// is `[channels, patch_values rounded up to 4]`, a row in the order channel, frame, y, x. `y` is
/// `[batch, tokens, channels]`.
pub fn embed_patches<T: Copy + Into<f64>>(
    params: &Params,
    image: &[T],
    w: &[f32],
    base: &[f32],
    normal: Option<&[f32]>,
    y: &mut [f32],
) {
    let &Params { batch, image_channels, frames, height, width, prefix, channels, .. } = params;
    let Cut { corners, values } = Cut::new(params, normal.is_some());
    let [image_channels, prefix, channels] = [image_channels, prefix, channels].map(|v| v as usize);
    let (tokens, padded) = (prefix + corners.len(), values.len().next_multiple_of(4));

    for item in 0..batch as usize {
        let image = &image[item * image_channels * (frames * height * width) as usize..];
        let pixel = |corner: usize, (channel, offset): (usize, usize)| {
            let value: f64 = image[corner + offset].into();
            normal.map_or(value, |normal| {
                let [mean, deviation] = [normal[channel], normal[image_channels + channel]].map(f64::from);
                (value / 255.0 - mean) / deviation
            })
        };
        for token in 0..tokens {
            let patch: Vec<f64> = match token.checked_sub(prefix) {
                Some(patch) => values.iter().map(|&value| pixel(corners[patch], value)).collect(),
                None => Vec::new(),
            };
            for channel in 0..channels {
                let w = &w[channel * padded..];
                let product: f64 = patch.iter().zip(w).map(|(value, &w)| value * f64::from(w)).sum();
                let base = f64::from(base[token * channels + channel]);
                y[(item * tokens + token) * channels + channel] = (base + product) as f32;
            }
        }
    }
}

/// Where the patches of an image lie in it.
struct Cut {
    /// The first value of each patch, frame by frame and row by row.
    corners: Vec<usize>,
    /// A patch's values in the order channel, frame, y, x: the channel of each, and how far it lies from the first one.
    values: Vec<(usize, usize)>,
}

impl Cut {
    fn new(params: &Params, interleaved: bool) -> Self {
        let &Params { image_channels, frames, height, width, .. } = params;
        let &Params { patch_frames, patch_height, patch_width, .. } = params;
        let &Params { stride_frames, stride_height, stride_width, .. } = params;
        let frame = image_channels * height * width;
        // From one channel, frame, line and column to the next.
        let steps = match interleaved {
            true => [1, frame, width * image_channels, image_channels],
            false => [height * width, frame, width, 1],
        };
        let at = |place: [u32; 4]| {
            place.iter().zip(steps).map(|(place, step)| (place * step) as usize).sum::<usize>()
        };
        let starts = |image: u32, patch: u32, stride: u32| (0..=image - patch).step_by(stride as usize);

        let (mut corners, mut values) = (Vec::new(), Vec::new());
        for frame in starts(frames, patch_frames, stride_frames) {
            for y in starts(height, patch_height, stride_height) {
                for x in starts(width, patch_width, stride_width) {
                    corners.push(at([0, frame, y, x]));
                }
            }
        }
        for channel in 0..image_channels {
            for frame in 0..patch_frames {
                for y in 0..patch_height {
                    for x in 0..patch_width {
                        values.push((channel as usize, at([channel, frame, y, x])));
                    }
                }
            }
        }
        Cut { corners, values }
    }
}
