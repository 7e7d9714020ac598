//! Named tensors in memory.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::config::Config;
use super::tensor::Tensor;
use super::tensors::{Tensors, missing};
use crate::error::Result;

/// Tensors in memory by timm's names.
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

    /// A tensor, where there is one of this name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// A tensor to be changed, where there is one of this name.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Tensor> {
        self.tensors.get_mut(name)
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
            let data: Vec<f32> = (0..shape.iter().product()).map(|_| centre + spread * uniform()).collect();
            weights.insert(name, Tensor::new(shape, data));
        }
        weights
    }
}

impl Tensors for Weights {
    fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.get(name).map(|tensor| &tensor.shape[..])
    }

    fn tensor(&self, name: &str) -> Result<Cow<'_, Tensor>> {
        self.get(name).map(Cow::Borrowed).ok_or_else(|| missing(name))
    }
}
