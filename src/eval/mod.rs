//! Comparing results of networks and schedules: how far they are apart image by image, what that means for their
//! accuracy, and how sure a figure is.

mod compare;
mod differences;
mod interval;
mod minimise;
mod neighbours;
mod probe;
mod rows;

pub use compare::{Compared, Summary, compare};
pub use differences::{agreement, dense, dense_cosine, features, logits};
pub use interval::{Interval, Mean, Tally, binomial, matched, paired};
pub use neighbours::neighbours;
pub use probe::Probe;
