//! A network's dimensions and options, after timm's `VisionTransformer`.

use std::borrow::Cow;

use super::packed::Packed;
use super::preprocess::Preprocess;
use super::relative::Relative;
use super::rotary::Rotary;
use super::sound::Sound;
use crate::kernels::{Activation, NormKind, embed_patches};

/// The way the tokens become one row: timm's `global_pool`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pool {
    /// The class token.
    Token,
    /// The mean of the patch tokens.
    Average,
    /// A learned query that attends to all tokens, then an MLP: timm's `map`, SigLIP's head.
    Attention,
    /// A learned query, as it is, that attends to all tokens, then a projection: AIMv2's head.
    Query,
    /// The class token and the distillation token, each with a head of its own, whose logits are averaged:
    /// DeiT's `VisionTransformerDistilled`.
    Distilled,
    /// The class token and the mean of the patch tokens, side by side into one head: DINOv2's linear classifier.
    TokenAndAverage,
    /// The mean of the tokens before the patches: AST's class and distillation token.
    Prefix,
}

/// The MLP of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mlp {
    /// `fc2(act(fc1(x)))`, timm's `Mlp`.
    Plain,
    /// `fc2(act(a) * b)` with `a`, `b` the halves of `fc1(x)`, timm's `SwiGLUPacked`.
    GateFirst,
    /// `fc2(a * act(b))` with `a`, `b` the halves of `fc1(x)`, timm's `GluMlp`.
    GateLast,
    /// `fc2(act(fc1_g(x)) * fc1_x(x))`, timm's `SwiGLU`.
    GateApart,
}

/// How the two branches of a block stand to each other and to its norms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wiring {
    /// Attention, then the MLP, each behind a norm: timm's `Block`.
    Serial,
    /// Both of what enters the block, behind a norm: timm's `ParallelScalingBlock`. Tokens merge behind both.
    Parallel,
    /// Attention, then the MLP, each before a norm: timm's `ResPostBlock`. Such a network is run in 32 bits whatever the
    /// storage type, as nothing brings its residual stream to a size that 16 bits hold.
    PostNorm,
}

/// The way positions are brought to another grid of patches, as each family's own code does it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PositionResample {
    /// The kernel widens where the grid shrinks (timm's `resample_abs_pos_embed`); otherwise it is four positions
    /// wide always (transformers, DINOv2).
    pub antialias: bool,
    /// Added to the new grid's sides for the scale: 0.1 in DINOv2 without registers, else 0.
    pub offset: f32,
    /// Linear, from 2 positions where [`antialias`](Self::antialias) does not widen it, instead of bicubic.
    pub linear: bool,
    /// The first and last position of a side are those of the other grid: PyTorch's `align_corners`, without antialiasing.
    pub corners: bool,
    /// A grid that is no square is the corner of one that is.
    pub square: bool,
}

impl PositionResample {
    /// Bicubic, with the kernel as wide as it is, and nothing else.
    pub const BICUBIC: Self =
        PositionResample { antialias: false, offset: 0.0, linear: false, corners: false, square: false };
    /// The same with antialiasing.
    pub const ANTIALIASED: Self = PositionResample { antialias: true, ..Self::BICUBIC };
}

/// What becomes of a network's results for people: [`Session::classify`](crate::Session::classify).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scores {
    /// Logits of classes of which one applies.
    Softmax,
    /// Logits of classes each of which may apply, or of one alone: transformers' `multi_label_classification`.
    Sigmoid,
    /// No logits but an embedding or features: there are no probabilities.
    None,
}

