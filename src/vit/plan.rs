//! A network of a given batch and schedule as a fixed list of dispatches with its own buffers.

use std::fmt;

use super::buffers::Buffers;
use super::config::Config;
use super::dense::Dense;
use super::images::Input;
use super::options::Options;
use super::parameters::Parameters;
use super::recorder::{Ends, Recorder};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::Gpu;

/// One call of the list.
#[derive(Clone, Debug)]
pub struct Step {
    /// The call.
    pub dispatch: Dispatch,
    /// The block it belongs to; none before the first and after the last.
    pub block: Option<u32>,
    /// What stands in a buffer after it, where that has a name.
    pub stage: Option<Stage>,
}

/// A named intermediate, such as `layer03.merged`.
#[derive(Clone, Debug)]
pub struct Stage {
    /// `embed`; in each block `layerNN.` and `attn` (after the residual), where it merges `metric` (of unit length for
    /// cosines), where tokens do not alternate `split`, `best`, `rank` and `merged`, and always `tokens`; then `features` and `logits`.
    pub name: String,
    /// Where it stands until a later step overwrites it.
    pub buffer: wgpu::Buffer,
    /// Elements of 4 bytes.
    pub elements: u64,
}

/// A fixed list of dispatches: made once, encoded for every batch. Nothing in it depends on the data.
///
/// Printing it lists every kernel with its shapes and workgroups.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) gpu: Gpu,
    steps: Vec<Step>,
    input: Input,
    batch: u32,
    tokens: Vec<u32>,
    pub(super) prefix: u32,
    pub(super) channels: u32,
    buffers: Buffers,
    ends: Ends,
    source_per_block: Vec<wgpu::Buffer>,
}

impl Plan {
    pub(super) fn new(
        gpu: &Gpu,
        config: &Config,
        p: &Parameters<wgpu::Buffer>,
        input: Input,
        batch: u32,
        options: &Options,
    ) -> Result<Self> {
        options.check(config)?;
        let tokens = options.tokens_per_block(config);
        let merges = tokens.windows(2).filter(|pair| pair[1] < pair[0]).count();
        let buffers = Buffers::new(gpu, config, batch, merges, options.metric.width(config))?;
        let mut recorder = Recorder::new(&gpu.deferring(), config, options, input, batch, &buffers);
        super::block::network(&mut recorder, p)?;
        let (steps, ends) = recorder.finish();
        gpu.compile(steps.iter().map(|step| &step.dispatch))?;
        let mut merges = 0;
        let after = |pair: &[u32]| {
            merges += usize::from(pair[1] < pair[0]);
            buffers.source[merges].clone()
        };
        let source_per_block = tokens.windows(2).map(after).collect();
        Ok(Plan {
            gpu: gpu.clone(),
            steps,
            input,
            batch,
            tokens,
            prefix: config.prefix(),
            channels: config.embed_dim,
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

    /// `[batch, in_chans, height, width]`, or for [`Input::Pixels`] its first quarter, `[batch, height, width, in_chans]`
    /// in bytes: to be written before each batch.
    pub fn input(&self) -> &wgpu::Buffer {
        &self.buffers.input
    }

    /// `[batch, classes]`: to be read after each batch.
    pub fn logits(&self) -> &wgpu::Buffer {
        &self.ends.logits
    }

    /// `[batch, channels]`: pooled, as it enters the head; of two pooled rows the first, the class token's.
    pub fn features(&self) -> &wgpu::Buffer {
        &self.buffers.features[0]
    }

    /// `[batch, merged tokens, channels]`: after the last block, before the final norm.
    pub fn tokens(&self) -> &wgpu::Buffer {
        &self.ends.tokens
    }

    /// `[batch, merged tokens]`: how many original tokens each stands for.
    pub fn size(&self) -> &wgpu::Buffer {
        &self.ends.size
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

    /// Prepares one feature for every patch, `[batch, rows, columns, channels]` over the grid: of the
    /// [tokens](Self::tokens) after the last block, before the final norm, that which holds the patch. Without merging
    /// these are the patch tokens. Costs memory; make it once and encode it behind the plan for every batch.
    ///
    /// # Errors
    /// [`Error::Limit`](crate::Error::Limit), [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn dense(&self) -> Result<Dense> {
        Dense::new(self)
    }

    /// Bytes of device memory of its activations.
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
