//! A Vision Transformer of burn's own modules, with timm's names for the weights.

use std::collections::HashMap;

use burn::module::Param;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Gelu, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::softmax;
use burn::tensor::module::attention;
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::SafeTensors;

/// timm's, for every network compared.
const NORM_EPS: f64 = 1e-6;

/// How queries meet keys.
#[derive(Clone, Copy, PartialEq)]
pub enum Attention {
    /// burn's own function, which chooses between fused kernels.
    Fused,
    /// matmul, softmax, matmul.
    Plain,
}

pub struct VisionTransformer {
    patch_embed: Conv2d,
    cls_token: Tensor<3>,
    pos_embed: Tensor<3>,
    blocks: Vec<Block>,
    norm: LayerNorm,
    head: Linear,
}

struct Block {
    norm1: LayerNorm,
    qkv: Linear,
    proj: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    heads: usize,
    attention: Attention,
}

impl VisionTransformer {
    pub fn load(file: &[u8], heads: usize, attention: Attention, device: &Device) -> Self {
        let weights = Weights::read(file, device);
        let block = |i: usize| {
            let name = |part: &str| format!("blocks.{i}.{part}");
            Block {
                norm1: weights.norm(&name("norm1")),
                qkv: weights.linear(&name("attn.qkv")),
                proj: weights.linear(&name("attn.proj")),
                norm2: weights.norm(&name("norm2")),
                fc1: weights.linear(&name("mlp.fc1")),
                fc2: weights.linear(&name("mlp.fc2")),
                heads,
                attention,
            }
        };
        let depth = (0..).take_while(|i| weights.has(&format!("blocks.{i}.norm1.weight"))).count();
        VisionTransformer {
            patch_embed: weights.conv("patch_embed.proj"),
            cls_token: weights.tensor("cls_token"),
            pos_embed: weights.tensor("pos_embed"),
            blocks: (0..depth).map(block).collect(),
            norm: weights.norm("norm"),
            head: weights.linear("head"),
        }
    }

    /// `[batch, channels, height, width]` to `[batch, classes]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let batch = images.dims()[0];
        let patches = self.patch_embed.forward(images).flatten::<3>(2, 3).swap_dims(1, 2);
        let class = self.cls_token.clone().repeat_dim(0, batch);
        let x = Tensor::cat(vec![class, patches], 1) + self.pos_embed.clone();
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        // Rows are normalised one by one: the class token's is all that the head needs.
        let class = x.narrow(1, 0, 1).squeeze_dim::<2>(1);
        self.head.forward(self.norm.forward(class))
    }
}

impl Block {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = x.clone() + self.attend(self.norm1.forward(x));
        let hidden = Gelu::new().forward(self.fc1.forward(self.norm2.forward(x.clone())));
        x + self.fc2.forward(hidden)
    }

    fn attend(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, channels] = x.dims();
        let dim = channels / self.heads;
        let split = |part: Tensor<3>| part.reshape([batch, tokens, self.heads, dim]).swap_dims(1, 2);
        let qkv = self.qkv.forward(x);
        let [q, k, v] = [0, 1, 2].map(|part| split(qkv.clone().narrow(2, part * channels, channels)));
        let y = match self.attention {
            Attention::Fused => attention(q, k, v, None, None, Default::default()),
            Attention::Plain => softmax(q.matmul(k.transpose()) * (dim as f64).powf(-0.5), 3).matmul(v),
        };
        self.proj.forward(y.swap_dims(1, 2).reshape([batch, tokens, channels]))
    }
}

/// A file's f32 tensors by name.
struct Weights<'a> {
    tensors: HashMap<String, (Vec<usize>, Vec<f32>)>,
    device: &'a Device,
}

impl<'a> Weights<'a> {
    fn read(file: &[u8], device: &'a Device) -> Self {
        let file = SafeTensors::deserialize(file).expect("a safetensors file");
        let tensor = |(name, view): (String, safetensors::tensor::TensorView)| {
            assert_eq!(view.dtype(), safetensors::Dtype::F32, "{name}");
            (name, (view.shape().to_vec(), crate::floats(view.data())))
        };
        Weights { tensors: file.tensors().into_iter().map(tensor).collect(), device }
    }

    fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    fn get(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        self.tensors.get(name).unwrap_or_else(|| panic!("no tensor {name}")).clone()
    }

    fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let (shape, values) = self.get(name);
        Tensor::from_data(TensorData::new(values, shape), self.device)
    }

    fn param<const D: usize>(&self, name: &str) -> Param<Tensor<D>> {
        Param::from_tensor(self.tensor(name))
    }

    /// PyTorch has `[out, in]`, burn `[in, out]`.
    fn linear(&self, name: &str) -> Linear {
        let (shape, values) = self.get(&format!("{name}.weight"));
        let [rows, columns] = [shape[0], shape[1]];
        let transposed: Vec<f32> = (0..columns)
            .flat_map(|c| (0..rows).map(move |r| (r, c)))
            .map(|(r, c)| values[r * columns + c])
            .collect();
        let mut linear = LinearConfig::new(columns, rows).init(self.device);
        let data = TensorData::new(transposed, [columns, rows]);
        linear.weight = Param::from_tensor(Tensor::from_data(data, self.device));
        linear.bias = Some(self.param(&format!("{name}.bias")));
        linear
    }

    fn norm(&self, name: &str) -> LayerNorm {
        let (shape, _) = self.get(&format!("{name}.weight"));
        let mut norm = LayerNormConfig::new(shape[0]).with_epsilon(NORM_EPS).init(self.device);
        norm.gamma = self.param(&format!("{name}.weight"));
        norm.beta = Some(self.param(&format!("{name}.bias")));
        norm
    }

    fn conv(&self, name: &str) -> Conv2d {
        let (shape, _) = self.get(&format!("{name}.weight"));
        let patch = [shape[2], shape[3]];
        let mut conv = Conv2dConfig::new([shape[1], shape[0]], patch).with_stride(patch).init(self.device);
        conv.weight = self.param(&format!("{name}.weight"));
        conv.bias = Some(self.param(&format!("{name}.bias")));
        conv
    }
}
