use super::matrix::{Matrix, multiply};
use super::slices::{elements, part, part_mut};
use crate::kernels::embed_patches::Params;

/// The tokens that enter the first block: prefix tokens, then each patch projected to a token with its position. With
/// `normal` images are bytes.
///
/// # Panics
/// Where a dimension is 0, a patch larger than the image, `first` absent with `prefix` above 0, or a slice too short.
#[expect(clippy::too_many_arguments, reason = "the kernel's buffers in order")]
pub fn embed_patches<T: Copy + Into<f32>>(
    params: &Params,
    image: &[T],
    normal: Option<&[f32]>,
    w: &[f32],
    bias: &[f32],
    position: &[f32],
    first: Option<&[f32]>,
    y: &mut [f32],
) {
    let &Params { batch, image_channels, height, width, patch_height, patch_width, prefix, channels, .. } =
        params;
    let (rows, across) = (height / patch_height, width / patch_width);
    let patches = elements(&[rows, across]);
    let values = elements(&[image_channels, patch_height, patch_width]);
    let image = part("image", image, &[batch, image_channels, height, width]);
    let normal = normal.map(|normal| part("normal", normal, &[2, image_channels]));
    let w = Matrix::new(w, [channels as usize, values], values.next_multiple_of(4));
    let bias = part("bias", bias, &[channels]);
    let position = part("position", position, &[rows, across, channels]);
    let first = part("first", first.unwrap_or(&[]), &[prefix, channels]);
    let y = part_mut("y", y, &[batch, prefix + params.patches(), channels]);

    let [prefix, channels, across, image_channels] =
        [prefix, channels, across, image_channels].map(|v| v as usize);
    let [height, width, patch_height, patch_width] =
        [height, width, patch_height, patch_width].map(|v| v as usize);
    // A row for each patch: its values in the order channel, y, x.
    let mut flat = Vec::with_capacity(patches * values);
    let images = image.chunks_exact(image_channels * height * width);
    for (image, y) in images.zip(y.chunks_exact_mut((prefix + patches) * channels)) {
        flat.clear();
        for patch in 0..patches {
            let corner = patch / across * patch_height * width + patch % across * patch_width;
            for channel in 0..image_channels {
                for line in 0..patch_height {
                    let pixels = corner + line * width..corner + line * width + patch_width;
                    match normal {
                        None => {
                            flat.extend(image[channel * height * width..][pixels].iter().map(|&v| v.into()))
                        }
                        Some(normal) => {
                            let [mean, deviation] = [normal[channel], normal[image_channels + channel]];
                            let values = pixels.map(|pixel| image[pixel * image_channels + channel].into());
                            flat.extend(values.map(|v: f32| (v / 255.0 - mean) / deviation));
                        }
                    }
                }
            }
        }
        let (y_first, y) = y.split_at_mut(first.len());
        y_first.copy_from_slice(first);
        multiply(Matrix::new(&flat, [patches, values], values), w.transposed(), 1.0, y, channels);
        for (y, position) in y.chunks_exact_mut(channels).zip(position.chunks_exact(channels)) {
            for ((y, bias), position) in y.iter_mut().zip(bias).zip(position) {
                *y += bias + position;
            }
        }
    }
}
