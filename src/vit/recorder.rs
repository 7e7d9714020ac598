//! A plan in the making: which buffer holds what, and the calls so far.

use super::buffers::Buffers;
use super::config::Config;
use super::images::Input;
use super::options::{Metric, Options};
use super::parameters::{Linear, Norm, Parameters};
use super::plan::{Stage, Step};
use crate::dispatch::Dispatch;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::kernels::matmul::Activation;
use crate::kernels::{self, attention, embed_patches, layer_norm, matmul, norm_heads};
use crate::merger::{MergeIo, MergeShape, TokenMerger};

/// Makes the calls of a network in order and keeps track of where tokens and sizes stand.
pub(super) struct Recorder<'a> {
    /// Its variant runs the blocks.
    pub gpu: Gpu,
    pub config: &'a Config,
    pub options: &'a Options,
    pub batch: u32,
    /// Tokens an image by now.
    pub tokens: u32,
    pub buffers: &'a Buffers,
    /// Which of the two token buffers holds the residual stream.
    pub x: usize,
    /// Merges so far: which of the size and source buffers holds.
    pub merged: usize,
    /// Where the logits are by now.
    pub logits: Option<&'a wgpu::Buffer>,
    input: Input,
    block: Option<u32>,
    steps: Vec<Step>,
}

/// Where the results of a plan stand.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    pub tokens: wgpu::Buffer,
    pub size: wgpu::Buffer,
    pub logits: wgpu::Buffer,
}

/// What follows a product.
#[derive(Clone, Copy, Default)]
pub(super) struct Epilogue<'a> {
    pub gate: Option<&'a wgpu::Buffer>,
    pub residual: Option<&'a wgpu::Buffer>,
}

/// What a linear layer reads.
pub(super) enum From {
    Narrow,
    Wide,
}

impl<'a> Recorder<'a> {
    pub fn new(
        gpu: &Gpu,
        config: &'a Config,
        options: &'a Options,
        input: Input,
        batch: u32,
        buffers: &'a Buffers,
    ) -> Self {
        let tokens = config.tokens();
        Recorder {
            gpu: gpu.clone(),
            config,
            options,
            batch,
            tokens,
            buffers,
            x: 0,
            merged: 0,
            logits: None,
            input,
            block: None,
            steps: Vec::new(),
        }
    }

    pub fn finish(self) -> (Vec<Step>, Ends) {
        let ends = Ends {
            tokens: self.buffers.x[self.x].clone(),
            size: self.buffers.size[self.merged].clone(),
            // Without a head the features are the result.
            logits: self.logits.unwrap_or(&self.buffers.features[0]).clone(),
        };
        (self.steps, ends)
    }

    /// The block that the following calls belong to.
    pub fn enter(&mut self, block: Option<u32>) {
        self.block = block;
    }

    pub fn push(&mut self, dispatch: Dispatch) {
        self.steps.push(Step { dispatch, block: self.block, stage: None });
    }

    /// Names what the last call wrote.
    pub fn stage(&mut self, name: &str, buffer: &wgpu::Buffer, elements: u64) {
        if let Some(step) = self.steps.last_mut() {
            let name = self.block.map_or_else(|| name.into(), |block| format!("layer{block:02}.{name}"));
            step.stage = Some(Stage { name, buffer: buffer.clone(), elements });
        }
    }

    pub fn rows(&self) -> u32 {
        self.batch * self.tokens
    }

    /// Names the residual stream.
    pub fn name_tokens(&mut self, name: &str) {
        let elements = u64::from(self.rows()) * u64::from(self.config.embed_dim);
        self.stage(name, &self.buffers.x[self.x], elements);
    }

    pub fn embed_patches(&mut self, p: &Parameters<wgpu::Buffer>) -> Result<()> {
        let Config { image_size, patch_size, in_chans, embed_dim, .. } = *self.config;
        let params = embed_patches::Params {
            batch: self.batch,
            image_channels: in_chans,
            height: image_size[0],
            width: image_size[1],
            patch_height: patch_size[0],
            patch_width: patch_size[1],
            prefix: self.config.prefix(),
            channels: embed_dim,
            ..Default::default()
        };
        let io = embed_patches::Io {
            image: (&self.buffers.input).into(),
            normal: match self.input {
                Input::Floats => None,
                Input::Pixels => Some((&self.buffers.normal).into()),
            },
            w: (&p.patch).into(),
            bias: (&p.patch_bias).into(),
            position: (&p.position).into(),
            first: p.first.as_ref().map(Into::into),
            y: (&self.buffers.x[self.x]).into(),
        };
        self.push(kernels::embed_patches(&self.gpu, params, io)?);
        Ok(())
    }

