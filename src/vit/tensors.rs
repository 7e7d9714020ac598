//! The tensors that a network needs, and whoever has them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::config::{Config, Mlp, Pool};
use super::rotary::{Angles, FREQUENCIES, Rotary};
use super::tensor::Tensor;
use crate::error::{Error, Result};
use crate::kernels::NormKind;

/// Tensors by timm's names, in memory ([`Weights`](super::Weights)) or in a file (`files::Checkpoint`): names and shapes
/// are known ahead, values come one tensor at a time, so that a network can be loaded without being in memory as a whole.
/// Natively it is `Send` and `Sync`.
pub trait Tensors: wgpu::WasmNotSendSync {
    /// The tensors' names in order.
    fn names(&self) -> Vec<&str>;

    /// A tensor's shape, where there is one of this name.
    fn shape(&self, name: &str) -> Option<&[usize]>;

    /// A tensor, of the shape that was promised.
    ///
    /// # Errors
    /// [`Error::Weight`] where there is none of this name, [`Error::File`] where it cannot be read.
    fn tensor(&self, name: &str) -> Result<Cow<'_, Tensor>>;

    /// Checks that exactly the network's tensors are there, each of the right shape. No values are asked for.
    ///
    /// # Errors
    /// [`Error::Weight`] for the first tensor that is missing, surplus or of another shape.
    fn check(&self, config: &Config) -> Result<()> {
        let wanted = config.tensors();
        for (name, shape) in &wanted {
            let have = self.shape(name).ok_or_else(|| missing(name))?;
            if have != shape {
                let why = format!("has shape {have:?}, and the config asks for {shape:?}");
                return Err(Error::Weight { name: name.clone(), why });
            }
        }
        match self.names().into_iter().find(|name| !wanted.contains_key(*name)) {
            Some(name) => Err(Error::Weight {
                name: name.into(),
                why: "is not part of the network in the config".into(),
            }),
            None => Ok(()),
        }
    }
}

/// The error about a tensor that is not there.
pub(crate) fn missing(name: &str) -> Error {
    Error::Weight { name: name.into(), why: "is missing".into() }
}

impl Config {
    /// The tensors of the network: timm's names and shapes.
    pub fn tensors(&self) -> BTreeMap<String, Vec<usize>> {
        let c = self.embed_dim as usize;
        let hidden = self.mlp_hidden as usize;
        let of_patches = self.packed.map_or(self.patches(), |packed| packed.grid[0] * packed.grid[1]);
        let positions = (self.prefix_positions() + of_patches) as usize;
        let mut all = BTreeMap::new();
        let mut add = |name: String, shape: &[usize]| {
            all.insert(name, shape.to_vec());
        };
        let patch = match self.packed {
            Some(_) => vec![c, self.packed_values()],
            None => [&[c][..], &self.patch_shape()].concat(),
        };
        add("patch_embed.proj.weight".into(), &patch);
        if !self.pre_norm {
            add("patch_embed.proj.bias".into(), &[c]);
        }
        if self.pos_embed {
            add("pos_embed".into(), &[1, positions, c]);
        }
        if let Some(relative) = &self.relative {
            (0..self.depth)
                .flat_map(|block| relative.tensors(self, block))
                .for_each(|(name, shape)| add(name, &shape));
        }
        if let Some(Rotary { angles: Angles::Learned, .. }) = self.rotary {
            let [depth, heads] = [self.depth, self.num_heads].map(|v| v as usize);
            add(FREQUENCIES.into(), &[2, depth, heads, c / heads / 2]);
        }
        if self.class_token {
            add("cls_token".into(), &[1, 1, c]);
        }
        if self.dist_token {
            add("dist_token".into(), &[1, 1, c]);
        }
        if self.reg_tokens > 0 {
            add("reg_token".into(), &[1, self.reg_tokens as usize, c]);
        }
        let (mut norms, mut linears) = (Vec::new(), Vec::new());
        if self.embed_norm {
            norms.push(("patch_embed.norm".to_owned(), c));
        }
        if self.pre_norm {
            norms.push(("norm_pre".to_owned(), c));
        }
        if self.final_norm {
            norms.push((if self.fc_norm { "fc_norm" } else { "norm" }.to_owned(), c));
        }
        if self.head_norm {
            norms.push(("fc_norm".to_owned(), c));
        }
        for i in 0..self.depth {
            let block = format!("blocks.{i}");
            norms.push((format!("{block}.norm1"), c));
            norms.push((format!("{block}.norm2"), c));
            let rows = c + 2 * (self.kv_heads_of(i) * self.head_width()) as usize;
            add(format!("{block}.attn.qkv.weight"), &[rows, c]);
            if self.qkv_bias {
                add(format!("{block}.attn.qkv.bias"), &[rows]);
            }
            if self.qk_norm {
                let width = self.head_width() as usize;
                norms.extend(["q_norm", "k_norm"].map(|name| (format!("{block}.attn.{name}"), width)));
            }
            if self.attn_norm {
                norms.push((format!("{block}.attn.norm"), c));
            }
            if self.mlp_norm {
                norms.push((format!("{block}.mlp.norm"), hidden));
            }
            linears.push((format!("{block}.attn.proj"), c, c, self.proj_bias));
            let mut mlp =
                |name, rows, inner| linears.push((format!("{block}.mlp.{name}"), rows, inner, self.mlp_bias));
            mlp("fc2", c, hidden);
            match self.mlp {
                Mlp::Plain => mlp("fc1", hidden, c),
                Mlp::GateFirst | Mlp::GateLast => mlp("fc1", 2 * hidden, c),
                Mlp::GateApart => {
                    mlp("fc1_g", hidden, c);
                    mlp("fc1_x", hidden, c);
                }
            }
            if self.layer_scale {
                add(format!("{block}.ls1.gamma"), &[c]);
                if !self.attn_only_layer_scale {
                    add(format!("{block}.ls2.gamma"), &[c]);
                }
            }
        }
        if self.pool == Pool::Query {
            add("attn_pool.latent".into(), &[1, 1, c]);
            linears.push(("attn_pool.kv".to_owned(), 2 * c, c, self.qkv_bias));
            linears.push(("attn_pool.proj".to_owned(), c, c, true));
        }
        if self.pool == Pool::Attention {
            add("attn_pool.latent".into(), &[1, 1, c]);
            norms.push(("attn_pool.norm".to_owned(), c));
            let hidden = self.pool_hidden() as usize;
            for (name, rows, columns) in [
                ("q", c, c),
                ("kv", 2 * c, c),
                ("proj", c, c),
                ("mlp.fc1", hidden, c),
                ("mlp.fc2", c, hidden),
            ] {
                linears.push((format!("attn_pool.{name}"), rows, columns, true));
            }
        }
        if self.num_classes > 0 {
            let classes = self.num_classes as usize;
            linears.push((
                "head".into(),
                classes,
                if self.pool == Pool::TokenAndAverage { 2 * c } else { c },
                true,
            ));
            if self.pool == Pool::Distilled {
                linears.push(("head_dist".into(), classes, c, true));
            }
        }
        for (norm, width) in norms {
            add(format!("{norm}.weight"), &[width]);
            if self.norm == NormKind::Layer {
                add(format!("{norm}.bias"), &[width]);
            }
        }
        for (name, rows, columns, biased) in linears {
            add(format!("{name}.weight"), &[rows, columns]);
            if biased {
                add(format!("{name}.bias"), &[rows]);
            }
        }
        all
    }
}
