use super::product::{Packed, multiply, pack_rows};
use super::slices::{elements, part, part_mut};
use super::threads::{for_each_chunk, threads};
use crate::kernels::embed_patches::Params;

/// The tokens that enter the first block: prefix tokens, then each patch projected to a token with its position. With
/// `normal` images are bytes.
///
/// # Panics
/// Where a dimension is 0, a patch larger than the image, or a slice too short.
pub fn embed_patches<T: Copy + Into<f32> + Sync>(
    params: &Params,
    image: &[T],
    w: &[f32],
    base: &[f32],
    normal: Option<&[f32]>,
    y: &mut [f32],
) {
    let [channels, values] = [params.channels, params.patch_values()].map(|v| v as usize);
    let stride = values.next_multiple_of(4);
    let panels = pack_rows(part("w", w, &[params.channels, stride as u32]), [channels, values], stride);
    embed(params, image, Packed::new(&panels, [values, channels]), base, normal, y);
}

/// [`embed_patches`] with w packed.
pub(super) fn embed<T: Copy + Into<f32> + Sync>(
    params: &Params,
    image: &[T],
    w: Packed<'_>,
    base: &[f32],
    normal: Option<&[f32]>,
    y: &mut [f32],
) {
    let &Params { batch, image_channels, frames, height, width, patch_width, prefix, channels, .. } = params;
    let (patches, values) = (params.patches(), params.patch_values() as usize);
    let image = part("image", image, &[batch, frames, image_channels, height, width]);
    let normal = normal.map(|normal| part("normal", normal, &[2, image_channels]));
    let base = part("base", base, &[prefix + patches, channels]);
    let y = part_mut("y", y, &[batch, prefix + patches, channels]);

    let steps: Vec<usize> = params.steps(normal.is_some()).map(|[step, _]| step as usize).collect();
    let (of_prefix, of_patches) = base.split_at(elements(&[prefix, channels]));
    let [channels, image_channels, patch_width] = [channels, image_channels, patch_width].map(|v| v as usize);
    let near = (patches as usize).div_ceil(threads()).max(1);
    let images = image.chunks_exact(elements(&[frames, params.image_channels, height, width]));
    for (image, y) in images.zip(y.chunks_exact_mut(base.len())) {
        let (y_prefix, y) = y.split_at_mut(of_prefix.len());
        y_prefix.copy_from_slice(of_prefix);
        for_each_chunk(y, near * channels, |chunk, y| {
            let (first, rows) = (chunk * near, y.len() / channels);
            // A row for each patch.
            let mut flat = vec![0.0; rows * values];
            for (patch, row) in (first as u32..).zip(flat.chunks_exact_mut(values)) {
                let values = &image[params.start(patch, normal.is_some()) as usize..];
                match normal {
                    // The values of a line lie side by side.
                    None => {
                        let lines = row.chunks_exact_mut(patch_width).zip(steps.iter().step_by(patch_width));
                        for (line, &start) in lines {
                            line.iter_mut()
                                .zip(&values[start..])
                                .for_each(|(flat, &value)| *flat = value.into());
                        }
                    }
                    Some(normal) => row.iter_mut().zip(&steps).for_each(|(flat, &step)| {
                        let channel = step % image_channels;
                        let value: f32 = values[step].into();
                        *flat = (value / 255.0 - normal[channel]) / normal[image_channels + channel];
                    }),
                }
            }
            multiply(rows, (&flat, values), w, (y, channels));
            y.iter_mut().zip(&of_patches[first * channels..]).for_each(|(y, start)| *y += start);
        });
    }
}
