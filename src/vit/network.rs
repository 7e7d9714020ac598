//! The network, once, from top to bottom: the picture in the crate's documentation as calls of kernels.

use super::config::Config;
use super::engine::{Ends, Engine, Otherwise, Place, Query, Then};
use super::options::{Metric, Options, PoolBy, Rule};
use super::parameters::{AttentionPool, Block, Linear, Norm, Parameters};
use crate::error::Result;
use crate::kernels::{Activation, PoolMode, attention, layer_norm, matmul, norm_heads, pool, split_tokens};
use crate::matching::Matching;
use crate::merger::MergeShape;
use crate::partition::Partition;

/// A batch's way through a network.
pub(crate) struct Walk<'a, E: Engine> {
    engine: &'a mut E,
    p: &'a Parameters<E::Tensor>,
    config: &'a Config,
    options: &'a Options,
    /// Images.
    batch: u32,
    /// The number of the first.
    first_image: u32,
    /// Tokens an image by now.
    tokens: u32,
    /// Whether any block merges.
    merging: bool,
    /// Which of the two places holds the residual stream.
    x: usize,
    /// Merges so far.
    merged: usize,
    /// Of the tokens that there are by now.
    partition: Partition,
}

impl<'a, E: Engine> Walk<'a, E> {
    /// A batch of images, the first of which has a number among all that are run.
    pub fn new(
        engine: &'a mut E,
        p: &'a Parameters<E::Tensor>,
        (config, options): (&'a Config, &'a Options),
        (batch, first_image): (u32, u32),
    ) -> Self {
        let (tokens, merging, x, merged) = (config.tokens(), false, 0, 0);
        let partition = options.partition.on(config.grid());
        Walk { engine, p, config, options, batch, first_image, tokens, merging, x, merged, partition }
    }

    /// Image to logits, by the tokens that enter each block and leave the last.
    pub fn network(mut self, tokens: &[u32]) -> Result<Ends> {
        self.begin(tokens)?;
        (0..self.p.blocks.len()).try_for_each(|block| self.block_of(block, tokens))?;
        self.end()
    }

    /// Image to what enters the first block.
    pub fn begin(&mut self, tokens: &[u32]) -> Result<()> {
        self.merging = tokens.first() != tokens.last();
        self.embed()
    }

    /// What enters a block is in X(0), and where any have merged its sizes and map in Size(1) and Source(1): the walk goes
    /// on from there.
    #[cfg(feature = "cpu")]
    pub fn resume(&mut self, block: usize, tokens: &[u32]) {
        self.merging = tokens.first() != tokens.last();
        self.tokens = tokens[block];
        for pair in tokens[..=block].windows(2).filter(|pair| pair[1] < pair[0]) {
            self.partition =
                self.partition.after(pair[0], self.options.protected(self.config), pair[0] - pair[1]);
        }
        self.merged = usize::from(tokens[0] != tokens[block]);
    }

    /// The engine, and where the residual stream, sizes and map stand.
    #[cfg(feature = "cpu")]
    pub fn standing(&self) -> (&E, [Place; 3]) {
        (self.engine, [self.x(), Place::Size(self.merged), Place::Source(self.merged)])
    }

    /// One block, by the tokens that enter each and leave the last.
    pub fn block_of(&mut self, index: usize, tokens: &[u32]) -> Result<()> {
        self.engine.enter(Some(index as u32));
        self.block(&self.p.blocks[index], index as u32, tokens[index] - tokens[index + 1])
    }

    /// Features and logits of what the last block has left.
    pub fn end(mut self) -> Result<Ends> {
        self.engine.enter(None);

        self.engine.in_f32();
        match &self.p.pool {
            Some(pool) => self.attention_pool(pool)?,
            None => self.features()?,
        }
        self.name("features", Place::Features(0), self.batch);
        let logits = self.heads()?;
        Ok(Ends { tokens: self.x(), size: Place::Size(self.merged), logits })
    }

