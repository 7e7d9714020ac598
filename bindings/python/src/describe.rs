//! Networks and devices in words, for Python's dataclasses.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use tome_wgpu::vit::{Config, Resize, Scores};
use tome_wgpu::{DeviceReport, adapters as all_adapters};

use crate::errors::input;
use crate::process::enter;

/// The fields of `Config`.
pub fn config<'py>(py: Python<'py>, config: &Config) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("name", &config.name)?;
    dict.set_item("image_size", (config.image_size[0], config.image_size[1]))?;
    dict.set_item("patch_size", (config.patch_size[0], config.patch_size[1]))?;
    dict.set_item("grid", (config.grid()[0], config.grid()[1]))?;
    dict.set_item("max_patches", config.packed.map(|packed| packed.patches))?;
    dict.set_item("frames", config.frames)?;
    dict.set_item("image_channels", config.in_chans)?;
    dict.set_item("depth", config.depth)?;
    dict.set_item("heads", config.num_heads)?;
    dict.set_item("channels", config.embed_dim)?;
    dict.set_item("tokens", config.tokens())?;
    dict.set_item("prefix_tokens", config.prefix())?;
    dict.set_item("classes", config.num_classes)?;
    dict.set_item("outputs", config.outputs())?;
    dict.set_item("prop_attn", config.prop_attn)?;
    let scores = match config.scores {
        Scores::Softmax => Some("softmax"),
        Scores::Sigmoid => Some("sigmoid"),
        Scores::None => None,
        other => return Err(input(py, format!("scores {other:?} are not known to this version"))),
    };
    dict.set_item("scores", scores)?;
    dict.set_item("labels", PyList::new(py, &config.labels)?.to_tuple())?;
    Ok(dict)
}

/// The fields of `Preprocess`.
pub fn preprocess<'py>(py: Python<'py>, config: &Config) -> PyResult<Bound<'py, PyDict>> {
    let preprocess = &config.preprocess;
    let dict = PyDict::new(py);
    dict.set_item("mean", PyList::new(py, &preprocess.mean)?.to_tuple())?;
    dict.set_item("std", PyList::new(py, &preprocess.std)?.to_tuple())?;
    dict.set_item("interpolation", preprocess.resample.to_string())?;
    let resize = if preprocess.resize == Resize::Shortest { "shortest" } else { "squash" };
    dict.set_item("resize", resize)?;
    dict.set_item("crop", preprocess.crop)?;
    dict.set_item("channel_order", if preprocess.bgr { "bgr" } else { "rgb" })?;
    dict.set_item("exif", preprocess.exif)?;
    dict.set_item("jpeg", if preprocess.reduced { "reduced" } else { "whole" })?;
    dict.set_item("source", &preprocess.source)?;
    dict.set_item("words", config.preparation())?;
    Ok(dict)
}

/// The fields of `Device`.
pub fn device<'py>(py: Python<'py>, report: &DeviceReport) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("name", &report.name)?;
    dict.set_item("backend", &report.backend)?;
    dict.set_item("precision", report.precision)?;
    dict.set_item("why", &report.why)?;
    dict.set_item("tuning", report.tuning.map(|tuning| tuning.to_string()))?;
    Ok(dict)
}

/// Every adapter, in the order of their numbers.
#[pyfunction]
pub fn adapters(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    enter(py)?;
    let adapters = py.detach(all_adapters);
    let described = adapters.iter().map(|adapter| {
        let dict = PyDict::new(py);
        dict.set_item("index", adapter.index)?;
        dict.set_item("name", &adapter.name)?;
        dict.set_item("backend", &adapter.backend)?;
        dict.set_item("driver", &adapter.driver)?;
        dict.set_item("kind", &adapter.kind)?;
        dict.set_item("vendor", adapter.vendor)?;
        dict.set_item("pci", &adapter.pci)?;
        dict.set_item("features", PyList::new(py, &adapter.features)?.to_tuple())?;
        Ok(dict)
    });
    described.collect()
}

/// The architectures that are known by name.
#[pyfunction]
pub fn architectures() -> Vec<String> {
    Config::PRESETS.map(str::to_owned).to_vec()
}
