//! Merging fitted to a network, a device and pictures: how much and how each block merges, so that at some speed as little
//! as possible is lost.
//!
//! `Fit::run` (feature `blocking`) needs no labels: what is to stay as it is are the network's own results without merging. It measures what
//! a block takes for every number of tokens, tries rules for the whole network, then schedules of few parameters, then
//! single blocks, and decides by pictures that it held out. [`Fitted`] is what is kept.

#[cfg(feature = "blocking")]
mod cost;
mod fitted;
#[cfg(feature = "blocking")]
mod report;
#[cfg(feature = "blocking")]
mod run;
#[cfg(feature = "blocking")]
mod search;
#[cfg(feature = "blocking")]
mod shape;
#[cfg(feature = "blocking")]
mod target;
#[cfg(feature = "blocking")]
mod trial;

pub use fitted::Fitted;
#[cfg(feature = "blocking")]
pub use {
    cost::Cost,
    report::{Report, Row},
    run::Fit,
    search::Progress,
    target::Target,
    trial::Objective,
};
