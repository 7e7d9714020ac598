//! One image's way through a network; reads like the picture in the crate's documentation.

use std::mem::swap;

use super::{
    attention, embed_patches, find_matches, key_metric, layer_norm, matmul, merge_tokens, norm_heads,
    rank_matches, split_tokens,
};
use crate::cpu::matrix::Matrix;
use crate::kernels;
use crate::kernels::find_matches::Similarity;
use crate::kernels::matmul::Activation;
use crate::vit::{Block, Config, Linear, Metric, Mlp, Norm, Options, Outputs, Parameters};

/// An intermediate of one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Row-major.
    F32(&'a [f32]),
    /// Row-major.
    U32(&'a [u32]),
}

/// Is told of every stage of every image. Stages are `embed`; in each block `layerNN.` and `attn` (after the
/// residual), where it merges `metric` (of unit length for cosines), where tokens do not alternate `split`, `score`, `best`, `rank`, `plan`, `merged`, and always `size`
/// and `tokens`; then `features` and `logits`.
pub type Trace<'a> = dyn FnMut(&str, Value<'_>) + 'a;

/// What one image needs on its way. Slices are as long as the first block needs; merging leaves their ends unused.
pub(super) struct Forward<'a> {
    pub config: &'a Config,
    pub options: &'a Options,
    /// Its place in the batch.
    image: u32,
    /// Tokens by now.
    pub tokens: u32,
    /// `[tokens, channels]`: the residual stream.
    pub x: Vec<f32>,
    /// The same: what it becomes.
    x_next: Vec<f32>,
    /// `[tokens]`
    pub size: Vec<f32>,
    /// `[original tokens]`
    source: Vec<u32>,
    /// `[tokens, channels]`: what enters a linear layer.
    pub narrow: Vec<f32>,
    /// `[tokens, 3 channels or the MLP's width]`
    pub wide: Vec<f32>,
    /// `[tokens, the MLP's width]`, where it has a gate.
    gate: Vec<f32>,
}

impl<'a> Forward<'a> {
    pub fn new(config: &'a Config, options: &'a Options, image: usize) -> Self {
        let tokens = config.tokens();
        let rows = |width: u32| vec![0.0; tokens as usize * width as usize];
        let c = config.embed_dim;
        Forward {
            config,
            options,
            image: image as u32,
            tokens,
            x: rows(c),
            x_next: rows(c),
            size: vec![1.0; tokens as usize],
            source: (0..tokens).collect(),
            narrow: rows(c),
            wide: rows(config.widest()),
            gate: if config.mlp == Mlp::Plain { Vec::new() } else { rows(config.mlp_hidden) },
        }
    }

    /// Image to logits.
    pub fn run(mut self, p: &Parameters<Vec<f32>>, image: &[f32], trace: &mut Trace<'_>) -> Outputs {
        self.embed(p, image);
        trace("embed", Value::F32(self.x()));

        let tokens = self.options.tokens_per_block(self.config);
        let mut source_per_block = Vec::with_capacity(p.blocks.len() * self.source.len());
        for (i, b) in p.blocks.iter().enumerate() {
            self.block(b, i as u32, tokens[i] - tokens[i + 1], &mut |name, value| {
                trace(&format!("layer{i:02}.{name}"), value)
            });
            source_per_block.extend_from_slice(&self.source);
        }

        let (features, logits) = self.head(p);
        trace("features", Value::F32(&features));
        trace("logits", Value::F32(&logits));

        let merged = self.tokens as usize;
        self.x.truncate(merged * self.config.embed_dim as usize);
        self.size.truncate(merged);
        Outputs {
            batch: 1,
            merged,
            logits,
            features,
            tokens: self.x,
            size: self.size,
            source: self.source,
            dense: Vec::new(),
            source_per_block,
        }
    }