/// A Vision Transformer: timm's arguments after defaults, overrides and derived values are resolved. To make one, start
/// from [`Config::preset`] and set what differs; [`Config::check`] says whether that is a network.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The architecture's name, for people.
    pub name: String,
    /// Height and width of the input in pixels.
    pub image_size: [u32; 2],
    /// Height and width of a patch in pixels.
    pub patch_size: [u32; 2],
    /// Pixels from one patch to the one below and to the next one; none where patches do not overlap.
    pub patch_stride: Option<[u32; 2]>,
    /// Frames of the input: 1 for pictures.
    pub frames: u32,
    /// Frames of a patch.
    pub patch_frames: u32,
    /// Pictures of any shape, where the network takes them; `image_size` is then that of its positions' table.
    pub packed: Option<Packed>,
    /// Channels of an image.
    pub in_chans: u32,
    /// Classes; 0 for a network without a head, whose logits are its features.
    pub num_classes: u32,
    /// Values in a token.
    pub embed_dim: u32,
    /// Blocks.
    pub depth: u32,
    /// Attention heads.
    pub num_heads: u32,
    /// Heads of keys and values in each block, where they are fewer: each serves as many heads of queries, one behind the
    /// other. They are multiplied when the network is loaded. Empty where there are as many.
    pub kv_heads: Vec<u32>,
    /// How the branches of a block stand to each other.
    pub wiring: Wiring,
    /// The MLP's kind.
    pub mlp: Mlp,
    /// Values that enter the MLP's second layer: `int(embed_dim * mlp_ratio)`, half of it where `fc1` packs a gate.
    pub mlp_hidden: u32,
    /// Whether the projection to q, k and v has a bias.
    pub qkv_bias: bool,
    /// Whether the projection behind attention has a bias.
    pub proj_bias: bool,
    /// Whether the layers of the MLP have a bias.
    pub mlp_bias: bool,
    /// Whether q and k are normalised over each head's values.
    pub qk_norm: bool,
    /// Whether what attention gives is normalised before its projection: `scale_attn_norm`.
    pub attn_norm: bool,
    /// Whether what enters the MLP's second layer is normalised: `scale_mlp_norm`.
    pub mlp_norm: bool,
    /// The way the tokens become one row.
    pub pool: Pool,
    /// Heads of [`Pool::Attention`], where they are not as many as the blocks'.
    pub pool_heads: Option<u32>,
    /// Hidden values of its MLP, where they are not those that [`Config::pool_hidden`] has otherwise.
    pub pool_mlp: Option<u32>,
    /// Whether a class token comes first.
    pub class_token: bool,
    /// Whether a distillation token follows the class token.
    pub dist_token: bool,
    /// Register tokens behind the class and distillation tokens.
    pub reg_tokens: u32,
    /// Whether there is a table of learned positions; without it nothing is added to the tokens.
    pub pos_embed: bool,
    /// Rotary positions, where there are some.
    pub rotary: Option<Rotary>,
    /// The bias of attention by how far apart patches lie, where there is one.
    pub relative: Option<Relative>,
    /// Positions are for patches only; the prefix tokens have none.
    pub no_embed_class: bool,
    /// Whether patches are normalised before their positions are added; there are no tokens before them then.
    pub embed_norm: bool,
    /// A norm before the blocks; the patch projection has no bias then.
    pub pre_norm: bool,
    /// Pooling counts the tokens before the patches too: `pool_include_prefix`.
    pub pool_prefix: bool,
    /// The final norm comes after pooling instead of before.
    pub fc_norm: bool,
    /// Whether there is a final norm at all.
    pub final_norm: bool,
    /// Whether another LayerNorm follows pooling, besides one before: part of AST's head.
    pub head_norm: bool,
    /// Whether both branches of a block are scaled per channel before they are added (`init_values`).
    pub layer_scale: bool,
    /// Of the two only the attention's is.
    pub attn_only_layer_scale: bool,
    /// The MLP's activation.
    pub activation: Activation,
    /// What every norm of rows is.
    pub norm: NormKind,
    /// Epsilon of every norm.
    pub norm_eps: f32,
    /// Epsilon of the LayerNorm after pooling, where it is another.
    pub pool_eps: Option<f32>,
    /// Whether attention should count merged tokens by their sizes: not in masked autoencoders that never saw merging
    /// (paper, table 1). [`Options`](super::Options) decide.
    pub prop_attn: bool,
    /// The way positions are brought to another grid.
    pub position_resample: PositionResample,
    /// The way a picture becomes the input.
    pub preprocess: Preprocess,
    /// The way a sound becomes the input, where the network listens: its image is a spectrogram then, of one channel, a row
    /// for each band from the lowest up and a column for each window, or as [`Sound::time_first`] says.
    pub sound: Option<Sound>,
    /// What the results are.
    pub scores: Scores,
    /// Names of the classes, where known.
    pub labels: Vec<String>,
}

