//! From a checkpoint's tensors to a network's numbers, a layer at a time.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::config::{Config, Mlp, Pool, Wiring};
use super::fold::Fold;
use super::packed::Packed;
use super::parameters::{Block, Linear, Norm, Parameters, Storage};
use super::rotary::FREQUENCIES;
use super::tensors::{Tensors, missing};
use crate::error::{Error, Result};

impl<T> Parameters<T> {
    /// Checks the config against the names and shapes of all tensors, then takes the tensors one by one and hands each,
    /// packed for the kernels, to `place` (with a name for messages and the type to store it in). A tensor is gone when
    /// the next is taken, so that beside what `place` makes there are never more than a layer's in memory.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::Unsupported`] and [`Error::Weight`] for what does not fit; what
    /// [`Tensors::tensor`] and `place` say.
    pub fn load(
        config: &Config,
        tensors: &dyn Tensors,
        place: impl FnMut(&str, Storage, Cow<'_, [f32]>) -> Result<T>,
    ) -> Result<Self> {
        config.check()?;
        tensors.check(config)?;
        let c = config.embed_dim as usize;
        let mut load = Loader { tensors, shapes: config.tensors(), place };
        let patch = load.patch(config)?;
        let there = config.packed.map(|packed| load.there(config, packed)).transpose()?;
        let base = load.base(config)?;

        let embed_norm = if config.embed_norm { Some(load.embed_norm()?) } else { None };
        let mut norm_if = |there: bool, name: &str| if there { load.norm(name).map(Some) } else { Ok(None) };
        let norm_pre = norm_if(config.pre_norm, "norm_pre")?;
        let norm = norm_if(config.final_norm && !config.fc_norm, "norm")?;
        let fc_norm = norm_if(config.final_norm && config.fc_norm || config.head_norm, "fc_norm")?;
        let scale = config.attention_scale();
        // Queries that are brought to norm lose any factor; there it is the norm's.
        let scale_of_queries = vec![scale as f32; if config.qk_norm { 0 } else { c }];
        let mut blocks = Vec::with_capacity(config.depth as usize);
        for i in 0..config.depth {
            let name = |part: &str| format!("blocks.{i}.{part}");
            let inner = |there: bool, part: &str| there.then(|| name(part));
            let norms_first = config.wiring != Wiring::PostNorm;
            let into_attention = Fold {
                scale: Some((&scale_of_queries).into()),
                ..load.norm_before(inner(norms_first, "norm1"))?
            };
            let behind_attention = load.around(inner(config.attn_norm, "attn.norm"), &name("ls1.gamma"))?;
            let behind_mlp = load.around(inner(config.mlp_norm, "mlp.norm"), &name("ls2.gamma"))?;
            let into_mlp = load.norm_before(inner(norms_first, "norm2"))?;
            let (fc1, gate) = load.mlp(config.mlp, &name("mlp"), &into_mlp)?;
            blocks.push(Block {
                qkv: load.qkv(config, i, &name("attn.qkv"), &into_attention)?,
                bias: load.bias(config, i)?,
                qk_norm: if config.qk_norm {
                    Some(load.qk_norm(config, &name("attn"), scale)?)
                } else {
                    None
                },
                proj: load.linear(&name("attn.proj"), Storage::Elem, &behind_attention)?,
                fc1,
                gate,
                fc2: load.layer_out_of_mlp(&name("mlp.fc2"), &behind_mlp)?,
                norms: match norms_first {
                    true => Vec::new(),
                    false => vec![load.norm(&name("norm1"))?, load.norm(&name("norm2"))?],
                },
            });
        }
        let pool = match config.pool {
            Pool::Attention | Pool::Query => Some(load.attention_pool(config)?),
            _ => None,
        };
        let heads = if config.num_classes > 0 { load.heads(config)? } else { Vec::new() };
        Ok(Parameters { patch, base, there, embed_norm, norm_pre, blocks, norm, fc_norm, pool, heads })
    }
}

/// Takes tensors and places what they become.
pub(super) struct Loader<'a, P> {
    tensors: &'a dyn Tensors,
    /// Of all tensors of the network.
    shapes: BTreeMap<String, Vec<usize>>,
    pub(super) place: P,
}