    /// Patches, positions, prefix tokens.
    fn embed(&mut self) -> Result<()> {
        let params = self.config.embedding(self.batch);
        self.engine.embed_patches(params, &self.p.patch, &self.p.base, self.x())?;
        if let Some(norm) = &self.p.norm_pre {
            self.engine.layer_norm(self.norm_of(self.rows()), self.x(), Some(norm), self.x_next())?;
            self.turn();
        }
        self.name("embed", self.x(), self.rows());
        Ok(())
    }

    /// Attention, merging, MLP (paper, section 3): the MLP works on what merging left. The norms' weights and biases are
    /// part of the layers that follow them, and queries come scaled.
    fn block(&mut self, p: &Block<E::Tensor>, index: u32, r: u32) -> Result<()> {
        let Config { num_heads: heads, norm_eps: eps, activation, .. } = *self.config;
        let head_width = self.config.head_width();

        self.engine.layer_norm(self.norm_of(self.rows()), self.x(), None, Place::Normed)?;
        self.linear(&p.qkv, Activation::None, Place::Normed, Then::default(), Place::Qkv)?;
        if let Some(norm) = &p.qk_norm {
            let params = norm_heads::Params::fused(self.rows(), heads, head_width, eps);
            self.engine.norm_heads(params, norm, Place::Qkv)?;
        }
        let fused = attention::Params::fused(self.batch, self.tokens, heads, head_width);
        let params = attention::Params { scale: 1.0, ..fused };
        // Before the first merge every size is 1, and ln 1 adds nothing; so all blocks share a shader.
        let size = (self.options.prop_attn && self.merging).then_some(Place::Size(self.merged));
        self.engine.attention(params, Query::Tokens, Place::Qkv, size, Place::Attended)?;
        self.add(&p.proj, Place::Attended)?;
        self.name("attn", self.x(), self.rows());

        match r {
            0 => self.engine.layer_norm(self.norm_of(self.rows()), self.x(), None, Place::Normed)?,
            r => self.merge(index, r)?,
        }

        match &p.gate {
            Some(gate) => {
                self.linear(gate, activation, Place::Normed, Then::default(), Place::Gate)?;
                let then = Then { gate: Some(Place::Gate), residual: None };
                self.linear(&p.fc1, Activation::None, Place::Normed, then, Place::Hidden)?;
            }
            None => self.linear(&p.fc1, activation, Place::Normed, Then::default(), Place::Hidden)?,
        }
        self.add(&p.fc2, Place::Hidden)?;
        self.name("tokens", self.x(), self.rows());
        Ok(())
    }

    /// r tokens of the residual stream disappear; what is left is in `Normed` too, normalised.
    fn merge(&mut self, block: u32, r: u32) -> Result<()> {
        let shape = self.merge_shape(block, r);
        let [b, n] = [self.batch, self.tokens].map(u64::from);
        let keys = match self.options.rule(block).metric {
            Metric::Keys | Metric::Queries | Metric::Values => Place::Qkv,
            // What attention was added to.
            Metric::Input => self.x_next(),
            Metric::Attention => self.x(),
            Metric::Final => {
                let norm = self.p.norm.as_ref().or(self.p.fc_norm.as_ref());
                self.engine.layer_norm(self.norm_of(self.rows()), self.x(), norm, Place::Normed)?;
                Place::Normed
            }
        };
        self.engine.key_metric(shape.key_metric(), keys)?;
        self.engine.stage("metric", Place::Metric, b * n * u64::from(shape.head_width));
        match (self.options.matching, shape.match_lines()) {
            (Matching::Bipartite, None) => self.match_bipartite(&shape)?,
            (Matching::Bipartite, Some(lines)) => self.engine.match_lines(lines)?,
            (other, _) => self.match_otherwise(other.in_block(block), &shape)?,
        }
        self.engine.stage("plan", Place::Plan, b * u64::from(shape.rank_matches().plan_len()));

        let [from, to] = [self.merged, self.merged + 1];
        let [size, size_out] = [from, to].map(Place::Size);
        self.engine.merge_tokens(shape.merge_tokens(), self.x(), size, self.x_next(), size_out)?;
        self.turn();
        self.partition = self.partition.after(shape.tokens, shape.protect, r);
        (self.merged, self.tokens) = (to, shape.tokens_out());
        self.name("merged", self.x(), self.rows());
        self.engine.stage("size", size_out, self.rows().into());
        let [source, source_out] = [from, to].map(Place::Source);
        self.engine.merge_source(shape.merge_source(), source, source_out)
    }

