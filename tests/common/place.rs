//! Where this repository, the built command and a folder for files lie.

/// The path in a variable of cargo's: as it says when the test runs, else as it said when the test was built. So a test
/// may run where neither cargo nor the repository's own folder is: `benches/compare/kit.sh`.
#[allow(unused_macros, reason = "common is part of tests that need no path")]
macro_rules! place {
    ($name:literal) => {
        std::path::PathBuf::from(std::env::var_os($name).unwrap_or_else(|| env!($name).into()))
    };
}
#[allow(unused_imports, reason = "as above")]
pub(crate) use place;