    /// Attention, merging, MLP (paper, section 3): the MLP works on what merging left.
    fn block(&mut self, p: &Block<Vec<f32>>, index: u32, r: u32, trace: &mut Trace<'_>) {
        let heads = self.config.num_heads;
        let n = self.tokens;
        let counts = self.options.prop_attn && n < self.config.tokens();

        self.norm(None);
        linear(&p.qkv, Activation::NONE, n, &self.narrow, Epilogue::default(), &mut self.wide);
        if let Some(norm) = &p.qk_norm {
            self.norm_heads(norm);
        }
        // Queries come scaled.
        let params = kernels::attention::Params {
            scale: 1.0,
            ..kernels::attention::Params::fused(1, n, heads, self.config.head_width())
        };
        let qkv = &self.wide;
        attention(&params, qkv, qkv, qkv, counts.then_some(&self.size), &mut self.narrow);
        let onto = Epilogue { residual: Some(&self.x), ..Default::default() };
        linear(&p.proj, Activation::NONE, n, &self.narrow, onto, &mut self.x_next);
        swap(&mut self.x, &mut self.x_next);
        trace("attn", Value::F32(self.x()));

        match r {
            0 => self.norm(None),
            r => self.merge(index, r, trace),
        }
        let n = self.tokens;
        trace("size", Value::F32(&self.size[..n as usize]));

        let activation = self.config.activation;
        match &p.gate {
            Some(gate) => {
                linear(gate, activation, n, &self.narrow, Epilogue::default(), &mut self.gate);
                let by_gate = Epilogue { gate: Some(&self.gate), ..Default::default() };
                linear(&p.fc1, Activation::NONE, n, &self.narrow, by_gate, &mut self.wide);
            }
            None => linear(&p.fc1, activation, n, &self.narrow, Epilogue::default(), &mut self.wide),
        }
        let onto = Epilogue { residual: Some(&self.x), ..Default::default() };
        linear(&p.fc2, Activation::NONE, n, &self.wide, onto, &mut self.x_next);
        swap(&mut self.x, &mut self.x_next);
        trace("tokens", Value::F32(self.x()));
    }

    /// r tokens of the residual stream disappear, by what attention left in `wide`, or by the residual stream before
    /// (which `x_next` still holds) or after attention. What is left is in `narrow` too, normalised.
    fn merge(&mut self, block: u32, r: u32, trace: &mut Trace<'_>) {
        let (n, c) = (self.tokens, self.config.embed_dim);
        let Options { metric: by, similarity, partition, merge: mode, .. } = *self.options;
        let protect = self.options.protected(self.config);
        let width = by.width(self.config);

        let unit = (similarity == Similarity::COSINE).into();
        let rows =
            kernels::key_metric::Params { rows: n, heads: 1, head_width: c, stride: c, start: 0, unit };
        let (params, from) = match by {
            Metric::Input => (rows, &self.x_next),
            Metric::Attention => (rows, &self.x),
            Metric::Keys | Metric::Queries | Metric::Values => {
                let (heads, start) = (self.config.num_heads, by.of_projection().unwrap_or(0) * c);
                let params =
                    kernels::key_metric::Params { heads, head_width: width, stride: 3 * c, start, ..rows };
                (params, &self.wide)
            }
        };
        let mut metric = vec![0.0; n as usize * width as usize];
        key_metric(&params, from, &mut metric);
        trace("metric", Value::F32(&metric));

        let listed = partition.in_block(block).split(1, n, protect, r);
        let split = listed.map(|params| {
            let mut split = vec![0; n as usize];
            split_tokens(&kernels::split_tokens::Params { first: self.image, ..params }, &mut split);
            trace("split", Value::U32(&split));
            split
        });
        let split = split.as_deref();
        let srcs = listed.map_or(n.div_ceil(2), |params| params.srcs);

        let (mut score, mut best) = (vec![0.0; srcs as usize], vec![0; srcs as usize]);
        let params = kernels::find_matches::Params {
            batch: 1,
            tokens: n,
            width,
            protect,
            similarity,
            srcs,
            ..Default::default()
        };
        find_matches(&params, &metric, split, &mut score, &mut best);
        trace("score", Value::F32(&score));
        trace("best", Value::U32(&best));

        let params =
            kernels::rank_matches::Params { batch: 1, tokens: n, r, protect, srcs, ..Default::default() };
        let (mut rank, mut plan) = (vec![0; srcs as usize], vec![0; params.plan_len() as usize]);
        rank_matches(&params, &score, &best, split, &mut rank, &mut plan);
        trace("rank", Value::U32(&rank));
        trace("plan", Value::U32(&plan));

        let sources = self.config.tokens();
        let params = kernels::merge_tokens::Params {
            batch: 1,
            tokens: n,
            r,
            channels: c,
            sources,
            mode,
            eps: self.config.norm_eps,
            ..Default::default()
        };
        let (mut size, mut source) = (vec![0.0; (n - r) as usize], vec![0; sources as usize]);
        merge_tokens(
            &params,
            &plan,
            &self.x,
            Some(&self.size),
            Some(&self.source),
            &mut self.x_next,
            &mut size,
            &mut source,
            Some(&mut self.narrow),
        );
        swap(&mut self.x, &mut self.x_next);
        (self.size, self.source, self.tokens) = (size, source, n - r);
        trace("merged", Value::F32(self.x()));
    }

