//! Configs, weights and pictures, good and bad. Needs no GPU.
#![cfg(feature = "files")]

mod config;
mod pictures;
mod weights;
