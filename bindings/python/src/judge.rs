//! Ways of merging held against none, picture by picture.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tome_wgpu::eval::{Interval, Mean, Summary, Tally, compare};
use tome_wgpu::vit::Want;

use crate::arrays::wanted;
use crate::errors::{Raised, input};
use crate::network::{Input, Network};
use crate::options::Options;

/// What is known so far of several ways, the first of which is the reference.
#[pyclass(frozen, module = "tome_wgpu._native")]
pub struct Judge {
    network: Py<Network>,
    ways: Vec<Options>,
    want: Want,
    summaries: Mutex<Vec<Summary>>,
}

#[pymethods]
impl Judge {
    #[new]
    fn new(
        py: Python<'_>,
        network: Py<Network>,
        ways: Vec<PyRef<'_, Options>>,
        want: Vec<String>,
    ) -> PyResult<Self> {
        let ways: Vec<Options> = ways.iter().map(|way| Options::clone(way)).collect();
        let summaries = Mutex::new(vec![Summary::default(); ways.len()]);
        Ok(Judge { network, ways, want: wanted(py, &want)?, summaries })
    }

    /// Runs a batch every way; `labels` are classes as far as they are known, `keep` says which images count.
    fn push(
        &self,
        py: Python<'_>,
        images: Input<'_>,
        labels: Vec<Option<usize>>,
        keep: Vec<bool>,
    ) -> PyResult<()> {
        let network = self.network.get();
        let config = network.session(py)?.config();
        let images = images.checked(config)?;
        let results: Vec<_> = self
            .ways
            .iter()
            .map(|way| network.through(py, images, way, self.want))
            .collect::<PyResult<_>>()?;
        let Some(first) = results.first() else { return Err(input(py, "no way to compare")) };
        let compared: Vec<_> = results
            .iter()
            .map(|other| compare(config, first, other, &labels))
            .collect::<tome_wgpu::Result<_>>()
            .raised(py)?;
        let mut summaries = self.summaries.lock().unwrap_or_else(PoisonError::into_inner);
        for (summary, own) in summaries.iter_mut().zip(&compared) {
            for ((reference, other), _) in
                compared[0].iter().zip(own).zip(keep.iter()).filter(|(_, keep)| **keep)
            {
                summary.push(reference, other);
            }
        }
        Ok(())
    }

    /// Of each way the figures by name, `(estimate, low, high)`.
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let summaries = self.summaries.lock().unwrap_or_else(PoisonError::into_inner);
        summaries.iter().map(|summary| row(py, summary)).collect()
    }
}

fn row<'py>(py: Python<'py>, summary: &Summary) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let of = |interval: Option<Interval>| interval.map(|of| (of.estimate, of.low, of.high));
    let tallies: [(&str, &Tally); 3] =
        [("top1", &summary.top1), ("top5", &summary.top5), ("agreement", &summary.agreement)];
    for (name, tally) in tallies {
        dict.set_item(name, of(tally.share()))?;
    }
    dict.set_item("top1_change", of(summary.top1.change()))?;
    dict.set_item("top5_change", of(summary.top5.change()))?;
    let means: [(&str, &Mean); 4] = [
        ("divergence", &summary.divergence),
        ("features", &summary.features),
        ("dense", &summary.dense),
        ("dense_cosine", &summary.dense_cosine),
    ];
    for (name, mean) in means {
        dict.set_item(name, of(mean.interval()))?;
    }
    Ok(dict)
}