    fn embed(&mut self, p: &Parameters<Vec<f32>>, image: &[f32]) {
        let Config { image_size, patch_size, in_chans, embed_dim, .. } = *self.config;
        let params = kernels::embed_patches::Params {
            batch: 1,
            image_channels: in_chans,
            height: image_size[0],
            width: image_size[1],
            patch_height: patch_size[0],
            patch_width: patch_size[1],
            prefix: self.config.prefix(),
            channels: embed_dim,
            ..Default::default()
        };
        embed_patches(
            &params,
            image,
            None,
            &p.patch,
            &p.patch_bias,
            &p.position,
            p.first.as_deref(),
            &mut self.x,
        );
        if let Some(norm) = &p.norm_pre {
            self.norm(Some(norm));
            swap(&mut self.x, &mut self.narrow);
        }
    }

    /// q and k in `wide`, normalised in place.
    fn norm_heads(&mut self, norm: &Norm<Vec<f32>>) {
        let Config { embed_dim, num_heads: heads, norm_eps: eps, .. } = *self.config;
        let (rows, head_width) = (self.tokens, self.config.head_width());
        let params = kernels::norm_heads::Params { rows, heads, head_width, stride: 3 * embed_dim, eps };
        norm_heads(&params, &norm.weight, &norm.bias, &mut self.wide);
    }

    /// The residual stream, normalised, to `narrow`. In a block the norm's weight and bias are part of what reads it.
    pub fn norm(&mut self, norm: Option<&Norm<Vec<f32>>>) {
        let Config { embed_dim: channels, norm_eps: eps, .. } = *self.config;
        let params = kernels::layer_norm::Params { rows: self.tokens, channels, eps, ..Default::default() };
        let (weight, bias) = (norm.map(|norm| &norm.weight[..]), norm.map(|norm| &norm.bias[..]));
        layer_norm(&params, &self.x, weight, bias, &mut self.narrow);
    }

    /// The part of the residual stream that is in use.
    fn x(&self) -> &[f32] {
        &self.x[..self.tokens as usize * self.config.embed_dim as usize]
    }
}

/// What follows a product.
#[derive(Clone, Copy, Default)]
pub(super) struct Epilogue<'a> {
    pub gate: Option<&'a [f32]>,
    pub residual: Option<&'a [f32]>,
}

/// A linear layer whose weight has been turned to `[inner, columns]`.
pub(super) fn linear(
    p: &Linear<Vec<f32>>,
    activation: Activation,
    rows: u32,
    x: &[f32],
    Epilogue { gate, residual }: Epilogue<'_>,
    y: &mut [f32],
) {
    let params = kernels::matmul::Params {
        rows,
        inner: p.inner,
        columns: p.columns,
        activation,
        ..Default::default()
    };
    let [inner, columns] = [p.inner, p.columns].map(|v| v as usize);
    let w = Matrix::new(&p.weight, [inner, columns], columns);
    matmul::linear(&params, x, w, p.bias.as_deref(), None, gate, residual, y);
}
