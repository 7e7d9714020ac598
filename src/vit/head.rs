//! The end of a plan: tokens to features, features to logits.

use super::buffers::Buffers;
use super::config::Config;
use super::options::PoolBy;
use super::parameters::{AttentionPool, Linear, Norm, Parameters};
use super::recorder::{Epilogue, Recorder};
use crate::error::Result;
use crate::kernels::matmul::Activation;
use crate::kernels::{self, attention, pool};

impl Recorder<'_> {
    /// Tokens to one row an image.
    fn pool(&mut self, first: u32, mode: pool::Mode, x: &wgpu::Buffer, y: &wgpu::Buffer) -> Result<()> {
        let params = pool::Params {
            batch: self.batch,
            tokens: self.tokens,
            channels: self.config.embed_dim,
            first,
            mode,
        };
        let io = pool::Io { x: x.into(), size: Some((&self.buffers.size[self.merged]).into()), y: y.into() };
        self.push(kernels::pool(&self.gpu, params, io)?);
        Ok(())
    }

    /// The residual stream, normalised, to the buffer that it is not in.
    fn norm_all(&mut self, norm: &Norm<wgpu::Buffer>) -> Result<()> {
        let x = &self.buffers.x;
        self.layer_norm(&self.gpu.clone(), Some(norm), self.rows(), &x[self.x], &x[1 - self.x])
    }

    /// One row an image, normalised.
    fn norm_row(&mut self, norm: &Norm<wgpu::Buffer>, x: &wgpu::Buffer, y: &wgpu::Buffer) -> Result<()> {
        self.layer_norm(&self.gpu.clone(), Some(norm), self.batch, x, y)
    }

    /// Final norm and pooling in the order that the pooling allows. A norm works on each token alone, so that of
    /// single tokens may wait until they are the only ones left.
    pub fn features(&mut self, p: &Parameters<wgpu::Buffer>) -> Result<()> {
        let Buffers { x, pooled, features, .. } = self.buffers;
        let poolings = self.options.pooling(self.config);
        let single = poolings.iter().all(|(_, mode)| *mode == pool::Mode::TOKEN);
        let (x, late) = match (&p.norm, single) {
            (Some(norm), false) => {
                self.norm_all(norm)?;
                (&x[1 - self.x], &p.fc_norm)
            }
            (norm, _) => (&x[self.x], if norm.is_some() { norm } else { &p.fc_norm }),
        };
        for ((first, mode), y) in poolings.into_iter().zip(features) {
            self.pool(first, mode, x, if late.is_some() { pooled } else { y })?;
            if let Some(norm) = late {
                self.norm_row(norm, pooled, y)?;
            }
        }
        self.stage("features", &features[0], u64::from(self.batch) * u64::from(self.config.embed_dim));
        Ok(())
    }

    /// Final norm, then attention of the learned query to every token, projection, and an MLP.
    pub fn attention_pool(
        &mut self,
        p: &Parameters<wgpu::Buffer>,
        pool: &AttentionPool<wgpu::Buffer>,
    ) -> Result<()> {
        let Config { embed_dim, num_heads, .. } = *self.config;
        let Buffers { x, wide, pooled, features: [features, row], size, .. } = self.buffers;
        let tokens = match &p.norm {
            Some(norm) => {
                self.norm_all(norm)?;
                &x[1 - self.x]
            }
            None => &x[self.x],
        };
        self.linear(&pool.kv, Activation::NONE, self.rows(), tokens, wide, Epilogue::default())?;
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
        let io = attention::Io {
            q: (&pool.query).into(),
            k: wide.into(),
            v: wide.into(),
            size: counts.then(|| (&size[self.merged]).into()),
            y: pooled.into(),
        };
        self.push(kernels::attention(&self.gpu, params, io)?);
        self.linear(&pool.proj, Activation::NONE, self.batch, pooled, row, Epilogue::default())?;
        self.norm_row(&pool.norm, row, pooled)?;
        self.linear(&pool.fc1, self.config.activation, self.batch, pooled, wide, Epilogue::default())?;
        let onto = Epilogue { residual: Some(row), ..Default::default() };
        let y = if p.fc_norm.is_some() { pooled } else { features };
        self.linear(&pool.fc2, Activation::NONE, self.batch, wide, y, onto)?;
        if let Some(norm) = &p.fc_norm {
            self.norm_row(norm, pooled, features)?;
        }
        self.stage("features", features, u64::from(self.batch) * u64::from(embed_dim));
        Ok(())
    }

    /// Features to logits: each head adds to what those before it gave.
    pub fn heads(&mut self, heads: &[Linear<wgpu::Buffer>]) -> Result<()> {
        let Buffers { features, logits, .. } = self.buffers;
        for (i, head) in heads.iter().enumerate() {
            let onto = Epilogue { residual: self.logits, ..Default::default() };
            self.linear(head, Activation::NONE, self.batch, &features[i], &logits[i], onto)?;
            self.logits = Some(&logits[i]);
        }
        if let Some(logits) = self.logits {
            self.stage("logits", logits, u64::from(self.batch) * u64::from(self.config.num_classes));
        }
        Ok(())
    }
}
