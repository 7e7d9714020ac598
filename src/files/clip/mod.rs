//! Clips made into a network's input: animated pictures, and folders of frames.

mod animation;
mod folder;
mod load;

pub use animation::is_animated;
pub use load::{Clip, load_clip, load_clip_bytes};
