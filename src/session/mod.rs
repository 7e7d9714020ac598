//! The convenience above the three levels: adapter choice, upload, submit, wait, read.

mod device;
mod engine;
mod measure;
mod profile;
mod readback;
mod run;

pub use device::{AdapterReport, DeviceChoice, DeviceReport, adapters};
pub use measure::Measured;
pub use profile::{KernelTime, Profile};
pub use run::{Session, Want};
