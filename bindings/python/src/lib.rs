//! The native part of the Python package `tome_wgpu`: networks, streams and merges on NumPy's arrays. What people see,
//! with its checks of arguments and its documentation, is Python's; see `python/tome_wgpu`.

mod arrays;
mod changes;
mod command;
mod describe;
mod errors;
mod features;
mod fit;
mod judge;
mod merging;
mod network;
mod options;
mod packed;
mod pictures;
mod process;
mod stream;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<network::Network>()?;
    module.add_class::<options::Options>()?;
    module.add_class::<stream::Stream>()?;
    module.add_class::<judge::Judge>()?;
    module.add_class::<merging::Merger>()?;
    module.add_class::<features::Probe>()?;
    module.add_function(wrap_pyfunction!(features::binomial, module)?)?;
    module.add_function(wrap_pyfunction!(features::neighbours, module)?)?;
    module.add_function(wrap_pyfunction!(fit::fit, module)?)?;
    module.add_function(wrap_pyfunction!(command::run, module)?)?;
    module.add_function(wrap_pyfunction!(describe::adapters, module)?)?;
    module.add_function(wrap_pyfunction!(describe::architectures, module)?)?;
    Ok(())
}
