//! Level 2: token merging for a model that somebody else runs.

use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::kernels::{self, elements, find_matches, key_metric, merge_tokens, rank_matches};
use crate::schedule::most;
use crate::view::View;

/// The shape of one merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergeShape {
    /// Images.
    pub batch: u32,
    /// Tokens an image before merging.
    pub tokens: u32,
    /// Values in a token; a multiple of 4.
    pub channels: u32,
    /// Heads of the keys, which are averaged; 1 for any other metric.
    pub heads: u32,
    /// Values of a head; a multiple of 4.
    pub head_width: u32,
    /// Values from one token's keys to the next; a multiple of 4.
    pub key_stride: u32,
    /// First value of the first key in its buffer; a multiple of 4.
    pub key_start: u32,
    /// Tokens to merge; clamped to half of the unprotected ones.
    pub r: u32,
    /// Tokens at the front that never merge.
    pub protect: u32,
    /// Original tokens in the source map.
    pub sources: u32,
}

impl MergeShape {
    /// r as it will be: at most half of the unprotected tokens.
    pub fn r_clamped(&self) -> u32 {
        self.r.min(most(self.tokens, self.protect))
    }

    /// Tokens an image after merging.
    pub fn tokens_out(&self) -> u32 {
        self.tokens - self.r_clamped()
    }
}

/// Buffers of one merge.
#[derive(Clone, Copy, Debug)]
pub struct MergeIo<'a> {
    /// `[batch, tokens, heads, head_width]`, strided: attention keys, or any metric with one head.
    pub keys: View<'a>,
    /// `[batch, tokens, channels]`
    pub x: View<'a>,
    /// `[batch, tokens]`: how many original tokens each stands for; ones at first.
    pub size: View<'a>,
    /// `[batch, sources]`, u32: for each original token the token that holds it; 0, 1, 2, ... at first.
    pub source: View<'a>,
    /// `[batch, tokens_out, channels]`, written.
    pub x_out: View<'a>,
    /// `[batch, tokens_out]`, written.
    pub size_out: View<'a>,
    /// `[batch, sources]`, u32, written.
    pub source_out: View<'a>,
}

/// What a merge needs between its kernels; merges that follow each other can share it.
#[derive(Clone, Debug)]
pub struct MergeScratch {
    /// `[batch, tokens, head_width]`: unit keys, see [`key_metric`](kernels::key_metric()).
    pub metric: wgpu::Buffer,
    /// `[batch, even tokens]`: similarity of each best edge, see [`find_matches`](kernels::find_matches()).
    pub score: wgpu::Buffer,
    /// `[batch, even tokens]`, u32: the other end of each best edge.
    pub best: wgpu::Buffer,
    /// `[batch, even tokens]`, u32: place in the order of similarity.
    pub rank: wgpu::Buffer,
    /// `[batch, 3 tokens - r]`, u32: the merge plan, see [`rank_matches`](kernels::rank_matches()).
    pub plan: wgpu::Buffer,
}

impl MergeScratch {
    /// Buffers for merges of up to `tokens` tokens.
    ///
    /// # Errors
    /// As [`Gpu::buffer`].
    pub fn new(gpu: &Gpu, batch: u32, tokens: u32, head_width: u32) -> Result<Self> {
        let [batch, tokens] = [u64::from(batch), u64::from(tokens)];
        let edges = batch * tokens.div_ceil(2);
        Ok(MergeScratch {
            metric: gpu.buffer("tome.metric", batch * tokens * u64::from(head_width))?,
            score: gpu.buffer("tome.score", edges)?,
            best: gpu.buffer("tome.best", edges)?,
            rank: gpu.buffer("tome.rank", edges)?,
            plan: gpu.buffer("tome.plan", batch * tokens * 3)?,
        })
    }

    /// Bytes of device memory.
    pub fn bytes(&self) -> u64 {
        [&self.metric, &self.score, &self.best, &self.rank, &self.plan].map(wgpu::Buffer::size).iter().sum()
    }
}

/// One merge, between the attention and the MLP of a block, ready to be recorded any number of times.
#[derive(Clone, Debug)]
pub struct TokenMerger {
    dispatches: [Dispatch; 4],
    tokens_out: u32,
    scratch: MergeScratch,
}

impl TokenMerger {
    /// Prepares a merge on the caller's buffers, with scratch of its own.
    ///
    /// # Errors
    /// What its four kernels say, and what [`MergeScratch::new`] says.
    pub fn new(gpu: &Gpu, shape: MergeShape, io: MergeIo<'_>) -> Result<Self> {
        let scratch = MergeScratch::new(gpu, shape.batch, shape.tokens, shape.head_width)?;
        Self::with_scratch(gpu, shape, io, &scratch)
    }

    /// Prepares a merge whose scratch is shared with others that are recorded one after the other.
    ///
    /// # Errors
    /// What its four kernels say.
    pub fn with_scratch(
        gpu: &Gpu,
        shape: MergeShape,
        io: MergeIo<'_>,
        scratch: &MergeScratch,
    ) -> Result<Self> {
        let MergeShape { batch, tokens, channels, heads, head_width, protect, sources, .. } = shape;
        let r = shape.r_clamped();
        let MergeScratch { metric, score, best, rank, plan } = scratch;
        let key_metric = kernels::key_metric(
            gpu,
            key_metric::Params {
                rows: elements("key_metric", "tokens", &[batch, tokens])? as u32,
                heads,
                head_width,
                stride: shape.key_stride,
                start: shape.key_start,
            },
            key_metric::Io { keys: io.keys, metric: metric.into() },
        )?;
        let find_matches = kernels::find_matches(
            gpu,
            find_matches::Params { batch, tokens, width: head_width, protect },
            find_matches::Io { metric: metric.into(), score: score.into(), best: best.into() },
        )?;
        let rank_matches = kernels::rank_matches(
            gpu,
            rank_matches::Params { batch, tokens, r, protect },
            rank_matches::Io { score: score.into(), best: best.into(), rank: rank.into(), plan: plan.into() },
        )?;
        let merge_tokens = kernels::merge_tokens(
            gpu,
            merge_tokens::Params { batch, tokens, r, channels, sources },
            merge_tokens::Io {
                plan: plan.into(),
                x: io.x,
                size: io.size,
                source: io.source,
                x_out: io.x_out,
                size_out: io.size_out,
                source_out: io.source_out,
            },
        )?;
        Ok(TokenMerger {
            dispatches: [key_metric, find_matches, rank_matches, merge_tokens],
            tokens_out: shape.tokens_out(),
            scratch: scratch.clone(),
        })
    }

    /// Records the merge into a compute pass of the same device.
    pub fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        for dispatch in &self.dispatches {
            dispatch.encode(pass);
        }
    }

    /// Tokens an image after merging.
    pub fn tokens_out(&self) -> u32 {
        self.tokens_out
    }

    /// Its four calls: [`key_metric`](kernels::key_metric()), [`find_matches`](kernels::find_matches()),
    /// [`rank_matches`](kernels::rank_matches()), [`merge_tokens`](kernels::merge_tokens()).
    pub fn dispatches(&self) -> &[Dispatch; 4] {
        &self.dispatches
    }

    /// What lies between its kernels.
    pub fn scratch(&self) -> &MergeScratch {
        &self.scratch
    }
}
