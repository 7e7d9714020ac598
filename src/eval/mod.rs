//! Comparing results of networks and schedules: how far they are apart image by image, and how sure a figure is.

mod differences;
mod interval;

pub use differences::{agreement, dense, dense_cosine, features, logits};
pub use interval::{Interval, binomial, matched, paired};
