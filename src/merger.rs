//! Level 2: token merging for a model that somebody else runs.

use crate::dispatch::Dispatch;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::kernels::key_metric::Length;
use crate::kernels::{
    self, MergeMode, MergedPosition, NormKind, Similarity, choose_matches, find_matches, key_metric,
    match_frames, match_lines, merge_source, merge_tokens, rank_matches, split_tokens, token_energy, unmerge,
};
use crate::matching;
use crate::merge_io::MergeIo;
use crate::partition::Partition;
use crate::view::View;

/// The shape of one merge, and how it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
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
    /// Tokens to merge; clamped to what the partition allows, and rounded down to whole lines, or to as many of
    /// each frame group, where it has some.
    pub r: u32,
    /// Edges merge only where their score is above it: r is then the most that do, tokens alternate, and places that
    /// become empty are padding of size 0 behind the tokens. Scores are similarities, of distances minus the square.
    pub threshold: Option<f32>,
    /// With a threshold the places that disappear, at most r: an image whose tokens would not fit merges more.
    pub least: u32,
    /// Tokens at the front that never merge.
    pub protect: u32,
    /// Original tokens in the source map; as many as `tokens` before the first merge.
    pub sources: u32,
    /// The tokens that may merge, and those they merge into.
    pub partition: Partition,
    /// The measure by which two tokens are alike.
    pub similarity: Similarity,
    /// How much the sizes of two tokens count against their match, see [`find_matches::Params::by_size`]; without
    /// [`MergeIo::size`] all count alike.
    pub by_size: f32,
    /// The way the tokens of a group become one.
    pub mode: MergeMode,
    /// Where a group lies, of tokens that have positions.
    pub positions: MergedPosition,
    /// The keys are 32-bit floats whatever the storage type.
    pub keys_in_f32: bool,
    /// Tokens of size 0 are padding: they merge last and attract nobody. With a threshold they are so by themselves,
    /// and never merge.
    pub masked: bool,
    /// Added to the variance of [`MergeIo::normed`]; not read without it.
    pub eps: f32,
    /// The norm of [`MergeIo::normed`]; not read without it.
    pub kind: NormKind,
}

impl MergeShape {
    /// The first merge of a network between the attention and the MLP of a block, as the paper has it: r tokens by the
    /// keys in the output of one projection to q, k and v, `[batch, tokens, 3, heads, head_width]`, nothing protected.
    pub fn fused(batch: u32, tokens: u32, heads: u32, head_width: u32, r: u32) -> Self {
        let channels = heads * head_width;
        MergeShape {
            batch,
            tokens,
            channels,
            heads,
            head_width,
            key_stride: 3 * channels,
            key_start: channels,
            r,
            sources: tokens,
            ..MergeShape::default()
        }
    }

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
            mode: MergeMode::Mean,
            ..MergeShape::default()
        }
    }

    /// The r that takes this share of the tokens away, rounded down: `ratio` lies between 0 and 1.
    pub fn r_for_ratio(tokens: u32, ratio: f64) -> u32 {
        // `as` takes what is negative to 0.
        (f64::from(tokens) * ratio) as u32
    }

    /// r as it will be: what the partition allows.
    pub fn r_clamped(&self) -> u32 {
        self.partition.clamp(self.tokens, self.protect, self.r)
    }

    /// Tokens an image after merging, with empty places.
    pub fn tokens_out(&self) -> u32 {
        self.tokens - self.gone()
    }

    pub(crate) fn key_metric(&self) -> key_metric::Params {
        key_metric::Params {
            rows: self.batch * self.tokens,
            heads: self.heads,
            head_width: self.head_width,
            stride: self.key_stride,
            start: self.key_start,
            length: if self.similarity == Similarity::Cosine { Length::Unit } else { Length::Own },
        }
    }

    /// None where energies do not decide or nothing merges.
    pub(crate) fn token_energy(&self) -> Option<token_energy::Params> {
        let &MergeShape { batch, tokens, head_width, protect, .. } = self;
        let margin = self.partition.margin().filter(|_| self.r_clamped() > 0)?;
        Some(token_energy::Params::new([batch, tokens, head_width], protect, margin))
    }

    /// None where tokens do not merge along the lines of a grid.
    pub(crate) fn match_lines(&self) -> Option<match_lines::Params> {
        let &MergeShape { batch, tokens, head_width: width, protect, similarity, .. } = self;
        let Partition::Lines { grid: Some([rows, columns]) } = self.partition else { return None };
        let lost = self.r_clamped() / self.partition.step(tokens, protect);
        Some(match_lines::Params { batch, tokens, width, protect, similarity, rows, columns, lost })
    }

    /// None where tokens do not merge within frame groups.
    pub(crate) fn match_frames(&self) -> Option<match_frames::Params> {
        let &MergeShape { batch, tokens, head_width: width, protect, similarity, by_size, .. } = self;
        let Partition::Frames { groups: Some(groups) } = self.partition else { return None };
        let lost = self.r_clamped() / self.partition.step(tokens, protect);
        Some(match_frames::Params { batch, tokens, width, protect, similarity, groups, lost, by_size })
    }

    pub(crate) fn otherwise(&self) -> matching::Params {
        let &MergeShape { batch, tokens, head_width: width, protect, similarity, .. } = self;
        matching::Params { batch, tokens, width, r: self.r_clamped(), protect, similarity }
    }

    /// None where tokens alternate, or merge along lines or within frame groups, or nothing merges.
    pub(crate) fn split_tokens(&self) -> Option<split_tokens::Params> {
        self.partition.split(self.batch, self.tokens, self.protect, self.r_clamped())
    }

    pub(crate) fn find_matches(&self) -> find_matches::Params {
        let &MergeShape { batch, tokens, head_width: width, protect, similarity, by_size, .. } = self;
        let list = self.split_tokens().unwrap_or_default();
        let (srcs, split_stride, held) = (list.srcs, list.stride(), list.held());
        find_matches::Params { batch, tokens, width, protect, similarity, srcs, split_stride, held, by_size }
    }

    pub(crate) fn rank_matches(&self) -> rank_matches::Params {
        let &MergeShape { batch, tokens, protect, .. } = self;
        let (srcs, split_stride) = self.split_tokens().map_or((0, 0), |list| (list.srcs, list.stride()));
        rank_matches::Params { batch, tokens, r: self.r_clamped(), protect, srcs, split_stride }
    }

    pub(crate) fn merge_tokens(&self) -> merge_tokens::Params {
        let &MergeShape { batch, tokens, channels, mode, positions, eps, kind, .. } = self;
        merge_tokens::Params { batch, tokens, r: self.gone(), channels, mode, positions, eps, kind }
    }

    pub(crate) fn merge_source(&self) -> merge_source::Params {
        merge_source::Params::new(self.batch, self.tokens, self.gone(), self.sources)
    }

    /// Sources an image.
    pub(crate) fn srcs(&self) -> u32 {
        self.split_tokens().map_or(self.tokens.div_ceil(2), |list| list.srcs)
    }
}