impl Config {
    /// The network with something set otherwise: `config.with(|c| c.depth = 6)`.
    pub fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self);
        self
    }

    /// Rows and columns of patches.
    pub fn grid(&self) -> [u32; 2] {
        let along = |side: usize| {
            let (image, patch) = (self.image_size[side], self.patch_size[side]);
            let stride = self.patch_stride.map_or(patch, |stride| stride[side]);
            image.checked_sub(patch).and_then(|rest| rest.checked_div(stride)).map_or(0, |more| more + 1)
        };
        [along(0), along(1)]
    }

    /// Patches of an image: rows times columns, and where it has frames times so many; of pictures of any shape the most.
    pub fn patches(&self) -> u32 {
        if let Some(packed) = self.packed {
            return packed.patches;
        }
        let [rows, columns] = self.grid();
        self.patch_times() * rows * columns
    }

    /// Grids of patches of an image, one behind the other in time; 1 where it has no frames.
    pub fn patch_times(&self) -> u32 {
        self.frames.checked_div(self.patch_frames).unwrap_or(0)
    }

    /// The shape of a row of the patch projection as PyTorch has it.
    pub(crate) fn patch_shape(&self) -> Vec<usize> {
        let [height, width] = self.patch_size;
        let frames = (self.frames > 1 || self.patch_frames > 1).then_some(self.patch_frames);
        [self.in_chans].into_iter().chain(frames).chain([height, width]).map(|side| side as usize).collect()
    }

    /// The call that makes tokens of so many images.
    pub(crate) fn embedding(&self, batch: u32) -> embed_patches::Params {
        if let Some(packed) = self.packed {
            let row = self.packed_row(packed) as u32;
            let image = [1, packed.patches, row];
            return embed_patches::Params::pictures(batch, image, [1, row], self.prefix(), self.embed_dim);
        }
        let Config { in_chans, frames, patch_frames, patch_size, .. } = *self;
        let [stride_height, stride_width] = self.patch_stride.unwrap_or(patch_size);
        let image = [in_chans, self.image_size[0], self.image_size[1]];
        embed_patches::Params {
            frames,
            patch_frames,
            stride_frames: patch_frames,
            stride_height,
            stride_width,
            ..embed_patches::Params::pictures(batch, image, patch_size, self.prefix(), self.embed_dim)
        }
    }

    /// Tokens before the patches.
    pub fn prefix(&self) -> u32 {
        u32::from(self.class_token) + u32::from(self.dist_token) + self.reg_tokens
    }

    /// Tokens that enter block 0.
    pub fn tokens(&self) -> u32 {
        self.prefix() + self.patches()
    }

    /// Positions of tokens before the patches.
    pub(crate) fn prefix_positions(&self) -> u32 {
        if self.no_embed_class { 0 } else { self.prefix() }
    }

    /// Heads of keys and values in a block.
    pub(crate) fn kv_heads_of(&self, block: u32) -> u32 {
        self.kv_heads.get(block as usize).copied().unwrap_or(self.num_heads)
    }

    /// Rows of q, then of k and v of a block, of which each head of queries gets its own.
    pub(crate) fn each_head<'a>(&self, block: u32, rows: Cow<'a, [f32]>, of_row: usize) -> Cow<'a, [f32]> {
        let (heads, of_head) = (self.kv_heads_of(block), self.head_width() as usize * of_row);
        if heads == self.num_heads {
            return rows;
        }
        let (q, kv) = rows.split_at(self.embed_dim as usize * of_row);
        let mut all = q.to_vec();
        for head in kv.chunks_exact(of_head) {
            (0..self.num_heads / heads).for_each(|_| all.extend_from_slice(head));
        }
        all.into()
    }

    /// Values of a head.
    pub fn head_width(&self) -> u32 {
        self.embed_dim / self.num_heads
    }

    /// The factor of attention's scores.
    pub(crate) fn attention_scale(&self) -> f64 {
        f64::from(self.head_width()).sqrt().recip()
    }

    /// Hidden values of the MLP in the head of [`Pool::Attention`]: `int(embed_dim * mlp_ratio)`.
    pub fn pool_hidden(&self) -> u32 {
        self.pool_mlp.unwrap_or(match self.mlp {
            Mlp::Plain | Mlp::GateApart => self.mlp_hidden,
            Mlp::GateFirst | Mlp::GateLast => 2 * self.mlp_hidden,
        })
    }

    /// Heads of [`Pool::Attention`].
    pub(crate) fn heads_of_pool(&self) -> u32 {
        self.pool_heads.unwrap_or(self.num_heads)
    }

    /// The MLP's width as kernels see it: what is beyond [`mlp_hidden`](Self::mlp_hidden) is 0.
    pub(crate) fn mlp_width(&self) -> u32 {
        self.mlp_hidden.next_multiple_of(4)
    }

    /// Values of a token where it is widest: q, k and v together, or the MLP's inside.
    pub(crate) fn widest(&self) -> u32 {
        (3 * self.embed_dim).max(self.mlp_width()).max(self.pool_hidden())
    }

    /// Values of a token beside the widest: the MLP's gate, or a branch on its way through a norm.
    pub(crate) fn beside_width(&self) -> u32 {
        let gate = if self.mlp == Mlp::Plain { 0 } else { self.mlp_width() };
        if self.wiring == Wiring::PostNorm { gate.max(self.embed_dim) } else { gate }
    }

    /// Values of an image.
    pub fn image_values(&self) -> usize {
        if let Some(packed) = self.packed {
            return packed.patches as usize * self.packed_row(packed);
        }
        let [height, width] = self.image_size;
        [self.frames, self.in_chans, height, width].iter().map(|&side| side as usize).product()
    }

    /// Values of the result: classes, or channels where there is no head.
    pub fn outputs(&self) -> u32 {
        if self.num_classes > 0 { self.num_classes } else { self.embed_dim }
    }

    /// Multiplications and additions (as one) of a forward pass of one image, given the tokens that enter each
    /// block and leave the last: 4 n c² + 2 n² c for attention and 2 m c h for the MLP of each block (3 m c h with
    /// a gate), plus patch projection and head. Matching is left out; it is below half a percent.
    pub fn macs(&self, tokens_per_block: &[u32]) -> f64 {
        let c = f64::from(self.embed_dim);
        let blocks: f64 = tokens_per_block
            .windows(2)
            .map(|pair| {
                let (n, m) = (f64::from(pair[0]), f64::from(pair[1]));
                let mlp = if self.mlp == Mlp::Plain { 2.0 } else { 3.0 } * f64::from(self.mlp_hidden);
                4.0 * n * c * c + 2.0 * n * n * c + m * c * mlp
            })
            .sum();
        let patch = f64::from(self.in_chans * self.patch_frames * self.patch_size[0] * self.patch_size[1]);
        blocks + f64::from(self.patches()) * patch * c + c * f64::from(self.num_classes)
    }
}
