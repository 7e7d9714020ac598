//! `Session`, on the CPU path and on a GPU: the same answers whatever the batch and the device, and typed errors.

#[path = "../common/mod.rs"]
mod common;
mod devices;
mod fitting;
mod limits;
mod measuring;
mod networks;
mod results;
mod waiting;