/// Buffers between the kernels of a merge; merges that follow each other can share it.
#[derive(Clone, Debug)]
pub struct MergeScratch {
    /// `[batch, tokens, head_width]`, see [`key_metric`](kernels::key_metric()).
    pub metric: wgpu::Buffer,
    /// `[batch or 1, tokens]`, u32: sources and destinations, see [`split_tokens`](kernels::split_tokens()).
    pub split: wgpu::Buffer,
    /// `[batch, tokens]`: energies, where they decide; then `[batch, srcs]`: similarity of each source's best edge.
    pub score: wgpu::Buffer,
    /// `[batch, srcs]`, u32: the other end of each best edge.
    pub best: wgpu::Buffer,
    /// `[batch, srcs]`, u32: place in the order of similarity.
    pub rank: wgpu::Buffer,
    /// `[batch, 3 tokens - r]`, u32: the merge plan, see [`rank_matches`](kernels::rank_matches()).
    pub plan: wgpu::Buffer,
    /// `[batch, tokens_out]`: with a threshold 1 for each token that a merge has left and 0 for each empty place, see
    /// [`choose_matches`](kernels::choose_matches()); for attention that is not to count tokens by their sizes.
    pub mask: wgpu::Buffer,
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
            mask: gpu.buffer("tome.mask", all)?,
        })
    }

    /// Bytes of device memory.
    pub fn bytes(&self) -> u64 {
        let Self { metric, split, score, best, rank, plan, mask } = self;
        let all = [metric, split, score, best, rank, plan, mask];
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
    /// Those of its kernels, its partition ([`Partition::check`], [`Partition::Energy`]) and [`MergeScratch::new`];
    /// [`Error::Unsupported`] for a threshold where tokens do not alternate.
    pub fn new(gpu: &Gpu, shape: MergeShape, io: MergeIo<'_>) -> Result<Self> {
        let scratch = MergeScratch::new(gpu, shape.batch, shape.tokens, shape.head_width)?;
        Self::with_scratch(gpu, shape, io, &scratch)
    }

    /// Prepares a merge whose scratch is shared with others that are recorded one after the other.
    ///
    /// # Errors
    /// As [`TokenMerger::new`], but for the scratch.
    pub fn with_scratch(
        gpu: &Gpu,
        shape: MergeShape,
        io: MergeIo<'_>,
        scratch: &MergeScratch,
    ) -> Result<Self> {
        let MergeShape { batch, tokens, partition, protect, .. } = shape;
        partition.check(tokens, protect)?;
        partition.check_similarity(shape.similarity, shape.by_size)?;
        shape.check_threshold()?;
        let MergeScratch { metric, split, score, best, rank, plan, mask } = scratch;
        let listed = shape.split_tokens().map(|_| View::from(split));
        let of_keys = if shape.keys_in_f32 { gpu.in_f32() } else { gpu.clone() };
        let mut metric_io = key_metric::Io::new(io.keys, metric);
        if shape.masks() {
            metric_io.size = io.size;
        }
        let mut dispatches = vec![kernels::key_metric(&of_keys, shape.key_metric(), metric_io)?];
        let mut split_io = split_tokens::Io::new(split);
        if let Some(params) = shape.token_energy() {
            split_io.energy = Some(score.into());
            dispatches.push(kernels::token_energy(gpu, params, token_energy::Io::new(metric, score))?);
        }
        if let Some(params) = shape.split_tokens() {
            dispatches.push(kernels::split_tokens(gpu, params, split_io)?);
        }
        let size = io.size.filter(|_| shape.by_size > 0.0);
        if let Some(params) = shape.match_lines() {
            dispatches.push(kernels::match_lines(gpu, params, match_lines::Io::new(metric, plan))?);
        } else if let Some(params) = shape.match_frames() {
            let io = match_frames::Io { size, ..match_frames::Io::new(metric, plan) };
            dispatches.push(kernels::match_frames(gpu, params, io)?);
        } else {
            let find = find_matches::Io { split: listed, size, ..find_matches::Io::new(metric, score, best) };
            dispatches.push(kernels::find_matches(gpu, shape.find_matches(), find)?);
            if let Some(params) = shape.choose_matches() {
                let chosen = choose_matches::Io::new(score, best, rank, plan, mask);
                let chosen = choose_matches::Io { size: io.size, ..chosen };
                dispatches.push(kernels::choose_matches(gpu, params, chosen)?);
            } else {
                let ranked = rank_matches::Io::new(score, best, rank, plan);
                let ranked = rank_matches::Io { split: listed, ..ranked };
                dispatches.push(kernels::rank_matches(gpu, shape.rank_matches(), ranked)?);
            }
        }
        let own = |view: Option<View<'_>>, kernel, binding, count: u32| match view {
            Some(view) => view
                .buffer()
                .map(|buffer| (buffer.clone(), view.offset()))
                .ok_or(Error::BindingKind { kernel, binding }),
            None => gpu.buffer(binding, u64::from(batch) * u64::from(count)).map(|buffer| (buffer, 0)),
        };
        let size_out = own(io.size_out, "merge_tokens", "size_out", shape.tokens_out())?;
        let source_out = own(io.source_out, "merge_source", "source_out", shape.sources)?;
        let merge = merge_tokens::Io {
            size: io.size,
            position: io.position,
            normed: io.normed,
            position_out: io.position_out,
            ..merge_tokens::Io::new(plan, io.x, io.x_out, View::at(&size_out.0, size_out.1))
        };
        dispatches.push(kernels::merge_tokens(gpu, shape.merge_tokens(), merge)?);
        let map = View::at(&source_out.0, source_out.1);
        let map = merge_source::Io { source: io.source, ..merge_source::Io::new(plan, map) };
        dispatches.push(kernels::merge_source(gpu, shape.merge_source(), map)?);
        Ok(TokenMerger {
            gpu: gpu.clone(),
            dispatches,
            shape,
            scratch: scratch.clone(),
            size_out,
            source_out,
        })
    }

    /// The way back, prepared: every original token gets a copy of the token that holds it, `y = x[source]`, plus a
    /// residual if there is one. `x` is `[batch, tokens_out, channels]`, `residual` and `y` (which is written) are
    /// `[batch, sources, channels]`.
    ///
    /// # Errors
    /// Those of [`unmerge`](kernels::unmerge()).
    pub fn unmerge(
        &self,
        channels: u32,
        x: View<'_>,
        residual: Option<View<'_>>,
        y: View<'_>,
    ) -> Result<Dispatch> {
        let MergeShape { batch, sources, .. } = self.shape;
        let params = unmerge::Params::new(batch, self.tokens_out(), sources, channels);
        let io = unmerge::Io { residual, ..unmerge::Io::new(x, self.source(), y) };
        kernels::unmerge(&self.gpu, params, io)
    }

    /// Records the merge into a compute pass of the same device.
    pub fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        self.dispatches.iter().for_each(|dispatch| dispatch.encode(pass));
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

    /// Its calls, those of [`kernels::ALL`] from [`key_metric`](kernels::key_metric()) to
    /// [`merge_source`](kernels::merge_source()): energies only where they decide, a list only where tokens do not
    /// alternate, [`choose_matches`](kernels::choose_matches()) in place of ranks with a threshold, and
    /// [`match_lines`](kernels::match_lines()) or [`match_frames`](kernels::match_frames()) in place of list, matches and
    /// ranks where a grid stays one or frame groups keep to themselves.
    pub fn dispatches(&self) -> &[Dispatch] {
        &self.dispatches
    }

    /// The buffers between its kernels.
    pub fn scratch(&self) -> &MergeScratch {
        &self.scratch
    }
}
