//! The merge of a block, as calls of kernels.

use super::config::Config;
use super::engine::{Engine, Otherwise, Place};
use super::merges::BlockMerge;
use super::network::Walk;
use super::options::{Metric, Rule};
use crate::error::Result;
use crate::kernels::{attention, split_tokens};
use crate::matching::Matching;
use crate::merger::MergeShape;

impl<E: Engine> Walk<'_, E> {
    /// What attention counts tokens by: their sizes, or whether they are there at all; none where each is one token.
    pub(super) fn counts(&self, by_size: bool) -> Option<Place> {
        let padded = self.options.threshold.is_some() || self.config.packed.is_some();
        // Before the first merge every size is 1, and ln 1 adds nothing; so all blocks share a shader.
        let sized = by_size || padded && self.merged == 0;
        let place = if sized { Place::Size(self.merged) } else { Place::Mask };
        (self.merging && (by_size || padded)).then_some(place)
    }

    /// Tokens of the residual stream merge; what is left is in `Normed` too, normalised.
    pub(super) fn merge(&mut self, block: u32, merge: BlockMerge) -> Result<()> {
        let shape = self.merge_shape(block, merge);
        let [b, n] = [self.batch, self.tokens].map(u64::from);
        let keys = match self.options.rule(block).metric {
            Metric::Keys | Metric::Queries | Metric::Values => Place::Qkv,
            // What attention was added to.
            Metric::Input => self.x_next(),
            Metric::Attention => self.x(),
            Metric::Final => {
                let norm = self.p.norm.as_ref().or(self.p.fc_norm.as_ref());
                self.engine.layer_norm(self.norm_of(self.rows()), self.x(), norm, None, Place::Normed)?;
                Place::Normed
            }
        };
        let masks = shape.masks().then_some(Place::Size(self.merged));
        self.engine.key_metric(shape.key_metric(), keys, masks)?;
        self.engine.stage("metric", Place::Metric, b * n * u64::from(shape.head_width));
        match self.options.matching {
            Matching::Bipartite => self.match_bipartite(&shape)?,
            other => self.match_otherwise(other.in_block(block), &shape, block)?,
        }
        self.engine.stage("plan", Place::Plan, b * u64::from(shape.plan_len()));

        let [from, to] = [self.merged, self.merged + 1];
        let [size, size_out] = [from, to].map(Place::Size);
        let positions = self.config.counts_positions().then(|| [from, to].map(Place::Position));
        self.engine.merge_tokens(shape.merge_tokens(), self.x(), size, self.x_next(), size_out, positions)?;
        self.turn();
        self.partition = self.partition.after(shape.tokens, shape.protect, merge.gone);
        (self.merged, self.tokens) = (to, shape.tokens_out());
        self.name("merged", self.x(), self.rows());
        self.engine.stage("size", size_out, self.rows().into());
        let [source, source_out] = [from, to].map(Place::Source);
        self.engine.merge_source(shape.merge_source(), source, source_out)
    }

    /// Sources, destinations, and the best edges between them.
    fn match_bipartite(&mut self, shape: &MergeShape) -> Result<()> {
        let size = (shape.by_size > 0.0 && self.merged > 0).then_some(Place::Size(self.merged));
        if let Some(params) = shape.match_lines() {
            return self.engine.match_lines(params);
        }
        if let Some(params) = shape.match_frames() {
            return self.engine.match_frames(params, size);
        }
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
        self.engine.find_matches(shape.find_matches(), list.is_some(), size)?;
        self.engine.stage("score", Place::Score, edges);
        self.engine.stage("best", Place::Best, edges);
        match shape.choose_matches() {
            Some(params) => self.engine.choose_matches(params, Place::Size(self.merged))?,
            None => self.engine.rank_matches(shape.rank_matches(), list.is_some())?,
        }
        self.engine.stage("rank", Place::Rank, edges);
        Ok(())
    }

    /// What the paper's matching is compared with.
    fn match_otherwise(&mut self, matching: Matching, shape: &MergeShape, block: u32) -> Result<()> {
        let (heads, head_width) = (self.config.num_heads, self.config.head_width());
        let fused = attention::Params::fused(self.batch, self.tokens, heads, head_width);
        let by = Otherwise {
            matching,
            params: shape.otherwise(),
            first_image: self.first_image,
            attention: self.biased(attention::Params { queries: 1, scale: 1.0, ..fused }),
            size: self.counts(self.options.prop_attn),
        };
        self.engine.match_otherwise(&by, self.p.blocks[block as usize].bias.as_ref())
    }

    fn merge_shape(&self, block: u32, merge: BlockMerge) -> MergeShape {
        let Config { embed_dim, num_heads, depth, norm: kind, norm_eps: eps, .. } = *self.config;
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
            r: merge.r,
            threshold: self.options.threshold,
            least: merge.gone,
            protect: self.options.protected(self.config),
            sources: self.config.tokens(),
            partition: self.partition.in_block(block, depth),
            similarity,
            by_size,
            mode,
            positions: self.options.positions,
            keys_in_f32: projected.is_none(),
            masked: false,
            eps,
            kind,
        }
    }
}
