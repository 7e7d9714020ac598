//! The activations of a plan.

use super::config::{Config, Mlp, Pool};
use crate::error::Result;
use crate::gpu::Gpu;
use crate::merger::MergeScratch;

/// Activations of a plan.
#[derive(Clone, Debug)]
pub(super) struct Buffers {
    /// `[batch, in_chans, height, width]`, or its first quarter bytes `[batch, height, width, in_chans]`.
    pub input: wgpu::Buffer,
    /// `[2, in_chans]`: what bytes are normalised by.
    pub normal: wgpu::Buffer,
    /// `[batch, tokens, channels]`: read from one, written to the other.
    pub x: [wgpu::Buffer; 2],
    /// `[batch, tokens]`: the first stays all ones, then one for each merge. They and the maps are small, one value a
    /// token where the buffers between them have hundreds, so that all are kept.
    pub size: Vec<wgpu::Buffer>,
    /// `[batch, tokens]`, u32: the first stays 0, 1, 2, ..., then one for each merge.
    pub source: Vec<wgpu::Buffer>,
    /// `[batch, tokens, channels]`, of the storage type: what enters a linear layer.
    pub narrow: wgpu::Buffer,
    /// `[batch, tokens, 3 channels or the MLP's width]`, of the storage type.
    pub wide: wgpu::Buffer,
    /// `[batch, tokens, the MLP's width]`, of the storage type, where it has a gate.
    pub gate: Option<wgpu::Buffer>,
    pub scratch: MergeScratch,
    /// `[batch, channels]`
    pub pooled: wgpu::Buffer,
    /// `[batch, channels]`, one for each pooled row.
    pub features: [wgpu::Buffer; 2],
    /// `[batch, classes]`, one for each head.
    pub logits: [wgpu::Buffer; 2],
}

impl Buffers {
    /// The largest number of values that an image takes in any one buffer.
    pub fn largest_per_image(config: &Config) -> u64 {
        let tokens = u64::from(config.tokens()) * u64::from(config.widest());
        tokens.max(config.image_values() as u64).max(config.outputs().into())
    }

    /// Buffers for so many merges, by a metric of `metric_width` values.
    pub fn new(gpu: &Gpu, config: &Config, batch: u32, merges: usize, metric_width: u32) -> Result<Self> {
        let [b, n, c] = [batch, config.tokens(), config.embed_dim].map(u64::from);
        let tokens = |label: &str, width: u64| gpu.buffer(label, b * n * width);
        let elems = |label: &str, width: u64| gpu.elem_buffer(label, b * n * width);
        // What stands before the first merge is the same for every batch: every size 1, every token its own source.
        let ones = vec![1.0f32; (b * n) as usize];
        let outputs = b * u64::from(config.outputs());
        let identity: Vec<u32> = (0..batch).flat_map(|_| 0..config.tokens()).collect();
        // A head that attends to all tokens has k and v, and its MLP's inside, in 32 bits.
        let of_head = match config.pool {
            Pool::Attention => u64::from((2 * config.embed_dim).max(config.pool_hidden())) * 4,
            _ => 0,
        };
        let widest = u64::from(config.widest()).max(of_head / gpu.variant().element.bytes());
        let mut size = vec![gpu.buffer_with("tome.ones", &ones)?];
        let mut source = vec![gpu.buffer_with("tome.identity", &identity)?];
        for _ in 0..merges {
            size.push(tokens("tome.size", 1)?);
            source.push(tokens("tome.source", 1)?);
        }
        Ok(Buffers {
            input: gpu.buffer("tome.input", b * config.image_values() as u64)?,
            normal: gpu.buffer_with(
                "tome.normal",
                &[&config.preprocess.mean[..], &config.preprocess.std].concat(),
            )?,
            x: [tokens("tome.x0", c)?, tokens("tome.x1", c)?],
            size,
            source,
            narrow: elems("tome.narrow", c)?,
            wide: elems("tome.wide", widest)?,
            gate: match config.mlp {
                Mlp::Plain => None,
                _ => Some(elems("tome.gate", config.mlp_hidden.into())?),
            },
            scratch: MergeScratch::new(gpu, batch, config.tokens(), metric_width)?,
            pooled: gpu.buffer("tome.pooled", b * c)?,
            features: [gpu.buffer("tome.features", b * c)?, gpu.buffer("tome.features1", b * c)?],
            logits: [gpu.buffer("tome.logits", outputs)?, gpu.buffer("tome.logits1", outputs)?],
        })
    }

    /// Bytes of device memory.
    pub fn bytes(&self) -> u64 {
        let single = [&self.input, &self.normal, &self.narrow, &self.wide, &self.pooled];
        let ends = self.features.iter().chain(&self.logits);
        let several = self.x.iter().chain(&self.size).chain(&self.source).chain(ends).chain(&self.gate);
        single.into_iter().chain(several).map(wgpu::Buffer::size).sum::<u64>() + self.scratch.bytes()
    }
}