impl<'a, T, P: FnMut(&str, Storage, Cow<'_, [f32]>) -> Result<T>> Loader<'a, P> {
    /// A tensor's values.
    pub(super) fn floats(&self, name: &str) -> Result<Cow<'a, [f32]>> {
        let shape = self.shapes.get(name).ok_or_else(|| missing(name))?;
        let tensor = self.tensors.tensor(name)?;
        if tensor.shape != *shape || tensor.data.len() != shape.iter().product::<usize>() {
            let why = format!("has {} values in {:?} for shape {shape:?}", tensor.data.len(), tensor.shape);
            return Err(Error::Weight { name: name.into(), why });
        }
        Ok(match tensor {
            Cow::Borrowed(tensor) => tensor.data.to_f32(),
            Cow::Owned(tensor) => tensor.data.into_f32().into(),
        })
    }

    /// The projection of the patches, each row filled up to a multiple of 4.
    fn patch(&mut self, config: &Config) -> Result<T> {
        let mut weight = self.floats("patch_embed.proj.weight")?;
        if let Some(packed) = config.packed {
            let weight = self.with_table(config, packed, &weight)?;
            return (self.place)("patch_embed", Storage::Elem, weight.into());
        }
        let values = config.patch_shape().iter().product::<usize>();
        if !values.is_multiple_of(4) {
            let mut patch = Vec::with_capacity(config.embed_dim as usize * values.next_multiple_of(4));
            for row in weight.chunks_exact(values) {
                patch.extend_from_slice(row);
                patch.resize(patch.len().next_multiple_of(4), 0.0);
            }
            weight = patch.into();
        }
        (self.place)("patch_embed", Storage::Elem, weight)
    }

    /// The projection beside the table of positions, as rows of packed inputs are multiplied by both.
    fn with_table(&self, config: &Config, packed: Packed, weight: &[f32]) -> Result<Vec<f32>> {
        let (table, width) = (self.floats("pos_embed")?, config.packed_values());
        let channels = config.embed_dim as usize;
        let mut all = Vec::with_capacity(channels * config.packed_row(packed));
        for (channel, row) in weight.chunks_exact(width).enumerate() {
            all.extend_from_slice(row);
            all.extend(table.iter().skip(channel).step_by(channels));
            all.resize((channel + 1) * config.packed_row(packed), 0.0);
        }
        Ok(all)
    }

    /// A layer that takes from a packed row what says that there is a patch.
    fn there(&mut self, config: &Config, packed: Packed) -> Result<Linear<T>> {
        let mut weight = vec![0.0; config.packed_row(packed)];
        let inner = weight.len();
        weight[config.packed_values() + (packed.grid[0] * packed.grid[1]) as usize] = 1.0;
        self.layer("tome.there", Storage::F32, inner, weight.into(), None)
    }

    /// The start of each token: the tokens before the patches and the projection's bias, with their positions, as far as
    /// these do not come behind a norm.
    fn base(&mut self, config: &Config) -> Result<T> {
        let mut base = Vec::with_capacity(config.tokens() as usize * config.embed_dim as usize);
        for (there, name) in [
            (config.class_token, "cls_token"),
            (config.dist_token, "dist_token"),
            (config.reg_tokens > 0, "reg_token"),
        ] {
            if there {
                base.extend_from_slice(&self.floats(name)?);
            }
        }
        let position = match config.pos_embed && !config.embed_norm && config.packed.is_none() {
            true => self.floats("pos_embed")?,
            false => {
                let rows = config.prefix_positions() + config.patches();
                vec![0.0; rows as usize * config.embed_dim as usize].into()
            }
        };
        let (of_prefix, of_patches) =
            position.split_at(config.prefix_positions() as usize * config.embed_dim as usize);
        base.iter_mut().zip(of_prefix).for_each(|(token, place)| *token += place);
        match config.pre_norm {
            true => base.extend_from_slice(of_patches),
            false => {
                let bias = self.floats("patch_embed.proj.bias")?;
                let rows = of_patches.chunks_exact(bias.len());
                base.extend(rows.flat_map(|row| bias.iter().zip(row).map(|(bias, place)| bias + place)));
            }
        }
        (self.place)("tome.base", Storage::F32, base.into())
    }

    fn tensor(&mut self, name: &str) -> Result<T> {
        let values = self.floats(name)?;
        (self.place)(name, Storage::F32, values)
    }

    pub(super) fn norm(&mut self, name: &str) -> Result<Norm<T>> {
        let (weight, bias) = (self.tensor(&format!("{name}.weight"))?, format!("{name}.bias"));
        let bias = self.shapes.contains_key(&bias).then(|| self.tensor(&bias)).transpose()?;
        Ok(Norm { weight, bias })
    }

    /// The norm of patches and the positions that are added behind it.
    fn embed_norm(&mut self) -> Result<(Norm<T>, T)> {
        Ok((self.norm("patch_embed.norm")?, self.tensor("pos_embed")?))
    }

    /// A norm, where there is one, to be folded into what reads it.
    fn norm_before(&self, name: Option<String>) -> Result<Fold<'a>> {
        let Some(name) = name else { return Ok(Fold::default()) };
        let weight = self.floats(&format!("{name}.weight"))?;
        let bias = self.floats_if_any(&format!("{name}.bias"))?;
        Ok(Fold { norm: Some(Norm { weight, bias }), ..Fold::default() })
    }

    /// A norm before a layer, where it has one of that name, and LayerScale's gamma, where the network has one, to be
    /// folded into the layer between.
    fn around(&self, norm: Option<String>, gamma: &str) -> Result<Fold<'a>> {
        Ok(Fold { scale: self.floats_if_any(gamma)?, ..self.norm_before(norm)? })
    }

    fn floats_if_any(&self, name: &str) -> Result<Option<Cow<'a, [f32]>>> {
        self.shapes.contains_key(name).then(|| self.floats(name)).transpose()
    }

    /// A linear layer.
    pub(super) fn linear(&mut self, name: &str, storage: Storage, fold: &Fold<'_>) -> Result<Linear<T>> {
        let weight = self.floats(&format!("{name}.weight"))?;
        let bias = self.floats_if_any(&format!("{name}.bias"))?;
        let inner = self.inner(name)?;
        let (weight, bias) = fold.layer(weight, bias, inner);
        self.layer(name, storage, inner, weight, bias)
    }

    /// The projection to q, k and v.
    fn qkv(&mut self, config: &Config, block: u32, name: &str, fold: &Fold<'_>) -> Result<Linear<T>> {
        let weight = self.floats(&format!("{name}.weight"))?;
        let bias = self.floats_if_any(&format!("{name}.bias"))?;
        let inner = self.inner(name)?;
        let (weight, bias) = fold.layer(weight, bias, inner);
        let mut weight = config.each_head(block, weight, inner);
        let mut bias = bias.map(|bias| config.each_head(block, bias, 1));
        let Some(rotary) = config.rotary else { return self.layer(name, Storage::Elem, inner, weight, bias) };
        let of_qk = 2 * config.embed_dim as usize;
        rotary.neighbours(config, &mut weight.to_mut()[..of_qk * inner], inner);
        if let Some(bias) = &mut bias {
            rotary.neighbours(config, &mut bias.to_mut()[..of_qk], 1);
        }
        let learned = self.floats_if_any(FREQUENCIES)?;
        let turns = rotary.turns(config, block, learned.as_deref())?;
        let turns = (self.place)(&format!("{name}.turns"), Storage::F32, turns.into())?;
        Ok(Linear { turns: Some(turns), ..self.layer(name, Storage::Elem, inner, weight, bias)? })
    }

    /// Values in a row of a layer's weight.
    fn inner(&self, name: &str) -> Result<usize> {
        let name = format!("{name}.weight");
        self.shapes.get(&name).and_then(|shape| shape.last().copied()).ok_or_else(|| missing(&name))
    }

    /// A linear layer of rows of `inner` values.
    pub(super) fn layer(
        &mut self,
        name: &str,
        storage: Storage,
        inner: usize,
        weight: Cow<'_, [f32]>,
        bias: Option<Cow<'_, [f32]>>,
    ) -> Result<Linear<T>> {
        let columns = (weight.len() / inner) as u32;
        let weight = (self.place)(&format!("{name}.weight"), storage, weight)?;
        let bias = bias.map(|bias| (self.place)(&format!("{name}.bias"), Storage::F32, bias)).transpose()?;
        Ok(Linear { weight, bias, turns: None, columns, inner: inner as u32 })
    }

    /// q's norm and k's as one, q's with a factor.
    fn qk_norm(&mut self, config: &Config, name: &str, scale: f64) -> Result<Norm<T>> {
        let biased = self.shapes.contains_key(&format!("{name}.q_norm.bias"));
        let mut both = |part: &str| {
            let mut both = self.floats(&format!("{name}.q_norm.{part}"))?.into_owned();
            both.iter_mut().for_each(|v| *v = (scale * f64::from(*v)) as f32);
            both.extend_from_slice(&self.floats(&format!("{name}.k_norm.{part}"))?);
            if let Some(rotary) = config.rotary {
                rotary.neighbours(config, &mut both, 1);
            }
            (self.place)(&format!("{name}.qk_norm.{part}"), Storage::F32, both.into())
        };
        Ok(Norm { weight: both("weight")?, bias: if biased { Some(both("bias")?) } else { None } })
    }

    /// The layers into the MLP: the plain one, and the gate where there is one.
    fn mlp(&mut self, mlp: Mlp, name: &str, fold: &Fold<'_>) -> Result<(Linear<T>, Option<Linear<T>>)> {
        let fc1 = format!("{name}.fc1");
        let whole = |load: &mut Self, name: String| {
            let weight = load.floats(&format!("{name}.weight"))?;
            let bias = load.floats_if_any(&format!("{name}.bias"))?;
            load.layer_into_mlp(&name, weight, bias, fold)
        };
        let gate_first = match mlp {
            Mlp::Plain => return Ok((whole(self, fc1)?, None)),
            Mlp::GateApart => {
                let gate = whole(self, format!("{fc1}_g"))?;
                return Ok((whole(self, format!("{fc1}_x"))?, Some(gate)));
            }
            Mlp::GateFirst => true,
            Mlp::GateLast => false,
        };
        let mut weights = halves(self.floats(&format!("{fc1}.weight"))?);
        let [mut bias, mut gates_bias] = match self.floats_if_any(&format!("{fc1}.bias"))? {
            Some(biases) => halves(biases).map(Some),
            None => [None, None],
        };
        if gate_first {
            weights.reverse();
            (bias, gates_bias) = (gates_bias, bias);
        }
        let [weight, of_gate] = weights;
        let plain = self.layer_into_mlp(&fc1, weight, bias, fold)?;
        Ok((plain, Some(self.layer_into_mlp(&fc1, of_gate, gates_bias, fold)?)))
    }

    /// A layer into the MLP, its rows filled up with zeros to a multiple of 4: every activation but the sigmoid keeps 0, and
    /// what comes out of the MLP takes no notice.
    fn layer_into_mlp(
        &mut self,
        name: &str,
        weight: Cow<'_, [f32]>,
        bias: Option<Cow<'_, [f32]>>,
        fold: &Fold<'_>,
    ) -> Result<Linear<T>> {
        // The same for both gates in one.
        let inner = self.inner(name)?;
        let (mut weight, mut bias) = fold.layer(weight, bias, inner);
        let rows = weight.len() / inner;
        if !rows.is_multiple_of(4) {
            weight.to_mut().resize(rows.next_multiple_of(4) * inner, 0.0);
            if let Some(bias) = &mut bias {
                bias.to_mut().resize(rows.next_multiple_of(4), 0.0);
            }
        }
        self.layer(name, Storage::Elem, inner, weight, bias)
    }

    /// The layer out of the MLP, which takes that many values in.
    fn layer_out_of_mlp(&mut self, name: &str, fold: &Fold<'_>) -> Result<Linear<T>> {
        let inner = self.inner(name)?;
        if inner.is_multiple_of(4) {
            return self.linear(name, Storage::Elem, fold);
        }
        let bias = self.floats_if_any(&format!("{name}.bias"))?;
        let (weight, bias) = fold.layer(self.floats(&format!("{name}.weight"))?, bias, inner);
        let wide = inner.next_multiple_of(4);
        let mut filled = Vec::with_capacity(weight.len() / inner * wide);
        for row in weight.chunks_exact(inner) {
            filled.extend_from_slice(row);
            filled.resize(filled.len() + wide - inner, 0.0);
        }
        self.layer(name, Storage::Elem, wide, filled.into(), bias)
    }
}

/// The first rows and the last.
fn halves(rows: Cow<'_, [f32]>) -> [Cow<'_, [f32]>; 2] {
    let half = rows.len() / 2;
    match rows {
        Cow::Borrowed(rows) => {
            let (first, last) = rows.split_at(half);
            [first.into(), last.into()]
        }
        Cow::Owned(mut first) => {
            let last = first.split_off(half);
            first.shrink_to_fit();
            [first.into(), last.into()]
        }
    }
}
