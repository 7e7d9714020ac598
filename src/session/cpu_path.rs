//! A session's calls where there is no GPU.

use crate::cpu::VisionTransformer;
use crate::error::Result;
use crate::vit::{Images, Options, Output, Outputs, Want};

/// Images after which what is not wanted is dropped.
const CHUNK: usize = 64;

/// Runs any number of images and keeps what is wanted.
pub(super) fn run(
    vit: &VisionTransformer,
    mut images: Images<'_>,
    options: &Options,
    want: Want,
) -> Result<Outputs> {
    images.count(vit.config())?;
    let per_chunk = images.per_image(vit.config()) * CHUNK;
    let mut all = Outputs::default();
    while !images.is_empty() {
        let (chunk, others) = images.split_at(images.len().min(per_chunk));
        let mut outputs = vit.forward(&chunk.normalised(vit.config())?, options)?;
        if want.has(Output::Dense) {
            outputs.dense = vit.dense(&outputs);
        }
        for &output in Output::ALL.iter().filter(|&&output| !want.has(output)) {
            outputs.get_mut(output).clear();
        }
        all.append(outputs);
        images = others;
    }
    Ok(all)
}