    /// Sources, destinations, and the best edges between them.
    fn match_bipartite(&mut self, shape: &MergeShape) -> Result<()> {
        let edges = u64::from(self.batch) * u64::from(shape.srcs());
        if let Some(params) = shape.token_energy() {
            self.engine.token_energy(params)?;
            self.engine.stage("energy", Place::Energy, u64::from(self.batch) * u64::from(self.tokens));
        }
        let list = shape.split_tokens();
        if let Some(list) = list {
            self.engine.split_tokens(split_tokens::Params { first_list: self.first_image, ..list })?;
            self.engine.stage("split", Place::Split, list.elements());
        }
        let size = (shape.by_size > 0.0 && self.merged > 0).then_some(Place::Size(self.merged));
        self.engine.find_matches(shape.find_matches(), list.is_some(), size)?;
        self.engine.stage("score", Place::Score, edges);
        self.engine.stage("best", Place::Best, edges);
        self.engine.rank_matches(shape.rank_matches(), list.is_some())?;
        self.engine.stage("rank", Place::Rank, edges);
        Ok(())
    }

    /// What the paper's matching is compared with.
    fn match_otherwise(&mut self, matching: Matching, shape: &MergeShape) -> Result<()> {
        let (heads, head_width) = (self.config.num_heads, self.config.head_width());
        let fused = attention::Params::fused(self.batch, self.tokens, heads, head_width);
        self.engine.match_otherwise(&Otherwise {
            matching,
            params: shape.otherwise(),
            first_image: self.first_image,
            attention: attention::Params { queries: 1, scale: 1.0, ..fused },
            size: self.options.prop_attn.then_some(Place::Size(self.merged)),
        })
    }

    fn merge_shape(&self, block: u32, r: u32) -> MergeShape {
        let Config { embed_dim, num_heads, depth, norm_eps: eps, .. } = *self.config;
        let Rule { metric, similarity, by_size, merge: mode } = self.options.rule(block);
        let projected = metric.of_projection();
        MergeShape {
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
            partition: self.partition.in_block(block, depth),
            similarity,
            by_size,
            mode,
            keys_in_f32: projected.is_none(),
            masked: false,
            eps,
        }
    }

    /// Final norm and pooling in the order that the pooling allows. A norm works on each token alone, so that of single
    /// tokens may wait until they are the only ones left.
    fn features(&mut self) -> Result<()> {
        let poolings = self.options.pooling(self.config);
        let single = poolings.iter().all(|(_, mode)| *mode == PoolMode::Token);
        let (x, late) = match (&self.p.norm, single) {
            (Some(norm), false) => (self.norm_all(norm)?, &self.p.fc_norm),
            (norm, _) => (self.x(), if norm.is_some() { norm } else { &self.p.fc_norm }),
        };
        for (i, (first, mode)) in poolings.into_iter().enumerate() {
            let shape = [self.batch, self.tokens, self.config.embed_dim];
            let params = pool::Params::new(shape, first, mode);
            let y = if late.is_some() { Place::Pooled } else { Place::Features(i) };
            self.engine.pool(params, x, Place::Size(self.merged), y)?;
            if let Some(norm) = late {
                self.norm_row(norm, Place::Pooled, Place::Features(i))?;
            }
        }
        Ok(())
    }

