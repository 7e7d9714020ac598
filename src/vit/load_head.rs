//! The numbers behind the blocks: pooling by attention, and the heads.

use std::borrow::Cow;

use super::config::{Config, Pool};
use super::fold::Fold;
use super::load::Loader;
use super::parameters::{AttentionPool, Linear, PoolMlp, Storage};
use crate::error::Result;

impl<T, P: FnMut(&str, Storage, Cow<'_, [f32]>) -> Result<T>> Loader<'_, P> {
    /// The head that attends to all tokens.
    pub(super) fn attention_pool(&mut self, config: &Config) -> Result<AttentionPool<T>> {
        let data = |name: &str| self.floats(&format!("attn_pool.{name}"));
        let latent = data("latent")?;
        let scale = f64::from(config.embed_dim / config.heads_of_pool()).sqrt().recip();
        let query: Vec<f32> = match config.pool {
            Pool::Query => latent.iter().map(|&x| (scale * f64::from(x)) as f32).collect(),
            // The query is the same for every image, so its projection is a constant.
            _ => {
                let (weight, bias) = (data("q.weight")?, data("q.bias")?);
                let rows = weight.chunks_exact(config.embed_dim as usize).zip(&bias[..]);
                let project = |(row, &bias): (&[f32], &f32)| {
                    let products = row.iter().zip(&latent[..]).map(|(&w, &x)| f64::from(w) * f64::from(x));
                    (scale * (products.sum::<f64>() + f64::from(bias))) as f32
                };
                rows.map(project).collect()
            }
        };
        let mut linear =
            |name: &str| self.linear(&format!("attn_pool.{name}"), Storage::F32, &Fold::default());
        let (kv, proj) = (linear("kv")?, linear("proj")?);
        let mlp = match config.pool {
            Pool::Query => None,
            _ => {
                let (fc1, fc2) = (linear("mlp.fc1")?, linear("mlp.fc2")?);
                Some(PoolMlp { norm: self.norm("attn_pool.norm")?, fc1, fc2 })
            }
        };
        let query = (self.place)("attn_pool.query", Storage::F32, query.into())?;
        Ok(AttentionPool { query, kv, proj, mlp })
    }

    /// A head for each pooled row; their results add up to the logits.
    pub(super) fn heads(&mut self, config: &Config) -> Result<Vec<Linear<T>>> {
        let inner = config.embed_dim as usize;
        match config.pool {
            Pool::Token | Pool::Average | Pool::Attention | Pool::Query | Pool::Prefix => {
                Ok(vec![self.linear("head", Storage::F32, &Fold::default())?])
            }
            // The mean of two heads is the sum of their halves.
            Pool::Distilled => ["head", "head_dist"]
                .into_iter()
                .map(|name| {
                    let half = |part: &str| -> Result<Cow<'_, [f32]>> {
                        let all = self.floats(&format!("{name}.{part}"))?;
                        Ok(all.iter().map(|v| v / 2.0).collect())
                    };
                    let (weight, bias) = (half("weight")?, half("bias")?);
                    self.layer(name, Storage::F32, inner, weight, Some(bias))
                })
                .collect(),
            // A head over two rows side by side is the sum of one over each.
            Pool::TokenAndAverage => {
                let weight = self.floats("head.weight")?;
                let side = |side: usize| -> Cow<'_, [f32]> {
                    let rows = weight.chunks_exact(2 * inner);
                    rows.flat_map(|row| &row[side * inner..][..inner]).copied().collect()
                };
                let bias = self.floats("head.bias")?;
                let token = self.layer("head", Storage::F32, inner, side(0), Some(bias))?;
                Ok(vec![token, self.layer("head.average", Storage::F32, inner, side(1), None)?])
            }
        }
    }
}
