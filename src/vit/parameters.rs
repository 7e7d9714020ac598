//! A network's numbers in the shapes that the kernels read, on the device or on the CPU.

use super::config::{Config, Mlp, Pool};
use super::fold::Fold;
use super::weights::{Tensor, Weights};
use crate::error::Result;

/// A LayerNorm's numbers.
#[derive(Clone, Debug)]
pub struct Norm<T> {
    /// `[channels]`
    pub weight: T,
    /// `[channels]`
    pub bias: T,
}

/// A linear layer's numbers, with what is [folded](Parameters) into them.
#[derive(Clone, Debug)]
pub struct Linear<T> {
    /// `[columns, inner]`
    pub weight: T,
    /// `[columns]`
    pub bias: Option<T>,
    /// Rows of the weight.
    pub columns: u32,
    /// Columns of the weight.
    pub inner: u32,
}

/// One block's numbers. Its two LayerNorms have none left: they only bring rows to mean 0 and variance 1.
#[derive(Clone, Debug)]
pub struct Block<T> {
    /// To q, k and v, `[3, heads, head_width]`.
    pub qkv: Linear<T>,
    /// Of each head's values of q and of k, `[2, head_width]`.
    pub qk_norm: Option<Norm<T>>,
    /// After attention.
    pub proj: Linear<T>,
    /// Into the MLP.
    pub fc1: Linear<T>,
    /// Into the MLP's gate: the activation is its, and what `fc1` gives is multiplied by it.
    pub gate: Option<Linear<T>>,
    /// Out of the MLP.
    pub fc2: Linear<T>,
}

/// The numbers of an attention-pooling head, timm's `AttentionPoolLatent`.
#[derive(Clone, Debug)]
pub struct AttentionPool<T> {
    /// `[channels]`: the learned query, already projected and scaled.
    pub query: T,
    /// To k and v, `[2, heads, head_width]`.
    pub kv: Linear<T>,
    /// After attention.
    pub proj: Linear<T>,
    /// Before the MLP.
    pub norm: Norm<T>,
    /// Into the MLP.
    pub fc1: Linear<T>,
    /// Out of the MLP.
    pub fc2: Linear<T>,
}

/// In which type a tensor is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// The variant's storage type: the weights of the blocks.
    Elem,
    /// 32-bit floats: vectors, positions, and all after the blocks.
    F32,
}

/// All of a network's numbers; `T` is a buffer on the device or a vector.
///
/// What is a constant before or behind a linear layer of a block is folded into that layer: a LayerNorm's weight and
/// bias into what reads it, LayerScale's gamma into what it scales, and attention's `head_width^-0.5` into what makes
/// the queries, so that they come out scaled.
#[derive(Clone, Debug)]
pub struct Parameters<T> {
    /// `[channels, patch values rounded up to 4]`
    pub patch: T,
    /// `[tokens, channels]`, what each token starts from: the tokens before the patches with their positions, then for
    /// each patch the projection's bias, where it has one, and the patch's position.
    pub base: T,
    /// Before the blocks.
    pub norm_pre: Option<Norm<T>>,
    /// The blocks in order.
    pub blocks: Vec<Block<T>>,
    /// After the blocks, for every token.
    pub norm: Option<Norm<T>>,
    /// After pooling.
    pub fc_norm: Option<Norm<T>>,
    /// From the tokens to one row.
    pub pool: Option<AttentionPool<T>>,
    /// To the classes, one for each pooled row, their results to be added; empty where there are none.
    pub heads: Vec<Linear<T>>,
}

