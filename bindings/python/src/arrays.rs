//! NumPy's arrays in and out, without copies.

use numpy::{Element, PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tome_wgpu::vit::{Config, Output, Outputs, Want};

use crate::errors::input;

/// The values of an array that lie one after the other.
pub fn values<'a, T: Element>(array: &'a PyReadonlyArrayDyn<'_, T>, name: &str) -> PyResult<&'a [T]> {
    array.as_slice().map_err(|_| input(array.py(), format!("`{name}` is not C-contiguous")))
}

/// The sides of an array of so many dimensions.
pub fn sides<T: Element, const N: usize>(
    array: &PyReadonlyArrayDyn<'_, T>,
    name: &str,
) -> PyResult<[u32; N]> {
    let shape = array.shape();
    let sides: Option<Vec<u32>> = shape.iter().map(|&side| u32::try_from(side).ok()).collect();
    let sides = sides.and_then(|sides| sides.try_into().ok());
    sides.ok_or_else(|| input(array.py(), format!("`{name}` is of shape {shape:?}, not of {N} dimensions")))
}

/// Values as an array, which takes them over.
pub fn array<'py, T: Element>(
    py: Python<'py>,
    values: Vec<T>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyArrayDyn<T>>> {
    PyArray1::from_vec(py, values).reshape(shape)
}

/// What was wanted of a forward pass, by the names of `Outputs`.
pub fn outputs<'py>(
    py: Python<'py>,
    mut outputs: Outputs,
    config: &Config,
    want: Want,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let (batch, merged) = (outputs.batch, outputs.merged);
    for output in want.outputs() {
        let shape: Vec<usize> = [batch].into_iter().chain(output.shape(config, merged as u32)).collect();
        let name = output.name();
        match output {
            Output::Source => dict.set_item(name, array(py, std::mem::take(&mut outputs.source), &shape)?)?,
            Output::SourcePerBlock => {
                dict.set_item(name, array(py, std::mem::take(&mut outputs.source_per_block), &shape)?)?;
            }
            _ => {
                let values = match output {
                    Output::Logits => &mut outputs.logits,
                    Output::Features => &mut outputs.features,
                    Output::Tokens => &mut outputs.tokens,
                    Output::Size => &mut outputs.size,
                    Output::Dense => &mut outputs.dense,
                    _ => return Err(input(py, format!("`{name}` is no result that this version reads"))),
                };
                dict.set_item(name, array(py, std::mem::take(values), &shape)?)?;
            }
        }
    }
    Ok(dict)
}

/// Results by their names.
pub fn wanted(py: Python<'_>, names: &[String]) -> PyResult<Want> {
    let named = |name: &String| {
        Output::ALL.iter().copied().find(|output| output.name() == name).ok_or_else(|| {
            let all: Vec<_> = Output::ALL.iter().map(|output| output.name()).collect();
            input(py, format!("want `{name}`; there are {}", all.join(", ")))
        })
    };
    names.iter().map(named).collect()
}
