//! Merging fitted to a network, its device and pictures.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;

use pyo3::prelude::*;
use tome_wgpu::fit::{Fit, Progress};

use crate::errors::{Raised, input};
use crate::network::{Input, Network};
use crate::options::Options;

/// Ctrl-C, or an exception in what hears of the progress, on its way out of a fit.
struct Interrupted(PyErr);

/// Fits; gives the chosen way and the report as JSON. `say` hears of the stage, ways tried, ways at most, and the least
/// loss so far.
#[pyfunction]
#[pyo3(signature = (network, images, base, target, want, measured, batch, tries, seed, log, say))]
#[expect(clippy::too_many_arguments, reason = "Python's `fit` names them")]
pub fn fit(
    py: Python<'_>,
    network: &Network,
    images: Input<'_>,
    base: &Options,
    target: &str,
    want: Vec<String>,
    measured: bool,
    batch: usize,
    tries: usize,
    seed: u64,
    log: Option<PathBuf>,
    say: Option<Py<PyAny>>,
) -> PyResult<(Options, String)> {
    let session = network.session(py)?;
    let images = images.checked(session.config())?;
    let mut fit = Fit::new(target.parse().raised(py)?);
    fit.wants = want.iter().map(|name| name.parse()).collect::<tome_wgpu::Result<_>>().raised(py)?;
    (fit.measured, fit.batch, fit.most, fit.seed, fit.log) = (measured, batch, tries, seed, log);
    let base = &base.fitted.options;
    let mut hear = |progress: Progress| {
        let heard = Python::attach(|py| {
            py.check_signals()?;
            let Some(say) = &say else { return Ok(()) };
            say.call1(py, (progress.stage, progress.tried, progress.most, progress.best)).map(drop)
        });
        if let Err(error) = heard {
            // The only way out of a fit; nothing is printed.
            resume_unwind(Box::new(Interrupted(error)));
        }
    };
    let found = py.detach(|| catch_unwind(AssertUnwindSafe(|| fit.run(session, images, base, &mut hear))));
    let report = match found {
        Ok(report) => report.raised(py)?,
        Err(panic) => match panic.downcast::<Interrupted>() {
            Ok(interrupted) => return Err(interrupted.0),
            Err(panic) => resume_unwind(panic),
        },
    };
    let text = serde_json::to_string(&report.to_json()).map_err(|error| input(py, error.to_string()))?;
    Ok((Options { fitted: report.fitted }, text))
}
