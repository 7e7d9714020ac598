//! A block of the network, as calls of kernels.

use super::config::{Config, Wiring};
use super::engine::{Added, Engine, Place, Query, Then};
use super::merges::BlockMerge;
use super::network::Walk;
use super::parameters::{Block, Linear, Norm};
use crate::error::Result;
use crate::kernels::{Activation, MergedPosition, attention, layer_norm, norm_heads};

impl<E: Engine> Walk<'_, E> {
    /// Attention, merging, MLP (paper, section 3): the MLP works on what merging left. The norms' weights and biases are
    /// part of the layers that follow them, and queries come scaled.
    pub(super) fn block(&mut self, p: &Block<E::Tensor>, index: u32, merge: BlockMerge) -> Result<()> {
        match self.config.wiring {
            Wiring::Serial => {
                self.norm_stream(self.x())?;
                self.attend(p, Place::Normed)?;
                self.add(&p.proj, Place::Attended)?;
                self.name("attn", self.x(), self.rows());
                match merge.r {
                    0 => self.norm_stream(self.x())?,
                    _ => self.merge(index, merge)?,
                }
                self.feed(p, Place::Normed)?;
                self.add(&p.fc2, Place::Hidden)?;
            }
            // The MLP comes first, since merging asks for the keys.
            Wiring::Parallel => {
                self.norm_stream(self.x())?;
                self.feed(p, Place::Normed)?;
                self.add(&p.fc2, Place::Hidden)?;
                // What has entered the block stands where it stood.
                self.norm_stream(self.x_next())?;
                self.attend(p, Place::Normed)?;
                self.add(&p.proj, Place::Attended)?;
                self.name("attn", self.x(), self.rows());
                if merge.r > 0 {
                    self.merge(index, merge)?;
                }
            }
            Wiring::PostNorm => {
                let [behind_attention, behind_mlp] = [0, 1].map(|i| p.norms.get(i));
                self.attend(p, self.x())?;
                self.add_normed(&p.proj, Place::Attended, behind_attention)?;
                self.name("attn", self.x(), self.rows());
                if merge.r > 0 {
                    self.merge(index, merge)?;
                }
                self.feed(p, self.x())?;
                self.add_normed(&p.fc2, Place::Hidden, behind_mlp)?;
            }
        }
        self.name("tokens", self.x(), self.rows());
        Ok(())
    }

    /// A residual stream into `Normed`.
    fn norm_stream(&mut self, x: Place) -> Result<()> {
        self.engine.layer_norm(self.norm_of(self.rows()), x, None, None, Place::Normed)
    }

    /// Queries, keys and values of what stands somewhere, and attention into `Attended`.
    fn attend(&mut self, p: &Block<E::Tensor>, x: Place) -> Result<()> {
        let Config { num_heads: heads, norm: kind, norm_eps: eps, .. } = *self.config;
        let head_width = self.config.head_width();
        // Queries and keys that are brought to norm are turned behind that.
        let position = self.position().filter(|_| p.qk_norm.is_none() && p.qkv.turns.is_some());
        let then = Then { position, ..Then::default() };
        self.linear(&p.qkv, Activation::None, x, then, Place::Qkv)?;
        if let Some(norm) = &p.qk_norm {
            let fused = norm_heads::Params::fused(self.rows(), heads, head_width, eps);
            let params = norm_heads::Params { kind, ..fused };
            let turned = self.position().zip(p.qkv.turns.as_ref());
            self.engine.norm_heads(params, Some(norm), turned, Place::Qkv)?;
        }
        let fused = attention::Params::fused(self.batch, self.tokens, heads, head_width);
        let params = self.biased(attention::Params { scale: 1.0, ..fused });
        let size = self.counts(self.options.prop_attn);
        let biased = self.position().zip(p.bias.as_ref());
        self.engine.attention(params, Query::Tokens, Place::Qkv, size, biased, Place::Attended)?;
        if self.config.attn_norm {
            self.norm_inside(Place::Attended, p.proj.inner)?;
        }
        Ok(())
    }

    /// Attention with what a bias goes by, where there is one: only merged tokens may lie between rows and columns.
    pub(super) fn biased(&self, params: attention::Params) -> attention::Params {
        let ([rows, columns], prefix) = (self.config.grid(), self.config.prefix());
        let between = u32::from(self.merged > 0 && self.options.positions == MergedPosition::Mean);
        match self.config.relative {
            Some(_) => attention::Params { prefix, rows, columns, between, ..params },
            None => params,
        }
    }

    /// The MLP of what stands somewhere, up to what its last layer reads, in `Hidden`.
    fn feed(&mut self, p: &Block<E::Tensor>, x: Place) -> Result<()> {
        let activation = self.config.activation;
        match &p.gate {
            Some(gate) => {
                self.linear(gate, activation, x, Then::default(), Place::Gate)?;
                let then = Then { gate: Some(Place::Gate), ..Then::default() };
                self.linear(&p.fc1, Activation::None, x, then, Place::Hidden)?;
            }
            None => self.linear(&p.fc1, activation, x, Then::default(), Place::Hidden)?,
        }
        if self.config.mlp_norm {
            self.norm_inside(Place::Hidden, self.config.mlp_hidden)?;
        }
        Ok(())
    }

    /// A branch back into the residual stream.
    fn add(&mut self, linear: &Linear<E::Tensor>, x: Place) -> Result<()> {
        let then = Then { residual: Some(self.x()), ..Then::default() };
        self.linear(linear, Activation::None, x, then, self.x_next())?;
        self.turn();
        Ok(())
    }

    /// A branch through a norm back into the residual stream.
    fn add_normed(
        &mut self,
        linear: &Linear<E::Tensor>,
        x: Place,
        norm: Option<&Norm<E::Tensor>>,
    ) -> Result<()> {
        self.linear(linear, Activation::None, x, Then::default(), Place::Branch)?;
        let params = layer_norm::Params { residual_rows: self.rows(), ..self.norm_of(self.rows()) };
        let added = Some(Added::Place(self.x()));
        self.engine.layer_norm(params, Place::Branch, norm, added, self.x_next())?;
        self.turn();
        Ok(())
    }

    /// What stands between two layers of a branch, normalised in its place.
    fn norm_inside(&mut self, at: Place, width: u32) -> Result<()> {
        let Config { norm: kind, norm_eps, .. } = *self.config;
        let params = norm_heads::Params { kind, ..norm_heads::Params::whole(self.rows(), width, norm_eps) };
        self.engine.norm_heads(params, None, None, at)
    }
}
