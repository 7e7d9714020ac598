//! Token merging on arrays.

use numpy::{PyArrayDyn, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use tome_wgpu::cpu::MergeInput;
use tome_wgpu::kernels::unmerge;
use tome_wgpu::{DeviceChoice, MergeShape, SliceMerger};

use crate::arrays::{array, sides, values};
use crate::describe::device;
use crate::errors::{Raised, input};
use crate::process::{Own, enter};

#[pyclass(frozen, module = "tome_wgpu._native")]
pub struct Merger {
    merger: Own<SliceMerger>,
}

/// How tokens merge.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Way {
    r: u32,
    protect: u32,
    partition: String,
    similarity: String,
    by_size: f32,
    merge_mode: String,
    threshold: Option<f32>,
    least: u32,
    /// Rows, columns, rows and columns of a cell: tomesd's.
    cells: Option<[u32; 4]>,
    seed: Option<u32>,
}

/// Tokens, sizes and the source map.
type Merged<'py> = (Bound<'py, PyArrayDyn<f32>>, Bound<'py, PyArrayDyn<f32>>, Bound<'py, PyArrayDyn<u32>>);

#[pymethods]
impl Merger {
    #[new]
    fn new(py: Python<'_>, device: &str) -> PyResult<Self> {
        enter(py)?;
        let opened =
            py.detach(|| device.parse::<DeviceChoice>().and_then(|device| SliceMerger::new(&device)));
        Ok(Merger { merger: Own::new(opened.raised(py)?) })
    }

    fn device<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, pyo3::types::PyDict>> {
        device(py, self.merger.get(py)?.device())
    }

    /// Merges `x` by `keys`, `[batch, tokens, heads, head width]`.
    #[pyo3(signature = (keys, x, size, source, way))]
    fn merge<'py>(
        &self,
        py: Python<'py>,
        keys: PyReadonlyArrayDyn<'py, f32>,
        x: PyReadonlyArrayDyn<'py, f32>,
        size: Option<PyReadonlyArrayDyn<'py, f32>>,
        source: Option<PyReadonlyArrayDyn<'py, u32>>,
        way: Way,
    ) -> PyResult<Merged<'py>> {
        let [batch, tokens, heads, head_width] = sides(&keys, "keys")?;
        let [x_batch, x_tokens, channels] = sides(&x, "x")?;
        let size_sides = size.as_ref().map(|size| sides::<_, 2>(size, "size")).transpose()?;
        let sources = source.as_ref().map(|source| sides::<_, 2>(source, "source")).transpose()?;
        let of_tokens = [Some([x_batch, x_tokens]), size_sides].into_iter().flatten();
        let same = of_tokens.clone().all(|sides| sides == [batch, tokens]);
        if !same || sources.is_some_and(|sides| sides[0] != batch) {
            let shapes = [Some(keys.shape()), Some(x.shape()), size.as_ref().map(|size| size.shape())];
            let shapes: Vec<_> = shapes.into_iter().flatten().collect();
            return Err(input(py, format!("arrays of different images or tokens: {shapes:?}")));
        }
        let mut shape = MergeShape::default();
        (shape.batch, shape.tokens, shape.channels) = (batch, tokens, channels);
        (shape.heads, shape.head_width, shape.key_stride) = (heads, head_width, heads * head_width);
        shape.sources = sources.map_or(tokens, |sides| sides[1]);
        way.set(&mut shape).raised(py)?;
        let read = MergeInput {
            keys: values(&keys, "keys")?,
            x: values(&x, "x")?,
            size: size.as_ref().map(|size| values(size, "size")).transpose()?,
            source: source.as_ref().map(|source| values(source, "source")).transpose()?,
        };
        let merger = self.merger.get(py)?;
        let merged = py.detach(|| merger.merge(&shape, read)).raised(py)?;
        let [batch, left, channels, sources] =
            [batch, shape.tokens_out(), channels, shape.sources].map(|side| side as usize);
        Ok((
            array(py, merged.x, &[batch, left, channels])?,
            array(py, merged.size, &[batch, left])?,
            array(py, merged.source, &[batch, sources])?,
        ))
    }

    /// Gives every original token its holder's values.
    #[pyo3(signature = (x, source, residual))]
    fn unmerge<'py>(
        &self,
        py: Python<'py>,
        x: PyReadonlyArrayDyn<'py, f32>,
        source: PyReadonlyArrayDyn<'py, u32>,
        residual: Option<PyReadonlyArrayDyn<'py, f32>>,
    ) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        let [batch, tokens, channels] = sides(&x, "x")?;
        let [maps, sources] = sides(&source, "source")?;
        let added = residual.as_ref().map(|residual| sides::<_, 3>(residual, "residual")).transpose()?;
        if maps != batch || added.is_some_and(|sides| sides != [batch, sources, channels]) {
            return Err(input(
                py,
                format!(
                    "x of shape {:?}, source of {:?}; a residual is [batch, sources, channels]",
                    x.shape(),
                    source.shape()
                ),
            ));
        }
        let params = unmerge::Params::new(batch, tokens, sources, channels);
        let (x, source) = (values(&x, "x")?, values(&source, "source")?);
        let residual = residual.as_ref().map(|residual| values(residual, "residual")).transpose()?;
        let merger = self.merger.get(py)?;
        let y = py.detach(|| merger.unmerge(params, x, source, residual)).raised(py)?;
        array(py, y, &[batch as usize, sources as usize, channels as usize])
    }
}

impl Way {
    fn set(&self, shape: &mut MergeShape) -> tome_wgpu::Result<()> {
        (shape.r, shape.protect, shape.by_size) = (self.r, self.protect, self.by_size);
        (shape.threshold, shape.least) = (self.threshold, self.least);
        shape.partition = match self.cells {
            Some([rows, columns, height, width]) => {
                tome_wgpu::Partition::Grid { rows, columns, stride: [height, width], seed: self.seed }
            }
            None => self.partition.parse()?,
        };
        shape.similarity = self.similarity.parse()?;
        shape.mode = self.merge_mode.parse()?;
        Ok(())
    }
}
