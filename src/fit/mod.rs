//! Merging fitted to a network, a device and pictures: how much and how each block merges, so that at some speed as little
//! as possible is lost.
//!
//! [`Fit::run`] needs no labels: what is to stay as it is are the network's own results without merging. It measures what
//! a block takes for every number of tokens, tries rules for the whole network, then schedules of few parameters, then
//! single blocks, and decides by pictures that it held out. [`Fitted`] is what is kept.

mod cost;
mod fitted;
mod report;
mod run;
mod search;
mod shape;
mod target;
mod trial;

pub use cost::Cost;
pub use fitted::Fitted;
pub use report::{Report, Row};
pub use run::Fit;
pub use search::Progress;
pub use target::Target;
pub use trial::Objective;
