//! The crate's errors as Python's: the tree in `tome_wgpu/errors.py`.

use pyo3::prelude::*;
use pyo3::types::PyType;
use tome_wgpu::Error;

/// Results that Python sees.
pub trait Raised<T> {
    /// An error as its exception.
    fn raised(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> Raised<T> for tome_wgpu::Result<T> {
    fn raised(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| exception(py, &error))
    }
}

/// An error as its exception.
pub fn exception(py: Python<'_>, error: &Error) -> PyErr {
    named(py, class(error), error.to_string())
}

/// Pictures that cannot be read: their places in a batch, and the exceptions.
pub type Broken<'py> = Vec<(usize, Bound<'py, PyAny>)>;

/// Errors about pictures as their exceptions.
pub fn raised(py: Python<'_>, errors: Vec<(usize, Error)>) -> Broken<'_> {
    let raised = |(place, error)| (place, exception(py, &error).into_value(py).into_bound(py).into_any());
    errors.into_iter().map(raised).collect()
}

/// What does not fit the call.
pub fn input(py: Python<'_>, why: impl Into<String>) -> PyErr {
    exception(py, &Error::Input(why.into()))
}

/// An exception of the tree by its name.
pub fn named(py: Python<'_>, class: &str, message: String) -> PyErr {
    let class = py.import("tome_wgpu.errors").and_then(|module| module.getattr(class));
    let class = class.and_then(|class| Ok(class.cast_into::<PyType>()?));
    class.map_or_else(|error| error, |class| PyErr::from_type(class, message))
}

fn class(error: &Error) -> &'static str {
    match error {
        Error::File { .. } => "FileError",
        Error::Hub { .. } => "HubError",
        Error::Config { .. } => "ConfigError",
        Error::Unsupported { .. } => "UnsupportedError",
        Error::Weight { .. } => "WeightError",
        Error::Schedule { .. } | Error::Input(_) | Error::Params { .. } => "InputError",
        Error::NoAdapter(_) => "NoAdapterError",
        Error::OutOfMemory { .. } => "OutOfMemoryError",
        _ => "DeviceError",
    }
}
