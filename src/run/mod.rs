//! A network on a GPU with its queue, ready to run. Nothing here waits on a thread, reads a file or asks a clock: it
//! works in a browser as it does natively, where `Session` (feature `blocking`) stands above it.

mod answer;
mod batch;
mod engine;
mod queue;
mod readback;
mod ring;
mod runner;
mod shared;
mod stream;

pub use runner::Runner;
pub use stream::Stream;
#[cfg(feature = "blocking")]
pub(crate) use {
    answer::{Answer, promise},
    engine::Prepared,
    queue::Queue,
    readback::read,
};
