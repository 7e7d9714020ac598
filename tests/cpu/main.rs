//! The CPU path: each kernel against the reference and against what the original implementations computed, what merging must
//! conserve, whole networks, schedules.

#[path = "../common/mod.rs"]
mod common;

mod frames;
mod kernels;
mod lines;
mod matching;
mod matchings;
mod merging;
mod network;
mod relative;
mod rotary;
mod schedule;
mod threshold;
