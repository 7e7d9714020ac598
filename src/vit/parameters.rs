//! A network's numbers in the shapes that the kernels read, on the device or on the CPU.

use super::config::{Config, Mlp, Pool};
use super::weights::Weights;
use crate::error::Result;

/// A LayerNorm's numbers.
#[derive(Clone, Debug)]
pub struct Norm<T> {
    /// `[channels]`
    pub weight: T,
    /// `[channels]`
    pub bias: T,
}

/// A linear layer's numbers.
#[derive(Clone, Debug)]
pub struct Linear<T> {
    /// `[columns, inner]`
    pub weight: T,
    /// `[columns]`
    pub bias: Option<T>,
    /// `[columns]`: LayerScale's gamma, applied to the product and its bias.
    pub scale: Option<T>,
    /// Rows of the weight.
    pub columns: u32,
    /// Columns of the weight.
    pub inner: u32,
}

/// One block's numbers.
#[derive(Clone, Debug)]
pub struct Block<T> {
    /// Before attention.
    pub norm1: Norm<T>,
    /// To q, k and v, `[3, heads, head_width]`.
    pub qkv: Linear<T>,
    /// Of each head's values of q and of k, `[2, head_width]`.
    pub qk_norm: Option<Norm<T>>,
    /// After attention.
    pub proj: Linear<T>,
    /// Before the MLP.
    pub norm2: Norm<T>,
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
    /// `[channels]`: the learned query, already projected.
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
#[derive(Clone, Debug)]
pub struct Parameters<T> {
    /// `[channels, patch values rounded up to 4]`
    pub patch: T,
    /// `[channels]`, zero where the network has none.
    pub patch_bias: T,
    /// `[patches, channels]`
    pub position: T,
    /// `[prefix, channels]`: the tokens before the patches, their positions added.
    pub first: Option<T>,
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

        let values = (config.in_chans * config.patch_size[0] * config.patch_size[1]) as usize;
        let mut patch = Vec::with_capacity(c * values.next_multiple_of(4));
        for row in data("patch_embed.proj.weight")?.chunks_exact(values) {
            patch.extend_from_slice(row);
            patch.resize(patch.len().next_multiple_of(4), 0.0);
        }
        let no_bias = vec![0.0; c];
        let patch_bias = if config.pre_norm { &no_bias } else { data("patch_embed.proj.bias")? };

        let mut first = Vec::with_capacity(config.prefix() as usize * c);
        if config.class_token {
            first.extend_from_slice(data("cls_token")?);
        }
        if config.dist_token {
            first.extend_from_slice(data("dist_token")?);
        }
        if config.reg_tokens > 0 {
            first.extend_from_slice(data("reg_token")?);
        }
        let mut position = data("pos_embed")?;
        if !config.no_embed_class {
            let (of_prefix, of_patches) = position.split_at(first.len());
            first.iter_mut().zip(of_prefix).for_each(|(token, place)| *token += place);
            position = of_patches;
        }

        let patch = place("patch_embed", Storage::Elem, &patch)?;
        let patch_bias = place("patch_embed.bias", Storage::F32, patch_bias)?;
        let position = place("pos_embed", Storage::F32, position)?;
        let first = if first.is_empty() { None } else { Some(place("prefix", Storage::F32, &first)?) };

        let mut load = Loader { weights, place };
        let mut norm_if = |there: bool, name: &str| if there { load.norm(name).map(Some) } else { Ok(None) };
        let norm_pre = norm_if(config.pre_norm, "norm_pre")?;
        let norm = norm_if(config.final_norm && !config.fc_norm, "norm")?;
        let fc_norm = norm_if(config.final_norm && config.fc_norm, "fc_norm")?;
        let mut blocks = Vec::with_capacity(config.depth as usize);
        for i in 0..config.depth {
            let name = |part: &str| format!("blocks.{i}.{part}");
            let (fc1, gate) = load.mlp(config.mlp, &name("mlp"))?;
            blocks.push(Block {
                norm1: load.norm(&name("norm1"))?,
                qkv: load.linear(&name("attn.qkv"), Storage::Elem)?,
                qk_norm: if config.qk_norm { Some(load.qk_norm(&name("attn"))?) } else { None },
                proj: load.scaled(&name("attn.proj"), &name("ls1.gamma"))?,
                norm2: load.norm(&name("norm2"))?,
                fc1,
                gate,
                fc2: load.scaled(&name("mlp.fc2"), &name("ls2.gamma"))?,
            });
        }
        let pool = if config.pool == Pool::Attention { Some(load.attention_pool(c)?) } else { None };
        let heads = if config.num_classes > 0 { load.heads(config)? } else { Vec::new() };
        Ok(Parameters { patch, patch_bias, position, first, norm_pre, blocks, norm, fc_norm, pool, heads })
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

impl<T, P: FnMut(&str, Storage, &[f32]) -> Result<T>> Loader<'_, P> {
    fn tensor(&mut self, name: &str) -> Result<T> {
        (self.place)(name, Storage::F32, &self.weights.get(name)?.data)
    }