impl<T> Parameters<T> {
    /// Checks config and weights against each other and hands every tensor, packed for the kernels, to `place`
    /// (with a name for messages and the type to store it in).
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config), [`Error::Unsupported`](crate::Error::Unsupported) and
    /// [`Error::Weight`](crate::Error::Weight) for what does not fit; what `place` says.
    pub fn load(
        config: &Config,
        weights: &Weights,
        mut place: impl FnMut(&str, Storage, &[f32]) -> Result<T>,
    ) -> Result<Self> {
        config.check()?;
        weights.check(config)?;
        let c = config.embed_dim as usize;
        let data = |name: &str| Ok(weights.get(name)?.data.as_slice());

        let values = config.patch_shape().iter().product::<usize>();
        let mut patch = Vec::with_capacity(c * values.next_multiple_of(4));
        for row in data("patch_embed.proj.weight")?.chunks_exact(values) {
            patch.extend_from_slice(row);
            patch.resize(patch.len().next_multiple_of(4), 0.0);
        }
        let no_bias = vec![0.0; c];
        let patch_bias = if config.pre_norm { &no_bias } else { data("patch_embed.proj.bias")? };

        let mut base = Vec::with_capacity(config.tokens() as usize * c);
        if config.class_token {
            base.extend_from_slice(data("cls_token")?);
        }
        if config.dist_token {
            base.extend_from_slice(data("dist_token")?);
        }
        if config.reg_tokens > 0 {
            base.extend_from_slice(data("reg_token")?);
        }
        let mut position = data("pos_embed")?;
        if !config.no_embed_class {
            let (of_prefix, of_patches) = position.split_at(base.len());
            base.iter_mut().zip(of_prefix).for_each(|(token, place)| *token += place);
            position = of_patches;
        }
        for place in position.chunks_exact(c) {
            base.extend(patch_bias.iter().zip(place).map(|(bias, place)| bias + place));
        }

        let patch = place("patch_embed", Storage::Elem, &patch)?;
        let base = place("tome.base", Storage::F32, &base)?;

        let mut load = Loader { weights, place };
        let mut norm_if = |there: bool, name: &str| if there { load.norm(name).map(Some) } else { Ok(None) };
        let norm_pre = norm_if(config.pre_norm, "norm_pre")?;
        let norm = norm_if(config.final_norm && !config.fc_norm, "norm")?;
        let fc_norm = norm_if(config.final_norm && config.fc_norm, "fc_norm")?;
        let scale = config.attention_scale();
        // Queries that are brought to norm lose any factor; there it is the norm's.
        let scale_of_queries = vec![scale as f32; if config.qk_norm { 0 } else { c }];
        let mut blocks = Vec::with_capacity(config.depth as usize);
        for i in 0..config.depth {
            let name = |part: &str| format!("blocks.{i}.{part}");
            let into_attention = Fold { scale: Some(&scale_of_queries), ..load.norm_before(&name("norm1"))? };
            let behind_attention = load.scale_behind(&name("ls1.gamma"))?;
            let behind_mlp = load.scale_behind(&name("ls2.gamma"))?;
            let into_mlp = load.norm_before(&name("norm2"))?;
            let (fc1, gate) = load.mlp(config.mlp, &name("mlp"), into_mlp)?;
            blocks.push(Block {
                qkv: load.linear(&name("attn.qkv"), Storage::Elem, into_attention)?,
                qk_norm: if config.qk_norm { Some(load.qk_norm(&name("attn"), scale)?) } else { None },
                proj: load.linear(&name("attn.proj"), Storage::Elem, behind_attention)?,
                fc1,
                gate,
                fc2: load.linear(&name("mlp.fc2"), Storage::Elem, behind_mlp)?,
            });
        }
        let pool = if config.pool == Pool::Attention { Some(load.attention_pool(config)?) } else { None };
        let heads = if config.num_classes > 0 { load.heads(config)? } else { Vec::new() };
        Ok(Parameters { patch, base, norm_pre, blocks, norm, fc_norm, pool, heads })
    }
}

