//! The convenience above the three levels: adapter choice, upload, submit, wait, read.

mod device;
mod engine;
mod matrices;
mod measure;
mod pipeline_file;
mod profile;
mod readback;
mod ring;
mod run;
mod stream;
mod tuning;

pub use device::{AdapterReport, DeviceChoice, DeviceReport, adapters};
pub use matrices::tested_tile;
pub use measure::Measured;
pub use profile::{KernelTime, Profile};
pub use run::{Session, Want};
pub use stream::Stream;
pub use tuning::{Candidate, TileFamily, Tuned, Tuning};
