//! Measuring a [`Session`](crate::Session): how long a forward pass takes and where, and which way of cutting matrix
//! products into tiles suits its device.

mod bench;
mod measure;
mod profile;
mod search;

pub use crate::session::{TileFamily, Tuning};
pub use bench::Bench;
pub use measure::Measured;
pub use profile::{KernelTime, Profile};
pub use search::{Candidate, Tuned};
