//! The end of an image's way: tokens to features, features to logits.

use super::forward::{Epilogue, Forward, linear};
use super::{attention, layer_norm, pool};
use crate::kernels;
use crate::kernels::matmul::Activation;
use crate::kernels::pool::Mode;
use crate::vit::{AttentionPool, Config, Linear, Norm, Parameters, PoolBy};

impl Forward<'_> {
    /// The first pooled row and the logits, which without a head are that row.
    pub fn head(&mut self, p: &Parameters<Vec<f32>>) -> (Vec<f32>, Vec<f32>) {
        let mut features = match &p.pool {
            Some(pool) => vec![self.attention_pool(p, pool)],
            None => self.features(p),
        };
        let logits = heads(&p.heads, &features);
        (features.swap_remove(0), logits)
    }

    /// The pooled rows, one for each head. A norm works on each token alone, so that of single tokens may wait until
    /// they are the only ones left.
    fn features(&mut self, p: &Parameters<Vec<f32>>) -> Vec<Vec<f32>> {
        let poolings = self.options.pooling(self.config);
        let (tokens, channels) = (self.tokens, self.config.embed_dim);
        let single = poolings.iter().all(|(_, mode)| *mode == Mode::TOKEN);
        let (x, late) = match (&p.norm, single) {
            (Some(norm), false) => {
                self.norm(Some(norm));
                (&self.narrow, p.fc_norm.as_ref())
            }
            (norm, _) => (&self.x, norm.as_ref().or(p.fc_norm.as_ref())),
        };
        let row = |(first, mode)| {
            let mut row = vec![0.0; channels as usize];
            let params = kernels::pool::Params { batch: 1, tokens, channels, first, mode };
            pool(&params, x, Some(&self.size), &mut row);
            match late {
                Some(norm) => self.norm_row(norm, &row),
                None => row,
            }
        };
        poolings.into_iter().map(row).collect()
    }

    /// Final norm, then attention of the learned query to every token, projection, and an MLP.
    fn attention_pool(&mut self, p: &Parameters<Vec<f32>>, pool: &AttentionPool<Vec<f32>>) -> Vec<f32> {
        let Config { embed_dim, num_heads, .. } = *self.config;
        let plain = Epilogue::default();
        let tokens = match &p.norm {
            Some(norm) => {
                self.norm(Some(norm));
                &self.narrow
            }
            None => &self.x,
        };
        linear(&pool.kv, Activation::NONE, self.tokens, tokens, plain, &mut self.wide);
        let params = kernels::attention::Params {
            queries: 1,
            q_image: 0,
            q_stride: embed_dim,
            stride: 2 * embed_dim,
            k_start: 0,
            v_start: embed_dim,
            scale: 1.0,
            ..kernels::attention::Params::fused(1, self.tokens, num_heads, self.config.head_width())
        };
        let row = || vec![0.0; embed_dim as usize];
        let (mut pooled, mut y, mut features) = (row(), row(), row());
        let size = (self.options.pool_by == PoolBy::Size).then_some(self.size.as_slice());
        attention(&params, &pool.query, &self.wide, &self.wide, size, &mut pooled);
        linear(&pool.proj, Activation::NONE, 1, &pooled, plain, &mut y);
        let normed = self.norm_row(&pool.norm, &y);
        linear(&pool.fc1, self.config.activation, 1, &normed, plain, &mut self.wide);
        let onto = Epilogue { residual: Some(&y), ..plain };
        linear(&pool.fc2, Activation::NONE, 1, &self.wide, onto, &mut features);
        match &p.fc_norm {
            Some(norm) => self.norm_row(norm, &features),
            None => features,
        }
    }

    fn norm_row(&self, norm: &Norm<Vec<f32>>, row: &[f32]) -> Vec<f32> {
        let Config { embed_dim: channels, norm_eps: eps, .. } = *self.config;
        let mut normed = vec![0.0; row.len()];
        let params = kernels::layer_norm::Params { rows: 1, channels, eps, ..Default::default() };
        layer_norm(&params, row, Some(&norm.weight), Some(&norm.bias), &mut normed);
        normed
    }
}

/// The sum of what each head makes of its row; without a head the first row itself.
fn heads(heads: &[Linear<Vec<f32>>], features: &[Vec<f32>]) -> Vec<f32> {
    let mut logits: Option<Vec<f32>> = None;
    for (head, row) in heads.iter().zip(features) {
        let mut sum = vec![0.0; head.columns as usize];
        let onto = Epilogue { residual: logits.as_deref(), ..Default::default() };
        linear(head, Activation::NONE, 1, row, onto, &mut sum);
        logits = Some(sum);
    }
    logits.unwrap_or_else(|| features[0].clone())
}
