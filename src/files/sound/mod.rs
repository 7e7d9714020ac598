//! Sounds made into a network's input.

mod decode;
mod fbank;
mod hear;
mod resample;

pub use decode::is_sound;
pub use hear::{Heard, hear, hear_bytes, hear_samples};
