// Of two definitions of a link Markdown takes the first: the README's own lead to files beside it, which docs.rs does not
// have.
//! [merge.png]: https://raw.githubusercontent.com/tome-wgpu/tome-wgpu/main/models/digits/merge.png
//! [page.png]: https://raw.githubusercontent.com/tome-wgpu/tome-wgpu/main/web/page/page.png
//! [page]: https://github.com/tome-wgpu/tome-wgpu/blob/main/web/page/README.md
//! [npm]: https://github.com/tome-wgpu/tome-wgpu/blob/main/web/README.md
//! [many]: https://github.com/tome-wgpu/tome-wgpu/blob/main/docs/many-pictures.md
//! [browser]: https://github.com/tome-wgpu/tome-wgpu/blob/main/docs/browser.md
//! [digits]: https://github.com/tome-wgpu/tome-wgpu/blob/main/models/digits/README.md
//! [clutter]: https://github.com/tome-wgpu/tome-wgpu/blob/main/models/clutter/README.md
//! [rotary]: https://github.com/tome-wgpu/tome-wgpu/blob/main/models/rotary/README.md
//! [models]: https://github.com/tome-wgpu/tome-wgpu/blob/main/docs/models.md
//! [av]: https://github.com/tome-wgpu/tome-wgpu/blob/main/docs/video-and-audio.md
//! [files]: https://github.com/tome-wgpu/tome-wgpu/blob/main/docs/files.md
//! [merging]: https://github.com/tome-wgpu/tome-wgpu/blob/main/docs/merging.md
//! [ablations]: https://github.com/tome-wgpu/tome-wgpu/blob/main/docs/ablations.md
//! [fitting]: https://github.com/tome-wgpu/tome-wgpu/blob/main/docs/fitting.md
//! [embedding]: https://github.com/tome-wgpu/tome-wgpu/blob/main/docs/embedding.md
//! [evaluation]: https://github.com/tome-wgpu/tome-wgpu/blob/main/docs/evaluation.md
//! [performance]: https://github.com/tome-wgpu/tome-wgpu/blob/main/docs/performance.md
//! [python]: https://github.com/tome-wgpu/tome-wgpu/blob/main/bindings/python/README.md
//! [kernel]: https://github.com/tome-wgpu/tome-wgpu/blob/main/docs/adding-a-kernel.md
//! [examples]: https://github.com/tome-wgpu/tome-wgpu/tree/main/examples
//!
// The examples in the README need these features.
#![cfg_attr(all(feature = "files", feature = "blocking"), doc = include_str!("../README.md"))]
#![cfg_attr(
    not(all(feature = "files", feature = "blocking")),
    doc = "Vision Transformers with Token Merging as WGSL compute kernels on wgpu."
)]
//!
//! # Letters
//! The same everywhere: `b` batch, `n` tokens in, `m` tokens out, `c` channels, `h` heads, `d` head width, `r` tokens
//! merged. Words are the paper's: metric, size, source, src, dst, unm.
#![deny(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn)]

mod buffers;
mod caps;
#[cfg(feature = "cpu")]
pub mod cpu;
mod decimal;
mod dispatch;
#[cfg(all(doctest, feature = "files", feature = "blocking"))]
mod doctests;
mod error;
#[cfg(feature = "blocking")]
pub mod eval;
#[cfg(feature = "files")]
pub mod files;
#[cfg(any(feature = "files", feature = "blocking"))]
pub mod fit;
mod gpu;
mod groups;
#[doc(hidden)]
pub mod kernel;
pub mod kernels;
pub mod matching;
mod merge_io;
mod merger;
mod partition;
mod pipelines;
pub mod reference;
#[cfg(any(feature = "files", feature = "blocking"))]
mod regular;
#[cfg(feature = "run")]
pub mod run;
mod schedule;
mod scopes;
#[cfg(feature = "blocking")]
mod session;
#[cfg(feature = "blocking")]
mod store;
mod threshold;
#[cfg(feature = "blocking")]
pub mod tune;
mod variant;
mod view;
pub mod vit;

pub use caps::{Caps, cooperative_tile, wanted_device, wanted_features, wanted_limits};
pub use dispatch::Dispatch;
pub use error::{Error, Result};
pub use gpu::Gpu;
pub use kernel::KernelSpec;
pub use matching::Matching;
pub use merge_io::MergeIo;
pub use merger::{MergeScratch, MergeShape, TokenMerger};
pub use partition::Partition;
pub use schedule::Schedule;
#[cfg(feature = "blocking")]
pub use session::{
    AdapterReport, DeviceChoice, DeviceReport, Session, SliceMerger, Stream, adapters, tested_tile,
};
#[cfg(feature = "blocking")]
pub use store::Store;
pub use variant::{Element, Lane, Matrix, Tile, TileChoice, TileSize, Variant};
pub use view::View;
