//! The reference against examples worked out on paper, and against what must hold whatever the numbers are.

#[path = "../common/mod.rs"]
mod common;

mod frames;
mod layers;
mod lines;
mod matching;
mod merging;
mod padding;
