//! Draft.
#![deny(missing_docs)]
mod caps;
#[cfg(feature = "cpu")]
pub mod cpu;
mod dispatch;
mod error;
#[cfg(feature = "files")]
pub mod files;
mod gpu;
mod kernel;
pub mod kernels;
mod merger;
mod schedule;
mod view;
pub mod vit;
pub use caps::{Caps, Element, Lane, Tile, Variant, wanted_features, wanted_limits};
pub use dispatch::Dispatch;
pub use error::{Error, Result};
pub use gpu::Gpu;
pub use kernel::{Access, Assembled, KernelSpec, LibraryFile, Part};
pub use merger::{MergeIo, MergeScratch, MergeShape, TokenMerger};
pub use schedule::Schedule;
pub use view::View;
