//! The network, once, from top to bottom: the picture in the crate's documentation as calls of kernels.

use super::config::Config;
use super::engine::{Added, Ends, Engine, Place, Query, Then};
use super::merges::BlockMerge;
use super::options::{Options, PoolBy};
use super::parameters::{AttentionPool, Linear, Norm, Parameters};
use crate::error::Result;
use crate::kernels::{Activation, PoolMode, attention, layer_norm, matmul, pool};
use crate::partition::Partition;

/// A batch's way through a network.
pub(crate) struct Walk<'a, E: Engine> {
    pub(super) engine: &'a mut E,
    pub(super) p: &'a Parameters<E::Tensor>,
    pub(super) config: &'a Config,
    pub(super) options: &'a Options,
    /// Images.
    pub(super) batch: u32,
    /// The number of the first.
    pub(super) first_image: u32,
    /// Tokens an image by now.
    pub(super) tokens: u32,
    /// Whether any block merges.
    pub(super) merging: bool,
    /// Which of the two places holds the residual stream.
    pub(super) x: usize,
    /// Merges so far.
    pub(super) merged: usize,
    /// Of the tokens that there are by now.
    pub(super) partition: Partition,
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
        let partition = options.partition_of(config);
        Walk { engine, p, config, options, batch, first_image, tokens, merging, x, merged, partition }
    }

    /// Image to logits, by what merges in each block.
    pub fn network(mut self, merges: &[BlockMerge]) -> Result<Ends> {
        self.begin(merges)?;
        merges.iter().enumerate().try_for_each(|(block, &merge)| self.block_of(block, merge))?;
        self.end()
    }

    /// Image to what enters the first block.
    pub fn begin(&mut self, merges: &[BlockMerge]) -> Result<()> {
        // Padding counts from the first block on.
        self.merging = self.config.packed.is_some() || merges.iter().any(|merge| merge.r > 0);
        self.embed()
    }

    /// What enters a block is in X(0), and where any have merged its sizes, positions and map in Size(1), Position(1) and
    /// Source(1), with a threshold its mask in Mask: the walk goes on from there.
    #[cfg(feature = "blocking")]
    pub fn resume(&mut self, block: usize, merges: &[BlockMerge]) {
        self.merging = self.config.packed.is_some() || merges.iter().any(|merge| merge.r > 0);
        for merge in merges[..block].iter().filter(|merge| merge.r > 0) {
            self.partition =
                self.partition.after(self.tokens, self.options.protected(self.config), merge.gone);
            self.tokens -= merge.gone;
            self.merged = 1;
        }
    }

    /// The engine, and where the residual stream, sizes and map stand, and positions where there are some.
    #[cfg(feature = "blocking")]
    pub fn standing(&self) -> (&E, [Place; 3], Option<Place>) {
        let places = [self.x(), Place::Size(self.merged), Place::Source(self.merged)];
        (self.engine, places, self.position())
    }

    /// Where the tokens' positions stand, of a network where they count.
    pub(super) fn position(&self) -> Option<Place> {
        self.config.counts_positions().then_some(Place::Position(self.merged))
    }

    /// One block, by what merges in it.
    pub fn block_of(&mut self, index: usize, merge: BlockMerge) -> Result<()> {
        self.engine.enter(Some(index as u32));
        self.block(&self.p.blocks[index], index as u32, merge)
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
        if let (Some(packed), Some(there)) = (self.config.packed, &self.p.there) {
            self.engine.first_sizes(self.config.packed_sizes(packed, self.batch), there)?;
        }
        if let Some((norm, positions)) = &self.p.embed_norm {
            let residual_rows = self.config.patches();
            let params = layer_norm::Params { residual_rows, ..self.norm_of(self.rows()) };
            self.engine.layer_norm(
                params,
                self.x(),
                Some(norm),
                Some(Added::Row(positions)),
                self.x_next(),
            )?;
            self.turn();
        }
        if let Some(norm) = &self.p.norm_pre {
            self.engine.layer_norm(self.norm_of(self.rows()), self.x(), Some(norm), None, self.x_next())?;
            self.turn();
        }
        self.name("embed", self.x(), self.rows());
        Ok(())
    }

    /// Final norm and pooling in the order that the pooling allows. A norm works on each token alone, so that of single
    /// tokens may wait until they are the only ones left.
    fn features(&mut self) -> Result<()> {
        let poolings = self.options.pooling(self.config);
        // Where another norm follows, the final one cannot.
        let single = poolings.iter().all(|(_, mode)| *mode == PoolMode::Token) && self.p.fc_norm.is_none();
        let (x, late) = match (&self.p.norm, single) {
            (Some(norm), false) => (self.norm_all(norm)?, &self.p.fc_norm),
            (norm, _) => (self.x(), if norm.is_some() { norm } else { &self.p.fc_norm }),
        };
        let eps = self.config.pool_eps.filter(|_| self.p.fc_norm.is_some());
        for (i, (first, mode)) in poolings.into_iter().enumerate() {
            let shape = [self.batch, self.tokens, self.config.embed_dim];
            let params = pool::Params::new(shape, first, mode);
            let y = if late.is_some() { Place::Pooled } else { Place::Features(i) };
            self.engine.pool(params, x, Place::Size(self.merged), y)?;
            if let Some(norm) = late {
                self.norm_row(norm, eps, Place::Pooled, Place::Features(i))?;
            }
        }
        Ok(())
    }

    /// Final norm, then attention of the learned query to every token, projection, and an MLP if there is one.
    fn attention_pool(&mut self, pool: &AttentionPool<E::Tensor>) -> Result<()> {
        let Config { embed_dim, activation, .. } = *self.config;
        let heads = self.config.heads_of_pool();
        let tokens = match &self.p.norm {
            Some(norm) => self.norm_all(norm)?,
            None => self.x(),
        };
        self.linear(&pool.kv, Activation::None, tokens, Then::default(), Place::Qkv)?;
        let skip = if self.config.pool_prefix { 0 } else { self.config.prefix() };
        let params = attention::Params {
            skip,
            queries: 1,
            q_image: 0,
            q_stride: embed_dim,
            stride: 2 * embed_dim,
            k_start: 0,
            v_start: embed_dim,
            scale: 1.0,
            ..attention::Params::fused(self.batch, self.tokens - skip, heads, embed_dim / heads)
        };
        let size = self
            .counts(self.options.pool_by == PoolBy::Size)
            .filter(|_| self.merged > 0 || self.config.packed.is_some());
        self.engine.attention(params, Query::Learned(&pool.query), Place::Qkv, size, None, Place::Pooled)?;

        // Features(1) has room for one row more.
        let end = Place::Features(0);
        let row = if pool.mlp.is_some() || self.p.fc_norm.is_some() { Place::Features(1) } else { end };
        self.row(&pool.proj, Activation::None, Place::Pooled, None, row)?;
        let eps = self.config.pool_eps;
        let Some(mlp) = &pool.mlp else {
            return self.p.fc_norm.as_ref().map_or(Ok(()), |norm| self.norm_row(norm, eps, row, end));
        };
        self.norm_row(&mlp.norm, None, row, Place::Pooled)?;
        self.row(&mlp.fc1, activation, Place::Pooled, None, Place::Hidden)?;
        let y = if self.p.fc_norm.is_some() { Place::Pooled } else { end };
        self.row(&mlp.fc2, Activation::None, Place::Hidden, Some(row), y)?;
        self.p.fc_norm.as_ref().map_or(Ok(()), |norm| self.norm_row(norm, eps, Place::Pooled, end))
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
    pub(super) fn linear(
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
        self.engine.matmul(params, x, linear, Then { residual, ..Then::default() }, y)
    }

    /// The residual stream, normalised, to the place that it is not in.
    fn norm_all(&mut self, norm: &Norm<E::Tensor>) -> Result<Place> {
        self.engine.layer_norm(self.norm_of(self.rows()), self.x(), Some(norm), None, self.x_next())?;
        Ok(self.x_next())
    }

    /// One row an image, normalised, perhaps with an epsilon of its own.
    fn norm_row(&mut self, norm: &Norm<E::Tensor>, eps: Option<f32>, x: Place, y: Place) -> Result<()> {
        let params = self.norm_of(self.batch);
        let params = layer_norm::Params { eps: eps.unwrap_or(params.eps), ..params };
        self.engine.layer_norm(params, x, Some(norm), None, y)
    }

    pub(super) fn norm_of(&self, rows: u32) -> layer_norm::Params {
        let Config { embed_dim, norm: kind, norm_eps, .. } = *self.config;
        layer_norm::Params { kind, ..layer_norm::Params::new(rows, embed_dim, norm_eps) }
    }

    /// Names rows of tokens.
    pub(super) fn name(&mut self, name: &str, at: Place, rows: u32) {
        self.engine.stage(name, at, u64::from(rows) * u64::from(self.config.embed_dim));
    }

    pub(super) fn rows(&self) -> u32 {
        self.batch * self.tokens
    }

    pub(super) fn x(&self) -> Place {
        Place::X(self.x)
    }

    pub(super) fn x_next(&self) -> Place {
        Place::X(1 - self.x)
    }

    pub(super) fn turn(&mut self) {
        self.x = 1 - self.x;
    }
}
