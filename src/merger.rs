//! Level 2: token merging for a model that somebody else runs.

use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::kernels::find_matches::Similarity;
use crate::kernels::merge_tokens::Mode;
use crate::kernels::{
    self, elements, find_matches, key_metric, merge_tokens, rank_matches, split_tokens, unmerge,
};
use crate::partition::Partition;
use crate::view::View;

/// The shape of one merge, and how it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
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
    /// Tokens to merge; clamped to what the partition allows.
    pub r: u32,
    /// Tokens at the front that never merge.
    pub protect: u32,
    /// Original tokens in the source map.
    pub sources: u32,
    /// Which tokens may merge, and into which.
    pub partition: Partition,
    /// What makes two tokens alike.
    pub similarity: Similarity,
    /// What becomes of those that merge.
    pub mode: Mode,
    /// The keys are 32-bit whatever the storage type.
    pub exact_keys: bool,
    /// Added to the variance of [`MergeIo::normed`]; not read without it.
    pub eps: f32,
}

impl MergeShape {
    /// A merge as tomesd makes it before attention (Bolya and Hoffman, "Token Merging for Fast Stable Diffusion", 2023):
    /// tokens on a grid of `[rows, columns]`, matched by the cosine of whole tokens, one destination in each cell of
    /// 2 x 2, plain means, and as many tokens gone as `ratio` says.
    pub fn tomesd(batch: u32, [rows, columns]: [u32; 2], channels: u32, ratio: f64) -> Self {
        let tokens = rows.saturating_mul(columns);
        MergeShape {
            batch,
            tokens,
            channels,
            heads: 1,
            head_width: channels,
            key_stride: channels,
            r: MergeShape::r_for_ratio(tokens, ratio),
            sources: tokens,
            partition: Partition::Grid { rows, columns, stride: [2, 2], seed: None },
            mode: Mode::MEAN,
            ..MergeShape::default()
        }
    }

    /// The r that takes this share of the tokens away, rounded down: `ratio` lies between 0 and 1.
    pub fn r_for_ratio(tokens: u32, ratio: f64) -> u32 {
        // `as` takes what is negative to 0.
        (f64::from(tokens) * ratio) as u32
    }

    /// r as it will be: at most what the partition allows.
    pub fn r_clamped(&self) -> u32 {
        self.r.min(self.partition.most(self.tokens, self.protect))
    }

    /// Tokens an image after merging.
    pub fn tokens_out(&self) -> u32 {
        self.tokens - self.r_clamped()
    }
}

/// Buffers of one merge.
#[derive(Clone, Copy, Debug)]
pub struct MergeIo<'a> {
    /// `[batch, tokens, heads, head_width]`, strided: attention keys, or any metric with one head, also x itself.
    pub keys: View<'a>,
    /// `[batch, tokens, channels]`
    pub x: View<'a>,
    /// `[batch, tokens]`: how many original tokens each stands for; absent before the first merge, where that is one.
    pub size: Option<View<'a>>,
    /// `[batch, sources]`, u32: for each original token the token that holds it; absent before the first merge, where
    /// that is itself.
    pub source: Option<View<'a>>,
    /// `[batch, tokens_out, channels]`, written.
    pub x_out: View<'a>,
    /// `[batch, tokens_out]`, written; where it is absent the merger has a buffer of its own.
    pub size_out: Option<View<'a>>,
    /// `[batch, sources]`, u32, written; where it is absent the merger has a buffer of its own.
    pub source_out: Option<View<'a>>,
    /// `[batch, tokens_out, channels]`, written where there is one: `x_out` brought to mean 0 and variance 1 over the
    /// channels, as the linear layer behind a LayerNorm wants it.
    pub normed: Option<View<'a>>,
}