    fn norm(&mut self, name: &str) -> Result<Norm<T>> {
        let weight = self.tensor(&format!("{name}.weight"))?;
        Ok(Norm { weight, bias: self.tensor(&format!("{name}.bias"))? })
    }

    /// A linear layer, with a bias where the network has one.
    fn linear(&mut self, name: &str, storage: Storage) -> Result<Linear<T>> {
        let weight = self.weights.get(&format!("{name}.weight"))?;
        let (columns, inner) = (weight.shape[0] as u32, weight.shape[1] as u32);
        let weight = (self.place)(name, storage, &weight.data)?;
        let bias = self.if_there(&format!("{name}.bias"))?;
        Ok(Linear { weight, bias, scale: None, columns, inner })
    }

    /// A linear layer with LayerScale, where the network has one.
    fn scaled(&mut self, name: &str, scale: &str) -> Result<Linear<T>> {
        let scale = self.if_there(scale)?;
        Ok(Linear { scale, ..self.linear(name, Storage::Elem)? })
    }

    fn if_there(&mut self, name: &str) -> Result<Option<T>> {
        if self.weights.contains(name) { self.tensor(name).map(Some) } else { Ok(None) }
    }

    /// q's norm and k's as one.
    fn qk_norm(&mut self, name: &str) -> Result<Norm<T>> {
        let mut both = |part: &str| {
            let [q, k] = ["q_norm", "k_norm"].map(|norm| self.weights.get(&format!("{name}.{norm}.{part}")));
            (self.place)(
                &format!("{name}.qk_norm.{part}"),
                Storage::F32,
                &[q?.data.as_slice(), &k?.data].concat(),
            )
        };
        Ok(Norm { weight: both("weight")?, bias: both("bias")? })
    }

    /// The layers into the MLP: the plain one, and the gate where there is one.
    fn mlp(&mut self, mlp: Mlp, name: &str) -> Result<(Linear<T>, Option<Linear<T>>)> {
        let fc1 = format!("{name}.fc1");
        Ok(match mlp {
            Mlp::Plain => (self.linear(&fc1, Storage::Elem)?, None),
            Mlp::GateFirst => (self.half(&fc1, 1)?, Some(self.half(&fc1, 0)?)),
            Mlp::GateLast => (self.half(&fc1, 0)?, Some(self.half(&fc1, 1)?)),
            Mlp::GateApart => {
                let gate = self.linear(&format!("{fc1}_g"), Storage::Elem)?;
                (self.linear(&format!("{fc1}_x"), Storage::Elem)?, Some(gate))
            }
        })
    }

    /// One half of the rows of a linear layer.
    fn half(&mut self, name: &str, half: usize) -> Result<Linear<T>> {
        let mut part = |part: &str, storage| {
            let data = &self.weights.get(&format!("{name}.{part}"))?.data;
            let length = data.len() / 2;
            (self.place)(&format!("{name}.{part}.{half}"), storage, &data[half * length..][..length])
        };
        let (weight, bias) = (part("weight", Storage::Elem)?, Some(part("bias", Storage::F32)?));
        let shape = &self.weights.get(&format!("{name}.weight"))?.shape;
        Ok(Linear { weight, bias, scale: None, columns: shape[0] as u32 / 2, inner: shape[1] as u32 })
    }

    fn attention_pool(&mut self, channels: usize) -> Result<AttentionPool<T>> {
        // The query is the same for every image, so its projection is a constant.
        let data = |name: &str| Ok::<_, crate::Error>(&self.weights.get(&format!("attn_pool.{name}"))?.data);
        let (latent, weight, bias) = (data("latent")?, data("q.weight")?, data("q.bias")?);
        let rows = weight.chunks_exact(channels).zip(bias);
        let project = |(row, &bias): (&[f32], &f32)| {
            let product: f64 = row.iter().zip(latent).map(|(&w, &x)| f64::from(w) * f64::from(x)).sum();
            (product + f64::from(bias)) as f32
        };
        let query: Vec<f32> = rows.map(project).collect();
        Ok(AttentionPool {
            query: (self.place)("attn_pool.query", Storage::F32, &query)?,
            kv: self.linear("attn_pool.kv", Storage::F32)?,
            proj: self.linear("attn_pool.proj", Storage::F32)?,
            norm: self.norm("attn_pool.norm")?,
            fc1: self.linear("attn_pool.mlp.fc1", Storage::F32)?,
            fc2: self.linear("attn_pool.mlp.fc2", Storage::F32)?,
        })
    }

    /// A head for each pooled row; their results add up to the logits.
    fn heads(&mut self, config: &Config) -> Result<Vec<Linear<T>>> {
        let (columns, inner) = (config.num_classes, config.embed_dim);
        let mut head = |name: &str, weight: &[f32], bias: Option<&[f32]>| {
            let weight = (self.place)(&format!("{name}.weight"), Storage::F32, weight)?;
            let bias =
                bias.map(|bias| (self.place)(&format!("{name}.bias"), Storage::F32, bias)).transpose()?;
            Ok(Linear { weight, bias, scale: None, columns, inner })
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
