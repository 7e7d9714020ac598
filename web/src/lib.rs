//! What JavaScript calls: a network that is opened from files' bytes and run on pixels, on WebGPU (feature `gpu`) or on
//! the CPU (feature `cpu`), by the same names. `js/` makes of it what the package offers.
#![cfg(target_family = "wasm")]

mod about;
mod chunks;
#[cfg(feature = "cpu")]
mod cpu;
mod errors;
mod files;
#[cfg(feature = "gpu")]
mod gpu;
mod merging;
mod network;
mod panics;
mod pixels;
mod results;

#[cfg(all(feature = "cpu", feature = "gpu"))]
compile_error!("a module runs on the GPU or on the CPU");