/// What a merge needs between its kernels; merges that follow each other can share it.
#[derive(Clone, Debug)]
pub struct MergeScratch {
    /// `[batch, tokens, head_width]`, see [`key_metric`](kernels::key_metric()).
    pub metric: wgpu::Buffer,
    /// `[batch or 1, tokens]`, u32: sources and destinations, see [`split_tokens`](kernels::split_tokens()).
    pub split: wgpu::Buffer,
    /// `[batch, srcs]`: similarity of each source's best edge, see [`find_matches`](kernels::find_matches()).
    pub score: wgpu::Buffer,
    /// `[batch, srcs]`, u32: the other end of each best edge.
    pub best: wgpu::Buffer,
    /// `[batch, srcs]`, u32: place in the order of similarity.
    pub rank: wgpu::Buffer,
    /// `[batch, 3 tokens - r]`, u32: the merge plan, see [`rank_matches`](kernels::rank_matches()).
    pub plan: wgpu::Buffer,
}

impl MergeScratch {
    /// Buffers for merges of up to `tokens` tokens by metrics of up to `head_width` values.
    ///
    /// # Errors
    /// As [`Gpu::buffer`].
    pub fn new(gpu: &Gpu, batch: u32, tokens: u32, head_width: u32) -> Result<Self> {
        let all = u64::from(batch) * u64::from(tokens);
        Ok(MergeScratch {
            metric: gpu.buffer("tome.metric", all.saturating_mul(head_width.into()))?,
            split: gpu.buffer("tome.split", all)?,
            score: gpu.buffer("tome.score", all)?,
            best: gpu.buffer("tome.best", all)?,
            rank: gpu.buffer("tome.rank", all)?,
            plan: gpu.buffer("tome.plan", all.saturating_mul(3))?,
        })
    }

    /// Bytes of device memory.
    pub fn bytes(&self) -> u64 {
        let all = [&self.metric, &self.split, &self.score, &self.best, &self.rank, &self.plan];
        all.map(wgpu::Buffer::size).iter().sum()
    }
}

/// One merge, ready to be recorded any number of times: between the attention and the MLP of a block as the paper has
/// it, or before attention with [`unmerge`](Self::unmerge) after it as tomesd has it.
#[derive(Clone, Debug)]
pub struct TokenMerger {
    gpu: Gpu,
    dispatches: Vec<Dispatch>,
    shape: MergeShape,
    scratch: MergeScratch,
    size_out: (wgpu::Buffer, u64),
    source_out: (wgpu::Buffer, u64),
}

impl TokenMerger {
    /// Prepares a merge on the caller's buffers, with scratch of its own.
    ///
    /// # Errors
    /// What its kernels, [`Partition::check`] and [`MergeScratch::new`] say.
    pub fn new(gpu: &Gpu, shape: MergeShape, io: MergeIo<'_>) -> Result<Self> {
        let scratch = MergeScratch::new(gpu, shape.batch, shape.tokens, shape.head_width)?;
        Self::with_scratch(gpu, shape, io, &scratch)
    }

