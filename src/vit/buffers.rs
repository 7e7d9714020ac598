//! The activations of a plan.

use super::config::{Config, Pool};
use super::engine::Place;
use super::options::Options;
use super::textures::Textures;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::merger::MergeScratch;

/// Activations of batches of one size. Plans whose batches do not overlap share them.
#[derive(Debug)]
pub(super) struct Buffers {
    /// Floats or bytes of a batch's images.
    pub input: wgpu::Buffer,
    /// `[2, in_chans]`: what bytes are normalised by.
    pub normal: wgpu::Buffer,
    pub textures: Textures,
    x: [wgpu::Buffer; 2],
    /// `Size(0)` stays all ones. They and the maps are small, one value a token where the buffers between them have
    /// hundreds, so that there is one for each block.
    size: Vec<wgpu::Buffer>,
    /// Of networks where positions count; `Position(0)` stays that of the grid.
    position: Vec<wgpu::Buffer>,
    /// `Source(0)` stays 0, 1, 2, ...
    source: Vec<wgpu::Buffer>,
    /// `Normed` and `Attended`, of the storage type.
    narrow: wgpu::Buffer,
    /// `Qkv` and `Hidden`, of the storage type.
    wide: wgpu::Buffer,
    /// `Gate` and `Branch`, of the storage type, where the network has one.
    gate: Option<wgpu::Buffer>,
    scratch: MergeScratch,
    /// Values of the widest metric that there is room for.
    metric_width: u32,
    pooled: wgpu::Buffer,
    features: [wgpu::Buffer; 2],
    logits: [wgpu::Buffer; 2],
}

impl Buffers {
    /// The largest number of values that an image takes in any one buffer.
    pub fn largest_per_image(config: &Config) -> u64 {
        let tokens = u64::from(config.tokens()) * u64::from(config.widest());
        tokens.max(config.image_values() as u64).max(config.outputs().into())
    }

    /// Room for batches that are run as `options` say.
    pub fn new(gpu: &Gpu, config: &Config, batch: u32, options: &Options) -> Result<Self> {
        let [b, n, c] = [batch, config.tokens(), config.embed_dim].map(u64::from);
        let metric_width = options.metric_width(config);
        let tokens = |label: &str, width: u64| gpu.buffer(label, b * n * width);
        let elems = |label: &str, width: u64| gpu.elem_buffer(label, b * n * width);
        // What stands before the first merge is the same for every batch: every size 1, every token its own source.
        let ones = vec![1.0f32; (b * n) as usize];
        let outputs = b * u64::from(config.outputs());
        let identity: Vec<u32> = (0..batch).flat_map(|_| 0..config.tokens()).collect();
        // A head that attends to all tokens has k and v, and its MLP's inside, in 32 bits.
        let of_head = match config.pool {
            Pool::Attention | Pool::Query => u64::from((2 * config.embed_dim).max(config.pool_hidden())) * 4,
            _ => 0,
        };
        let widest = u64::from(config.widest()).max(of_head / gpu.variant().element.bytes());
        let mut size = vec![gpu.buffer_with("tome.ones", &ones)?];
        let mut position = Vec::new();
        if let Some(of_grid) = config.positions() {
            let of_grid = of_grid.repeat(batch as usize);
            position.push(gpu.buffer_with("tome.positions", &of_grid)?);
            for _ in 0..config.depth {
                position.push(tokens("tome.position", 2)?);
            }
        }
        let mut source = vec![gpu.buffer_with("tome.identity", &identity)?];
        for _ in 0..config.depth {
            size.push(tokens("tome.size", 1)?);
            source.push(tokens("tome.source", 1)?);
        }
        Ok(Buffers {
            input: gpu.buffer("tome.input", b * config.image_values() as u64)?,
            normal: gpu.buffer_with(
                "tome.normal",
                &[&config.preprocess.mean[..], &config.preprocess.std].concat(),
            )?,
            textures: Textures::default(),
            x: [tokens("tome.x0", c)?, tokens("tome.x1", c)?],
            size,
            position,
            source,
            narrow: elems("tome.narrow", c)?,
            wide: elems("tome.wide", widest)?,
            gate: match config.beside_width() {
                0 => None,
                width => Some(elems("tome.gate", width.into())?),
            },
            scratch: MergeScratch::new(gpu, batch, config.tokens(), metric_width)?,
            metric_width,
            pooled: gpu.buffer("tome.pooled", b * c)?,
            features: [gpu.buffer("tome.features", b * c)?, gpu.buffer("tome.features1", b * c)?],
            logits: [gpu.buffer("tome.logits", outputs)?, gpu.buffer("tome.logits1", outputs)?],
        })
    }

    /// Whether there is room for what `options` ask for.
    pub fn suit(&self, config: &Config, options: &Options) -> bool {
        options.metric_width(config) <= self.metric_width
    }

    /// The buffer of a place.
    pub fn at(&self, place: Place) -> &wgpu::Buffer {
        let MergeScratch { metric, split, score, best, rank, plan, mask } = &self.scratch;
        match place {
            Place::X(i) => &self.x[i],
            Place::Normed | Place::Attended => &self.narrow,
            Place::Qkv | Place::Hidden => &self.wide,
            Place::Gate | Place::Branch => self.gate.as_ref().unwrap_or(&self.wide),
            Place::Size(merges) => &self.size[merges],
            Place::Position(merges) => &self.position[merges],
            Place::Source(merges) => &self.source[merges],
            Place::Metric => metric,
            Place::Split => split,
            Place::Score | Place::Energy => score,
            Place::Best => best,
            Place::Rank => rank,
            Place::Plan => plan,
            Place::Mask => mask,
            Place::Pooled => &self.pooled,
            Place::Features(i) => &self.features[i],
            Place::Logits(i) => &self.logits[i],
        }
    }

    /// Bytes of device memory.
    pub fn bytes(&self) -> u64 {
        let single = [&self.input, &self.normal, &self.narrow, &self.wide, &self.pooled];
        let ends = self.features.iter().chain(&self.logits);
        let of_tokens = self.size.iter().chain(&self.position).chain(&self.source);
        let several = self.x.iter().chain(of_tokens).chain(ends).chain(&self.gate);
        single.into_iter().chain(several).map(wgpu::Buffer::size).sum::<u64>() + self.scratch.bytes()
    }
}