    /// Final norm, then attention of the learned query to every token, projection, and an MLP.
    fn attention_pool(&mut self, pool: &AttentionPool<E::Tensor>) -> Result<()> {
        let Config { embed_dim, num_heads, activation, .. } = *self.config;
        let tokens = match &self.p.norm {
            Some(norm) => self.norm_all(norm)?,
            None => self.x(),
        };
        self.linear(&pool.kv, Activation::None, tokens, Then::default(), Place::Qkv)?;
        let params = attention::Params {
            queries: 1,
            q_image: 0,
            q_stride: embed_dim,
            stride: 2 * embed_dim,
            k_start: 0,
            v_start: embed_dim,
            scale: 1.0,
            ..attention::Params::fused(self.batch, self.tokens, num_heads, self.config.head_width())
        };
        let counts = self.options.pool_by == PoolBy::Size && self.merged > 0;
        let size = counts.then_some(Place::Size(self.merged));
        self.engine.attention(params, Query::Learned(&pool.query), Place::Qkv, size, Place::Pooled)?;

        // Features(1) has room for one row more.
        let row = Place::Features(1);
        self.row(&pool.proj, Activation::None, Place::Pooled, None, row)?;
        self.norm_row(&pool.norm, row, Place::Pooled)?;
        self.row(&pool.fc1, activation, Place::Pooled, None, Place::Hidden)?;
        let y = if self.p.fc_norm.is_some() { Place::Pooled } else { Place::Features(0) };
        self.row(&pool.fc2, Activation::None, Place::Hidden, Some(row), y)?;
        match &self.p.fc_norm {
            Some(norm) => self.norm_row(norm, Place::Pooled, Place::Features(0)),
            None => Ok(()),
        }
    }

    /// Features to logits: each head adds to what those before it gave. Without a head the features are the result.
    fn heads(&mut self) -> Result<Place> {
        let mut logits = None;
        for (i, head) in self.p.heads.iter().enumerate() {
            let y = Place::Logits(i);
            self.row(head, Activation::None, Place::Features(i), logits, y)?;
            logits = Some(y);
        }
        let logits = logits.unwrap_or(Place::Features(0));
        self.engine.stage("logits", logits, u64::from(self.batch) * u64::from(self.config.outputs()));
        Ok(logits)
    }

    /// A linear layer of every token.
    fn linear(
        &mut self,
        linear: &Linear<E::Tensor>,
        activation: Activation,
        x: Place,
        then: Then,
        y: Place,
    ) -> Result<()> {
        let params = matmul::Params::new(self.rows(), linear.inner, linear.columns).activation(activation);
        self.engine.matmul(params, x, linear, then, y)
    }

    /// A linear layer of one row an image.
    fn row(
        &mut self,
        linear: &Linear<E::Tensor>,
        activation: Activation,
        x: Place,
        residual: Option<Place>,
        y: Place,
    ) -> Result<()> {
        let params = matmul::Params::new(self.batch, linear.inner, linear.columns).activation(activation);
        self.engine.matmul(params, x, linear, Then { gate: None, residual }, y)
    }

    /// A branch back into the residual stream.
    fn add(&mut self, linear: &Linear<E::Tensor>, x: Place) -> Result<()> {
        let then = Then { gate: None, residual: Some(self.x()) };
        self.linear(linear, Activation::None, x, then, self.x_next())?;
        self.turn();
        Ok(())
    }

    /// The residual stream, normalised, to the place that it is not in.
    fn norm_all(&mut self, norm: &Norm<E::Tensor>) -> Result<Place> {
        self.engine.layer_norm(self.norm_of(self.rows()), self.x(), Some(norm), self.x_next())?;
        Ok(self.x_next())
    }

    /// One row an image, normalised.
    fn norm_row(&mut self, norm: &Norm<E::Tensor>, x: Place, y: Place) -> Result<()> {
        self.engine.layer_norm(self.norm_of(self.batch), x, Some(norm), y)
    }

    fn norm_of(&self, rows: u32) -> layer_norm::Params {
        layer_norm::Params::new(rows, self.config.embed_dim, self.config.norm_eps)
    }

    /// Names rows of tokens.
    fn name(&mut self, name: &str, at: Place, rows: u32) {
        self.engine.stage(name, at, u64::from(rows) * u64::from(self.config.embed_dim));
    }

    fn rows(&self) -> u32 {
        self.batch * self.tokens
    }

    fn x(&self) -> Place {
        Place::X(self.x)
    }

    fn x_next(&self) -> Place {
        Place::X(1 - self.x)
    }

    fn turn(&mut self) {
        self.x = 1 - self.x;
    }
}
