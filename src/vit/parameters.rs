//! A network's numbers in the shapes that the kernels read, on the device or on the CPU.

use super::config::Config;
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
    /// After attention.
    pub proj: Linear<T>,
    /// Before the MLP.
    pub norm2: Norm<T>,
    /// Into the MLP.
    pub fc1: Linear<T>,
    /// Out of the MLP.
    pub fc2: Linear<T>,
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
    /// To the classes; absent where there are none.
    pub head: Option<Linear<T>>,
}

impl<T> Parameters<T> {
    /// Checks config and weights against each other and hands every tensor, packed for the kernels, to `place`
    /// (with a name for messages).
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config), [`Error::Unsupported`](crate::Error::Unsupported) and
    /// [`Error::Weight`](crate::Error::Weight) for what does not fit; what `place` says.
    pub fn load(
        config: &Config,
        weights: &Weights,
        mut place: impl FnMut(&str, &[f32]) -> Result<T>,
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
        if config.reg_tokens > 0 {
            first.extend_from_slice(data("reg_token")?);
        }
        let mut position = data("pos_embed")?;
        if !config.no_embed_class {
            let (of_prefix, of_patches) = position.split_at(first.len());
            first.iter_mut().zip(of_prefix).for_each(|(token, place)| *token += place);
            position = of_patches;
        }

        let patch = place("patch_embed", &patch)?;
        let patch_bias = place("patch_embed.bias", patch_bias)?;
        let position = place("pos_embed", position)?;
        let first = if first.is_empty() { None } else { Some(place("prefix", &first)?) };

        let mut load = Loader { weights, place };
        let mut norm_if = |there: bool, name: &str| if there { load.norm(name).map(Some) } else { Ok(None) };
        let norm_pre = norm_if(config.pre_norm, "norm_pre")?;
        let norm = norm_if(config.final_norm && !config.fc_norm, "norm")?;
        let fc_norm = norm_if(config.final_norm && config.fc_norm, "fc_norm")?;
        let mut blocks = Vec::with_capacity(config.depth as usize);
        for i in 0..config.depth {
            let scale = |n: u32| config.layer_scale.then(|| format!("blocks.{i}.ls{n}.gamma"));
            blocks.push(Block {
                norm1: load.norm(&format!("blocks.{i}.norm1"))?,
                qkv: load.linear(&format!("blocks.{i}.attn.qkv"), config.qkv_bias, None)?,
                proj: load.linear(&format!("blocks.{i}.attn.proj"), true, scale(1))?,
                norm2: load.norm(&format!("blocks.{i}.norm2"))?,
                fc1: load.linear(&format!("blocks.{i}.mlp.fc1"), true, None)?,
                fc2: load.linear(&format!("blocks.{i}.mlp.fc2"), true, scale(2))?,
            });
        }
        let head = if config.num_classes > 0 { Some(load.linear("head", true, None)?) } else { None };
        Ok(Parameters { patch, patch_bias, position, first, norm_pre, blocks, norm, fc_norm, head })
    }
}

struct Loader<'a, P> {
    weights: &'a Weights,
    place: P,
}

impl<T, P: FnMut(&str, &[f32]) -> Result<T>> Loader<'_, P> {
    fn tensor(&mut self, name: &str) -> Result<T> {
        (self.place)(name, &self.weights.get(name)?.data)
    }

    fn norm(&mut self, name: &str) -> Result<Norm<T>> {
        let weight = self.tensor(&format!("{name}.weight"))?;
        Ok(Norm { weight, bias: self.tensor(&format!("{name}.bias"))? })
    }

    fn linear(&mut self, name: &str, has_bias: bool, scale: Option<String>) -> Result<Linear<T>> {
        let shape = &self.weights.get(&format!("{name}.weight"))?.shape;
        let (columns, inner) = (shape[0] as u32, shape[1] as u32);
        let weight = self.tensor(&format!("{name}.weight"))?;
        let bias = if has_bias { Some(self.tensor(&format!("{name}.bias"))?) } else { None };
        let scale = scale.map(|name| self.tensor(&name)).transpose()?;
        Ok(Linear { weight, bias, scale, columns, inner })
    }
}