    /// From here on all is computed in 32 bits: after the blocks there is little left to save.
    pub fn exact(&mut self) {
        self.gpu = self.gpu.exact();
    }

    pub fn layer_norm(
        &mut self,
        gpu: &Gpu,
        norm: Option<&Norm<wgpu::Buffer>>,
        rows: u32,
        x: &wgpu::Buffer,
        y: &wgpu::Buffer,
    ) -> Result<()> {
        let Config { embed_dim: channels, norm_eps: eps, .. } = *self.config;
        let params = layer_norm::Params { rows, channels, eps, ..Default::default() };
        let io = layer_norm::Io {
            x: x.into(),
            weight: norm.map(|norm| (&norm.weight).into()),
            bias: norm.map(|norm| (&norm.bias).into()),
            y: y.into(),
        };
        self.push(kernels::layer_norm(gpu, params, io)?);
        Ok(())
    }

    /// A norm of the residual stream itself.
    pub fn norm_tokens(&mut self, norm: &Norm<wgpu::Buffer>) -> Result<()> {
        let [from, to] = [self.x, 1 - self.x];
        let x = &self.buffers.x;
        self.layer_norm(&self.gpu.exact(), Some(norm), self.rows(), &x[from], &x[to])?;
        self.x = to;
        Ok(())
    }

    /// The residual stream, normalised, to `narrow`. The norm's weight and bias are part of what reads it.
    pub fn norm_to_narrow(&mut self) -> Result<()> {
        self.layer_norm(&self.gpu.clone(), None, self.rows(), &self.buffers.x[self.x], &self.buffers.narrow)
    }

    /// `narrow` to `wide`.
    pub fn widen(&mut self, linear: &Linear<wgpu::Buffer>, activation: Activation) -> Result<()> {
        let (x, y) = (&self.buffers.narrow, &self.buffers.wide);
        self.linear(linear, activation, self.rows(), x, y, Epilogue::default())
    }

    /// `narrow` to `wide`, multiplied by what the gate makes of it.
    pub fn widen_gated(
        &mut self,
        gate: &Linear<wgpu::Buffer>,
        linear: &Linear<wgpu::Buffer>,
        activation: Activation,
    ) -> Result<()> {
        let Buffers { narrow, wide, gate: gates, .. } = self.buffers;
        let gates = gates.as_ref().unwrap_or(wide);
        self.linear(gate, activation, self.rows(), narrow, gates, Epilogue::default())?;
        let by_gate = Epilogue { gate: Some(gates), ..Default::default() };
        self.linear(linear, Activation::NONE, self.rows(), narrow, wide, by_gate)
    }

    /// A branch back into the residual stream.
    pub fn add(&mut self, linear: &Linear<wgpu::Buffer>, from: From) -> Result<()> {
        let x = match from {
            From::Narrow => &self.buffers.narrow,
            From::Wide => &self.buffers.wide,
        };
        let [residual, y] = [&self.buffers.x[self.x], &self.buffers.x[1 - self.x]];
        let onto = Epilogue { residual: Some(residual), ..Default::default() };
        self.linear(linear, Activation::NONE, self.rows(), x, y, onto)?;
        self.x = 1 - self.x;
        Ok(())
    }

    pub fn linear(
        &mut self,
        linear: &Linear<wgpu::Buffer>,
        activation: Activation,
        rows: u32,
        x: &wgpu::Buffer,
        y: &wgpu::Buffer,
        Epilogue { gate, residual }: Epilogue<'_>,
    ) -> Result<()> {
        let params = matmul::Params {
            rows,
            inner: linear.inner,
            columns: linear.columns,
            activation,
            ..Default::default()
        };
        let io = matmul::Io {
            x: x.into(),
            w: (&linear.weight).into(),
            bias: linear.bias.as_ref().map(Into::into),
            scale: None,
            gate: gate.map(Into::into),
            residual: residual.map(Into::into),
            y: y.into(),
        };
        self.push(kernels::matmul(&self.gpu, params, io)?);
        Ok(())
    }

