//! Patches of pictures of any shape, as transformers' processor of SigLIP 2 hands them over.

use numpy::{PyArrayDyn, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use tome_wgpu::Error;
use tome_wgpu::vit::Config;

use crate::arrays::{array, values};
use crate::errors::{Raised, input};
use crate::network::shape;

/// `pixel_values` `[pictures, patches, values]`, `pixel_attention_mask` `[pictures, patches]` and `spatial_shapes`
/// `[pictures, 2]` as a network's input.
pub fn pack<'py>(
    py: Python<'py>,
    pixel_values: &PyReadonlyArrayDyn<'py, f32>,
    mask: &PyReadonlyArrayDyn<'py, i64>,
    shapes: &PyReadonlyArrayDyn<'py, i64>,
    config: &Config,
) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
    let width = (config.in_chans * config.patch_size[0] * config.patch_size[1]) as usize;
    let given = pixel_values.shape();
    let (count, patches) = match *given {
        [count, patches, have] if count > 0 && patches > 0 && have == width => (count, patches),
        _ => {
            return Err(input(
                py,
                format!(
                    "pixel_values of shape {given:?}; {} takes [pictures, patches, {width}], each patch as \
                     [height, width, channels]",
                    config.name
                ),
            ));
        }
    };
    for (name, array, want) in
        [("pixel_attention_mask", mask, [count, patches]), ("spatial_shapes", shapes, [count, 2])]
    {
        if array.shape() != want {
            let have = array.shape();
            return Err(input(
                py,
                format!("{name} of shape {have:?}, and {want:?} belongs to pixel_values of {given:?}"),
            ));
        }
    }
    let (all, mask) = (values(pixel_values, "pixel_values")?, values(mask, "pixel_attention_mask")?);
    let sides = values(shapes, "spatial_shapes")?.as_chunks::<2>().0;
    let packed = py.detach(|| {
        let mut packed = Vec::with_capacity(count * config.image_values());
        let pictures = all.chunks_exact(patches * width).zip(mask.chunks_exact(patches)).zip(sides);
        for (place, ((picture, mask), &sides)) in pictures.enumerate() {
            let grid = config.grid_of_mask(sides, mask);
            let grid = grid.map_err(|error| match error {
                Error::Input(why) => Error::Input(format!("picture {place} {why}")),
                error => error,
            })?;
            packed.extend(config.pack(picture, grid)?);
        }
        Ok(packed)
    });
    let packed = packed.raised(py)?;
    py.check_signals()?;
    array(py, packed, &shape(count, false, config))
}
