//! The native convenience above the three levels: adapter choice, the CPU path, waiting, and what is kept from run to
//! run.

mod cpu_path;
mod device;
mod handle;
mod merger;
mod saved_pipelines;
mod self_test;
mod shared;
mod stream;
mod tuning;
mod worker;

pub use device::{AdapterReport, DeviceChoice, DeviceReport, adapters};
pub use handle::Session;
pub use merger::SliceMerger;
pub use self_test::tested_tile;
pub(crate) use shared::{Backend, OnGpu};
pub use stream::Stream;
pub use tuning::{TileFamily, Tuning};
pub(crate) use tuning::{families, forget, save};
pub(crate) use worker::poll;