impl<T> Parameters<T> {
    /// Every linear layer.
    #[cfg(feature = "cpu")]
    pub(crate) fn linears_mut(&mut self) -> impl Iterator<Item = &mut Linear<T>> {
        let of_blocks = self
            .blocks
            .iter_mut()
            .flat_map(|b| [&mut b.qkv, &mut b.proj, &mut b.fc1, &mut b.fc2].into_iter().chain(&mut b.gate));
        let of_pool = self.pool.iter_mut().flat_map(|p| [&mut p.kv, &mut p.proj, &mut p.fc1, &mut p.fc2]);
        of_blocks.chain(of_pool).chain(&mut self.heads)
    }
}

struct Loader<'a, P> {
    weights: &'a Weights,
    place: P,
}

impl<'a, T, P: FnMut(&str, Storage, &[f32]) -> Result<T>> Loader<'a, P> {
    fn tensor(&mut self, name: &str) -> Result<T> {
        (self.place)(name, Storage::F32, &self.weights.get(name)?.data)
    }

    fn norm(&mut self, name: &str) -> Result<Norm<T>> {
        let weight = self.tensor(&format!("{name}.weight"))?;
        Ok(Norm { weight, bias: self.tensor(&format!("{name}.bias"))? })
    }

    /// A LayerNorm, to be folded into what reads it.
    fn norm_before(&self, name: &str) -> Result<Fold<'a>> {
        let data = |part: &str| Ok::<_, crate::Error>(&self.weights.get(&format!("{name}.{part}"))?.data[..]);
        Ok(Fold { norm: Some([data("weight")?, data("bias")?]), ..Fold::default() })
    }

    /// LayerScale's gamma, where the network has one, to be folded into what it scales.
    fn scale_behind(&self, name: &str) -> Result<Fold<'a>> {
        let there = self.weights.contains(name);
        Ok(Fold { scale: if there { Some(&self.weights.get(name)?.data) } else { None }, ..Fold::default() })
    }

    /// A linear layer.
    fn linear(&mut self, name: &str, storage: Storage, fold: Fold<'_>) -> Result<Linear<T>> {
        self.rows(name, storage, fold, 0, 1)
    }

    /// One of `parts` equal parts of a linear layer's rows.
    fn rows(
        &mut self,
        name: &str,
        storage: Storage,
        fold: Fold<'_>,
        part: usize,
        parts: usize,
    ) -> Result<Linear<T>> {
        let of_part = |all: &'_ [f32]| -> std::ops::Range<usize> {
            let length = all.len() / parts;
            part * length..(part + 1) * length
        };
        let (weight, bias) = ([name, ".weight"].concat(), [name, ".bias"].concat());
        let Tensor { shape, data } = self.weights.get(&weight)?;
        let (columns, inner) = (shape[0] / parts, shape[1]);
        let has_bias = self.weights.contains(&bias);
        let plain = if has_bias { Some(&self.weights.get(&bias)?.data[..]) } else { None };
        let (w, b) = fold.into_layer(&data[of_part(data)], plain.map(|all| &all[of_part(all)]), inner);
        Ok(Linear {
            weight: (self.place)(&weight, storage, &w)?,
            bias: b.map(|b| (self.place)(&bias, Storage::F32, &b)).transpose()?,
            columns: columns as u32,
            inner: inner as u32,
        })
    }

    /// q's norm and k's as one, q's with a factor.
    fn qk_norm(&mut self, name: &str, scale: f64) -> Result<Norm<T>> {
        let mut both = |part: &str| {
            let [q, k] = ["q_norm", "k_norm"].map(|norm| self.weights.get(&format!("{name}.{norm}.{part}")));
            let q: Vec<f32> = q?.data.iter().map(|&v| (scale * f64::from(v)) as f32).collect();
            (self.place)(&format!("{name}.qk_norm.{part}"), Storage::F32, &[&q[..], &k?.data].concat())
        };
        Ok(Norm { weight: both("weight")?, bias: both("bias")? })
    }

    /// The layers into the MLP: the plain one, and the gate where there is one.
    fn mlp(&mut self, mlp: Mlp, name: &str, fold: Fold<'_>) -> Result<(Linear<T>, Option<Linear<T>>)> {
        let fc1 = format!("{name}.fc1");
        let mut half = |half: usize| self.rows(&fc1, Storage::Elem, fold, half, 2);
        Ok(match mlp {
            Mlp::Plain => (self.linear(&fc1, Storage::Elem, fold)?, None),
            Mlp::GateFirst => (half(1)?, Some(half(0)?)),
            Mlp::GateLast => (half(0)?, Some(half(1)?)),
            Mlp::GateApart => {
                let gate = self.linear(&format!("{fc1}_g"), Storage::Elem, fold)?;
                (self.linear(&format!("{fc1}_x"), Storage::Elem, fold)?, Some(gate))
            }
        })
    }

    fn attention_pool(&mut self, config: &Config) -> Result<AttentionPool<T>> {
        // The query is the same for every image, so its projection is a constant.
        let data = |name: &str| Ok::<_, crate::Error>(&self.weights.get(&format!("attn_pool.{name}"))?.data);
        let (latent, weight, bias) = (data("latent")?, data("q.weight")?, data("q.bias")?);
        let rows = weight.chunks_exact(config.embed_dim as usize).zip(bias);
        let scale = config.attention_scale();
        let project = |(row, &bias): (&[f32], &f32)| {
            let product: f64 = row.iter().zip(latent).map(|(&w, &x)| f64::from(w) * f64::from(x)).sum();
            (scale * (product + f64::from(bias))) as f32
        };
        let query: Vec<f32> = rows.map(project).collect();
        let mut linear =
            |name: &str| self.linear(&format!("attn_pool.{name}"), Storage::F32, Fold::default());
        let (kv, proj, fc1, fc2) = (linear("kv")?, linear("proj")?, linear("mlp.fc1")?, linear("mlp.fc2")?);
        Ok(AttentionPool {
            query: (self.place)("attn_pool.query", Storage::F32, &query)?,
            kv,
            proj,
            norm: self.norm("attn_pool.norm")?,
            fc1,
            fc2,
        })
    }

    /// A head for each pooled row; their results add up to the logits.
    fn heads(&mut self, config: &Config) -> Result<Vec<Linear<T>>> {
        let (columns, inner) = (config.num_classes, config.embed_dim);
        let mut head = |name: &str, weight: &[f32], bias: Option<&[f32]>| {
            let weight = (self.place)(&format!("{name}.weight"), Storage::F32, weight)?;
            let bias =
                bias.map(|bias| (self.place)(&format!("{name}.bias"), Storage::F32, bias)).transpose()?;
            Ok(Linear { weight, bias, columns, inner })
        };
        let data = |name: &str| Ok::<_, crate::Error>(self.weights.get(name)?.data.as_slice());
        match config.pool {
            Pool::Token | Pool::Average | Pool::Attention => {
                Ok(vec![head("head", data("head.weight")?, Some(data("head.bias")?))?])
            }
            // The mean of two heads is the sum of their halves.
            Pool::Distilled => ["head", "head_dist"]
                .into_iter()
                .map(|name| {
                    let half = |part: &str| -> Result<Vec<f32>> {
                        Ok(data(&format!("{name}.{part}"))?.iter().map(|v| v / 2.0).collect())
                    };
                    head(name, &half("weight")?, Some(&half("bias")?))
                })
                .collect(),
            // A head over two rows side by side is the sum of one over each.
            Pool::TokenAndAverage => {
                let weight = data("head.weight")?;
                let side = |side: usize| -> Vec<f32> {
                    let rows = weight.chunks_exact(2 * inner as usize);
                    rows.flat_map(|row| &row[side * inner as usize..][..inner as usize]).copied().collect()
                };
                let token = head("head", &side(0), Some(data("head.bias")?))?;
                Ok(vec![token, head("head.average", &side(1), None)?])
            }
        }
    }
}