    /// q and k in `wide`, normalised in place.
    pub fn norm_heads(&mut self, norm: &Norm<wgpu::Buffer>) -> Result<()> {
        let Config { embed_dim, num_heads, norm_eps, .. } = *self.config;
        let params = norm_heads::Params {
            rows: self.rows(),
            heads: num_heads,
            head_width: self.config.head_width(),
            stride: 3 * embed_dim,
            eps: norm_eps,
        };
        let io = norm_heads::Io {
            weight: (&norm.weight).into(),
            bias: (&norm.bias).into(),
            x: (&self.buffers.wide).into(),
        };
        self.push(kernels::norm_heads(&self.gpu, params, io)?);
        Ok(())
    }

    /// q, k and v in `wide` to `narrow`, counting merged tokens by their sizes.
    pub fn attention(&mut self) -> Result<()> {
        let Config { num_heads, .. } = *self.config;
        let params = attention::Params {
            // Queries come scaled.
            scale: 1.0,
            ..attention::Params::fused(self.batch, self.tokens, num_heads, self.config.head_width())
        };
        let wide = (&self.buffers.wide).into();
        // Before the first merge every size is 1, and ln 1 adds nothing.
        let counts = self.options.prop_attn && self.merged > 0;
        let size = counts.then(|| (&self.buffers.size[self.merged]).into());
        let io = attention::Io { q: wide, k: wide, v: wide, size, y: (&self.buffers.narrow).into() };
        self.push(kernels::attention(&self.gpu, params, io)?);
        Ok(())
    }

    /// Merges r tokens of the residual stream by what attention left in `wide`, or by the residual stream before or
    /// after attention. What is left is in `narrow` too, normalised.
    pub fn merge(&mut self, r: u32) -> Result<()> {
        let Config { embed_dim, num_heads, norm_eps: eps, .. } = *self.config;
        let Options { metric, similarity, partition, merge, .. } = *self.options;
        let projected = metric.of_projection();
        let shape = MergeShape {
            batch: self.batch,
            tokens: self.tokens,
            channels: embed_dim,
            heads: if projected.is_some() { num_heads } else { 1 },
            head_width: metric.width(self.config),
            key_stride: if projected.is_some() { 3 * embed_dim } else { embed_dim },
            key_start: projected.unwrap_or(0) * embed_dim,
            r,
            protect: self.options.protected(self.config),
            sources: self.config.tokens(),
            partition: partition.in_block(self.block.unwrap_or(0)),
            similarity,
            mode: merge,
            exact_keys: projected.is_none(),
            eps,
        };
        let Buffers { x, size, source, scratch, narrow, wide, .. } = self.buffers;
        let [from, to] = [self.merged, self.merged + 1];
        let keys = match metric {
            Metric::Keys | Metric::Queries | Metric::Values => wide,
            // What attention was added to.
            Metric::Input => &x[1 - self.x],
            Metric::Attention => &x[self.x],
        };
        let io = MergeIo {
            keys: keys.into(),
            x: (&x[self.x]).into(),
            size: Some((&size[from]).into()),
            source: Some((&source[from]).into()),
            x_out: (&x[1 - self.x]).into(),
            size_out: Some((&size[to]).into()),
            source_out: Some((&source[to]).into()),
            normed: Some(narrow.into()),
        };
        let merger = TokenMerger::with_scratch(&self.gpu, shape, io, scratch)?;
        let [b, n] = [self.batch, self.tokens].map(u64::from);
        let listed = partition.split(self.batch, self.tokens, shape.protect, r);
        let edges = b * listed.map_or(n.div_ceil(2), |split| split.srcs.into());
        for dispatch in merger.dispatches() {
            self.push(dispatch.clone());
            match dispatch.kernel() {
                "key_metric" => self.stage("metric", &scratch.metric, b * n * u64::from(shape.head_width)),
                "split_tokens" => {
                    self.stage("split", &scratch.split, listed.map_or(0, |split| split.elements()));
                }
                "find_matches" => self.stage("best", &scratch.best, edges),
                "rank_matches" => self.stage("rank", &scratch.rank, edges),
                _ => {}
            }
        }
        self.x = 1 - self.x;
        self.merged = to;
        self.tokens = shape.tokens_out();
        self.name_tokens("merged");
        Ok(())
    }
}