    /// Prepares a merge whose scratch is shared with others that are recorded one after the other.
    ///
    /// # Errors
    /// What its kernels and [`Partition::check`] say.
    pub fn with_scratch(
        gpu: &Gpu,
        shape: MergeShape,
        io: MergeIo<'_>,
        scratch: &MergeScratch,
    ) -> Result<Self> {
        let MergeShape { batch, tokens, channels, heads, head_width, protect, sources, .. } = shape;
        let MergeShape { partition, similarity, mode, eps, .. } = shape;
        partition.check(tokens, protect)?;
        let r = shape.r_clamped();
        let MergeScratch { metric, split, score, best, rank, plan } = scratch;
        let listed = partition.split(batch, tokens, protect, r);
        let (srcs, split_stride) = listed.map_or((0, 0), |list| (list.srcs, list.stride()));
        let split = listed.map(|_| View::from(split));
        let of_keys = if shape.exact_keys { gpu.exact() } else { gpu.clone() };
        let mut dispatches = vec![kernels::key_metric(
            &of_keys,
            key_metric::Params {
                rows: elements("key_metric", "tokens", &[batch, tokens])? as u32,
                heads,
                head_width,
                stride: shape.key_stride,
                start: shape.key_start,
                unit: (similarity == Similarity::COSINE).into(),
            },
            key_metric::Io { keys: io.keys, metric: metric.into() },
        )?];
        if let (Some(params), Some(split)) = (listed, split) {
            dispatches.push(kernels::split_tokens(gpu, params, split_tokens::Io { split })?);
        }
        dispatches.push(kernels::find_matches(
            gpu,
            find_matches::Params {
                batch,
                tokens,
                width: head_width,
                protect,
                similarity,
                srcs,
                split_stride,
                ..Default::default()
            },
            find_matches::Io { metric: metric.into(), split, score: score.into(), best: best.into() },
        )?);
        dispatches.push(kernels::rank_matches(
            gpu,
            rank_matches::Params { batch, tokens, r, protect, srcs, split_stride, ..Default::default() },
            rank_matches::Io {
                score: score.into(),
                best: best.into(),
                split,
                rank: rank.into(),
                plan: plan.into(),
            },
        )?);
        let own = |view: Option<View<'_>>, label: &str, count: u32| match view {
            Some(View { buffer, offset }) => Ok((buffer.clone(), offset)),
            None => gpu.buffer(label, u64::from(batch) * u64::from(count)).map(|buffer| (buffer, 0)),
        };
        let size_out = own(io.size_out, "tome.size", tokens - r)?;
        let source_out = own(io.source_out, "tome.source", sources)?;
        dispatches.push(kernels::merge_tokens(
            gpu,
            merge_tokens::Params { batch, tokens, r, channels, sources, mode, eps, ..Default::default() },
            merge_tokens::Io {
                plan: plan.into(),
                x: io.x,
                size: io.size,
                source: io.source,
                x_out: io.x_out,
                size_out: View::at(&size_out.0, size_out.1),
                source_out: View::at(&source_out.0, source_out.1),
                normed: io.normed,
            },
        )?);
        Ok(TokenMerger {
            gpu: gpu.clone(),
            dispatches,
            shape,
            scratch: scratch.clone(),
            size_out,
            source_out,
        })
    }

    /// Prepares the way back: every original token gets a copy of the token that holds it, `y = x[source]`, plus a
    /// residual if there is one. `x` is `[batch, tokens_out, channels]`, `residual` and `y` (which is written) are
    /// `[batch, sources, channels]`.
    ///
    /// # Errors
    /// What [`unmerge`](kernels::unmerge()) says.
    pub fn unmerge(
        &self,
        channels: u32,
        x: View<'_>,
        residual: Option<View<'_>>,
        y: View<'_>,
    ) -> Result<Dispatch> {
        let MergeShape { batch, sources, .. } = self.shape;
        let params =
            unmerge::Params { batch, tokens: self.tokens_out(), sources, channels, ..Default::default() };
        kernels::unmerge(&self.gpu, params, unmerge::Io { x, source: self.source(), residual, y })
    }

    /// Records the merge into a compute pass of the same device.
    pub fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        for dispatch in &self.dispatches {
            dispatch.encode(pass);
        }
    }

    /// Tokens an image after merging.
    pub fn tokens_out(&self) -> u32 {
        self.shape.tokens_out()
    }

    /// `[batch, tokens_out]`: how many original tokens each stands for.
    pub fn size(&self) -> View<'_> {
        View::at(&self.size_out.0, self.size_out.1)
    }

    /// `[batch, sources]`, u32: for each original token the token that holds it.
    pub fn source(&self) -> View<'_> {
        View::at(&self.source_out.0, self.source_out.1)
    }

    /// Its calls: [`key_metric`](kernels::key_metric()), [`split_tokens`](kernels::split_tokens()) where tokens do not
    /// alternate, [`find_matches`](kernels::find_matches()), [`rank_matches`](kernels::rank_matches()),
    /// [`merge_tokens`](kernels::merge_tokens()).
    pub fn dispatches(&self) -> &[Dispatch] {
        &self.dispatches
    }

    /// What lies between its kernels.
    pub fn scratch(&self) -> &MergeScratch {
        &self.scratch
    }
}
