//! How well labels can be told from features.

use numpy::PyReadonlyArrayDyn;
use pyo3::prelude::*;
use tome_wgpu::eval;

use crate::arrays::{sides, values};
use crate::errors::Raised;
use crate::process::enter;

/// For each row the label that its 20 nearest others vote for; none where it is zero or NaN.
#[pyfunction]
pub fn neighbours(
    py: Python<'_>,
    features: PyReadonlyArrayDyn<'_, f32>,
    labels: Vec<usize>,
) -> PyResult<Vec<Option<usize>>> {
    enter(py)?;
    let [_, channels] = sides(&features, "features")?;
    let values = values(&features, "features")?;
    py.detach(|| eval::neighbours(values, &labels, channels as usize)).raised(py)
}

/// The share of those that are right and its 95 % interval.
#[pyfunction]
pub fn binomial(right: usize, of: usize) -> (f64, f64, f64) {
    let share = eval::binomial(right, of);
    (share.estimate, share.low, share.high)
}

/// A linear probe, each half of the rows for the other.
#[pyclass(frozen, module = "tome_wgpu._native")]
pub struct Probe(eval::Probe);

#[pymethods]
impl Probe {
    #[new]
    fn new(py: Python<'_>, features: PyReadonlyArrayDyn<'_, f32>, labels: Vec<usize>) -> PyResult<Self> {
        enter(py)?;
        let [_, channels] = sides(&features, "features")?;
        let values = values(&features, "features")?;
        py.detach(|| eval::Probe::fit(values, &labels, channels as usize)).raised(py).map(Probe)
    }

    /// The label of each of the same rows by these features; none where they are not all numbers.
    fn best(&self, py: Python<'_>, features: PyReadonlyArrayDyn<'_, f32>) -> PyResult<Vec<Option<usize>>> {
        enter(py)?;
        let [..] = sides::<_, 2>(&features, "features")?;
        let values = values(&features, "features")?;
        py.detach(|| self.0.best(values)).raised(py)
    }
}
