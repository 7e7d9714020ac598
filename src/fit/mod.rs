//! Merging fitted to a network, a device and pictures: how much and how each block merges, so that at some speed as little
//! as possible is lost.

mod fitted;

pub use fitted::Fitted;
