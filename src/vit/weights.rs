//! Named tensors, and which ones a network needs.

use std::collections::BTreeMap;

use super::config::{Config, Mlp, Pool};
use crate::error::{Error, Result};

/// A tensor of 32-bit floats, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its values; as many as the product of the dimensions.
    pub data: Vec<f32>,
}

/// Tensors by timm's names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
}

impl Weights {
    /// No tensors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a tensor.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.tensors.insert(name.into(), tensor);
    }

    /// The tensors in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// A tensor to be changed, where there is one of this name.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Tensor> {
        self.tensors.get_mut(name)
    }

    /// A tensor that is known to be needed.
    pub(crate) fn get(&self, name: &str) -> Result<&Tensor> {
        self.tensors.get(name).ok_or_else(|| Error::Weight { name: name.into(), why: "is missing".into() })
    }

    /// Checks that exactly the network's tensors are there, each of the right shape and length.
    ///
    /// # Errors
    /// [`Error::Weight`] for the first tensor that is missing, surplus or of another shape.
    pub fn check(&self, config: &Config) -> Result<()> {
        let wanted = config.tensors();
        for (name, shape) in &wanted {
            let tensor = self.get(name)?;
            let wrong = |why: String| Err(Error::Weight { name: name.clone(), why });
            if tensor.shape != *shape {
                return wrong(format!("has shape {:?}, and the config asks for {shape:?}", tensor.shape));
            }
            if tensor.data.len() != shape.iter().product::<usize>() {
                return wrong(format!("has {} values for shape {shape:?}", tensor.data.len()));
            }
        }
        match self.tensors.keys().find(|name| !wanted.contains_key(*name)) {
            Some(name) => Err(Error::Weight {
                name: name.clone(),
                why: "is not part of the network in the config".into(),
            }),
            None => Ok(()),
        }
    }

    /// Reproducible random weights, for timing. Attention and MLP weights are drawn wider than a fresh network's,
    /// so that tokens differ as they do in a trained one.
    pub fn random(config: &Config, seed: u64) -> Self {
        let mut state = seed;
        let mut uniform = move || {
            // splitmix64
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32) * 2.0 - 1.0
        };
        let mut weights = Weights::new();
        for (name, shape) in config.tensors() {
            let fan_in = if shape.len() > 1 { shape[1..].iter().product::<usize>() } else { 1 };
            let (centre, spread) = match name.as_str() {
                n if n.contains("norm") && n.ends_with("weight") => (1.0, 0.2),
                n if n.ends_with("gamma") => (0.5, 0.2),
                n if n.ends_with("bias") => (0.0, 0.1),
                n if n.ends_with("pos_embed") || n.ends_with("token") => (0.0, 0.8),
                _ => (0.0, 3.0 / (fan_in as f32).sqrt()),
            };
            let data = (0..shape.iter().product()).map(|_| centre + spread * uniform()).collect();
            weights.insert(name, Tensor { shape, data });
        }
        weights
    }
}

impl Config {
    /// The tensors of the network: timm's names and shapes.
    pub fn tensors(&self) -> BTreeMap<String, Vec<usize>> {
        let c = self.embed_dim as usize;
        let hidden = self.mlp_hidden as usize;
        let positions = self.patches() + if self.no_embed_class { 0 } else { self.prefix() };
        let mut all = BTreeMap::new();
        let mut add = |name: String, shape: &[usize]| {
            all.insert(name, shape.to_vec());
        };
        let [height, width] = self.patch_size.map(|v| v as usize);
        add("patch_embed.proj.weight".into(), &[c, self.in_chans as usize, height, width]);
        if !self.pre_norm {
            add("patch_embed.proj.bias".into(), &[c]);
        }
        add("pos_embed".into(), &[1, positions as usize, c]);
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
        if self.pre_norm {
            norms.push("norm_pre".to_owned());
        }
        if self.final_norm {
            norms.push(if self.fc_norm { "fc_norm" } else { "norm" }.to_owned());
        }
        for i in 0..self.depth {
            let block = format!("blocks.{i}");
            norms.push(format!("{block}.norm1"));
            norms.push(format!("{block}.norm2"));
            add(format!("{block}.attn.qkv.weight"), &[3 * c, c]);
            if self.qkv_bias {
                add(format!("{block}.attn.qkv.bias"), &[3 * c]);
            }
            if self.qk_norm {
                for name in ["q_norm", "k_norm"] {
                    add(format!("{block}.attn.{name}.weight"), &[self.head_width() as usize]);
                    add(format!("{block}.attn.{name}.bias"), &[self.head_width() as usize]);
                }
            }
            linears.push((format!("{block}.attn.proj"), c, c));
            linears.push((format!("{block}.mlp.fc2"), c, hidden));
            match self.mlp {
                Mlp::Plain => linears.push((format!("{block}.mlp.fc1"), hidden, c)),
                Mlp::GateFirst | Mlp::GateLast => linears.push((format!("{block}.mlp.fc1"), 2 * hidden, c)),
                Mlp::GateApart => {
                    linears.push((format!("{block}.mlp.fc1_g"), hidden, c));
                    linears.push((format!("{block}.mlp.fc1_x"), hidden, c));
                }
            }
            if self.layer_scale {
                add(format!("{block}.ls1.gamma"), &[c]);
                add(format!("{block}.ls2.gamma"), &[c]);
            }
        }
        if self.pool == Pool::Attention {
            add("attn_pool.latent".into(), &[1, 1, c]);
            norms.push("attn_pool.norm".to_owned());
            let hidden = self.pool_hidden() as usize;
            for (name, rows, columns) in [
                ("q", c, c),
                ("kv", 2 * c, c),
                ("proj", c, c),
                ("mlp.fc1", hidden, c),
                ("mlp.fc2", c, hidden),
            ] {
                linears.push((format!("attn_pool.{name}"), rows, columns));
            }
        }
        if self.num_classes > 0 {
            let classes = self.num_classes as usize;
            linears.push((
                "head".into(),
                classes,
                if self.pool == Pool::TokenAndAverage { 2 * c } else { c },
            ));
            if self.pool == Pool::Distilled {
                linears.push(("head_dist".into(), classes, c));
            }
        }
        for norm in norms {
            add(format!("{norm}.weight"), &[c]);
            add(format!("{norm}.bias"), &[c]);
        }
        for (name, rows, columns) in linears {
            add(format!("{name}.weight"), &[rows, columns]);
            add(format!("{name}.bias"), &[rows]);
        }
        all
    }
}
