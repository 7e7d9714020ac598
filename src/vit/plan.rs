//! A network of a given batch and schedule as a fixed list of dispatches.

use std::fmt;
use std::sync::Arc;

use super::buffers::Buffers;
use super::config::Config;
use super::dense::Dense;
use super::engine::{Ends, Place};
use super::images::Input;
use super::merges::BlockMerge;
use super::network::Walk;
use super::options::Options;
use super::parameters::Parameters;
use super::recorder::Recorder;
use super::step::Step;
use super::textures::check_channels;
use crate::dispatch::Dispatch;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::kernels::{resize_image, unmerge};

/// A fixed list of dispatches: made once, encoded for every batch. Nothing in it depends on the data.
///
/// Printing it lists every kernel with its shapes and workgroups.
#[derive(Clone, Debug)]
pub struct Plan {
    gpu: Gpu,
    pub(super) parameters: Arc<Parameters<wgpu::Buffer>>,
    steps: Vec<Step>,
    input: Input,
    batch: u32,
    tokens: Vec<u32>,
    config: Arc<Config>,
    pub(super) buffers: Arc<Buffers>,
    ends: Ends,
    source_per_block: Vec<wgpu::Buffer>,
}

impl Plan {
    pub(super) fn new(
        gpu: &Gpu,
        config: &Config,
        parameters: Arc<Parameters<wgpu::Buffer>>,
        buffers: Arc<Buffers>,
        (input, batch): (Input, u32),
        options: &Options,
    ) -> Result<Self> {
        let tokens = options.tokens_per_block(config);
        let mut recorder = Recorder::new(&gpu.deferring(), &buffers, input);
        let merges = options.merges(config);
        let ends = Walk::new(&mut recorder, &parameters, (config, options), (batch, 0)).network(&merges)?;
        let steps = recorder.finish();
        if input == Input::Textures {
            check_channels(config)?;
            resize_image::compile(gpu)?;
        }
        gpu.compile(steps.iter().map(|step| &step.dispatch))?;
        let mut done = 0;
        let after = |merge: &BlockMerge| {
            done += usize::from(merge.r > 0);
            buffers.at(Place::Source(done)).clone()
        };
        let source_per_block = merges.iter().map(after).collect();
        let config = Arc::new(config.clone());
        Ok(Plan {
            gpu: gpu.clone(),
            parameters,
            steps,
            input,
            batch,
            tokens,
            config,
            buffers,
            ends,
            source_per_block,
        })
    }

    /// Records the network into the caller's encoder, as one compute pass.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        let label = Some("tome");
        self.encode_in(
            &mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label, timestamp_writes: None }),
        );
    }

    /// Records the network into a compute pass.
    pub fn encode_in(&self, pass: &mut wgpu::ComputePass<'_>) {
        for step in &self.steps {
            step.dispatch.encode(pass);
        }
    }

    /// The list.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Images of a batch.
    pub fn batch(&self) -> u32 {
        self.batch
    }

    /// Tokens an image that enter each block, and that leave the last.
    pub fn tokens_per_block(&self) -> &[u32] {
        &self.tokens
    }

    /// Tokens an image that leave the last block.
    pub fn tokens_left(&self) -> u32 {
        self.tokens.last().copied().unwrap_or_default()
    }

    /// The kind of its images.
    pub fn input_kind(&self) -> Input {
        self.input
    }

    /// `[batch, in_chans, height, width]` (several frames: see [`Images`](super::Images)), or for [`Input::Pixels`] its
    /// first quarter, `[batch, height, width, in_chans]` in bytes: to be written before each batch, of textures by
    /// [`resize_image`](Self::resize_image).
    pub fn input(&self) -> &wgpu::Buffer {
        &self.buffers.input
    }

    /// Prepares the call that makes the batch's image of that number, counted from 0 (of a network of frames: the frame
    /// of that number), of a texture, as [`Images::Textures`](super::Images::Textures) are read. It is encoded ahead of
    /// the plan for every batch, may be made once for a texture that is drawn anew, and keeps the texture alive. Where
    /// sizes repeat, no buffer is made.
    ///
    /// # Errors
    /// [`Error::Input`] where the plan is for pixels, there is no such image, or the texture cannot be read as a picture;
    /// [`Error::Unsupported`] for a network of neither 1 nor 3 channels; those of the device.
    pub fn resize_image(&self, image: u32, texture: &wgpu::Texture) -> Result<Dispatch> {
        let Plan { gpu, config, buffers, .. } = self;
        check_channels(config)?;
        if self.input == Input::Pixels {
            return Err(Error::Input(
                "a texture for a plan of pixels; one of `Input::Textures` takes it".into(),
            ));
        }
        let images = self.batch * config.frames;
        if image >= images {
            return Err(Error::Input(format!("a texture for image {image} of {images}, counted from 0")));
        }
        // A batch has less than 2^32 values.
        let values = config.image_values() as u32 / config.frames;
        let ends = [&buffers.normal, &buffers.input];
        buffers.textures.resize(gpu, config, ends, image * values, texture)
    }

    /// `[batch, classes]`: to be read after each batch.
    pub fn logits(&self) -> &wgpu::Buffer {
        self.buffers.at(self.ends.logits)
    }

    /// `[batch, channels]`: pooled, as it enters the head; of two pooled rows the first, the class token's.
    pub fn features(&self) -> &wgpu::Buffer {
        self.buffers.at(Place::Features(0))
    }

    /// `[batch, merged tokens, channels]`: after the last block, before the final norm.
    pub fn tokens(&self) -> &wgpu::Buffer {
        self.buffers.at(self.ends.tokens)
    }

    /// `[batch, merged tokens]`: how many original tokens each stands for.
    pub fn size(&self) -> &wgpu::Buffer {
        self.buffers.at(self.ends.size)
    }

    /// `[batch, original tokens]`, u32: for each original token the final token that holds it.
    pub fn source(&self) -> &wgpu::Buffer {
        // A network has blocks.
        &self.source_per_block[self.source_per_block.len() - 1]
    }

    /// For each block `[batch, original tokens]`, u32: for each original token the token that holds it after that
    /// block. Blocks that merge nothing share the buffer of the one before.
    pub fn source_per_block(&self) -> &[wgpu::Buffer] {
        &self.source_per_block
    }

    /// Prepares one feature for every patch, of the shape of [`Output::Dense`](super::Output::Dense): of the
    /// [tokens](Self::tokens) after the last block, before the final norm, that which holds the patch. Without merging
    /// these are the patch tokens. Costs memory; make it once and encode it behind the plan for every batch.
    ///
    /// # Errors
    /// [`Error::Limit`](crate::Error::Limit), [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn dense(&self) -> Result<Dense> {
        let params = unmerge::Params {
            batch: self.batch,
            tokens: self.tokens_left(),
            sources: self.tokens[0],
            first_source: self.config.prefix(),
            channels: self.config.embed_dim,
        };
        Dense::new(&self.gpu, params, self.tokens(), self.source())
    }

    /// Bytes of device memory of its activations, which plans may share.
    pub fn bytes(&self) -> u64 {
        self.buffers.bytes()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            match step.block {
                Some(block) => write!(f, "block {block:<3} ")?,
                None => write!(f, "{:10}", "")?,
            }
            writeln!(f, "{}", step.dispatch)?;
        }
        Ok(())
    }
}
