//! `python -m tome_wgpu`

use std::ffi::OsString;
use std::io::Write;

use pyo3::prelude::*;

/// The command `tome` with its arguments, without its name; gives the exit code. Wrong usage and `--help` end the
/// process.
#[pyfunction]
pub fn run(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| {
        let code = tome_command::run(std::iter::once("tome".into()).chain(arguments));
        // Nobody does that at the end of a program that is not Rust's; where it cannot be written there is nobody to tell.
        _ = std::io::stdout().flush();
        code
    })
}
