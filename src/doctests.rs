//! The Rust in `docs/`, compiled and run as the README's is.

#[doc = include_str!("../docs/models.md")]
struct Models;
#[doc = include_str!("../docs/files.md")]
struct Files;
#[doc = include_str!("../docs/performance.md")]
struct Performance;
#[doc = include_str!("../docs/embedding.md")]
struct Embedding;
#[doc = include_str!("../docs/adding-a-kernel.md")]
struct AddingAKernel;
#[doc = include_str!("../docs/merging.md")]
struct Merging;
#[doc = include_str!("../docs/many-pictures.md")]
struct ManyPictures;
#[doc = include_str!("../docs/evaluation.md")]
struct Evaluation;
#[doc = include_str!("../docs/fitting.md")]
struct Fitting;
#[doc = include_str!("../docs/ablations.md")]
struct Ablations;
#[doc = include_str!("../docs/video-and-audio.md")]
struct VideoAndAudio;
#[doc = include_str!("../docs/browser.md")]
struct Browser;
