//! A network's dimensions and options, after timm's `VisionTransformer`.

use super::preprocess::Preprocess;
use super::sound::Sound;
use crate::error::{Error, Result};
use crate::kernels::{Activation, embed_patches};

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

/// The way positions are brought to another grid of patches: bicubic, as each family's own code does it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PositionResample {
    /// The kernel widens where the grid shrinks (timm's `resample_abs_pos_embed`); otherwise it is four positions
    /// wide always (transformers, DINOv2).
    pub antialias: bool,
    /// Added to the new grid's sides for the scale: 0.1 in DINOv2 without registers, else 0.
    pub offset: f32,
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
    /// The MLP's kind.
    pub mlp: Mlp,
    /// Values that enter the MLP's second layer: `int(embed_dim * mlp_ratio)`, half of it where `fc1` packs a gate.
    pub mlp_hidden: u32,
    /// Whether the projection to q, k and v has a bias.
    pub qkv_bias: bool,
    /// Whether q and k are normalised over each head's values.
    pub qk_norm: bool,
    /// The way the tokens become one row.
    pub pool: Pool,
    /// Whether a class token comes first.
    pub class_token: bool,
    /// Whether a distillation token follows the class token.
    pub dist_token: bool,
    /// Register tokens behind the class and distillation tokens.
    pub reg_tokens: u32,
    /// Whether there is a table of learned positions; without it nothing is added to the tokens.
    pub pos_embed: bool,
    /// Positions are for patches only; the prefix tokens have none.
    pub no_embed_class: bool,
    /// A LayerNorm before the blocks; the patch projection has no bias then.
    pub pre_norm: bool,
    /// The final LayerNorm comes after pooling instead of before.
    pub fc_norm: bool,
    /// Whether there is a final LayerNorm at all.
    pub final_norm: bool,
    /// Whether another LayerNorm follows pooling, besides one before: part of AST's head.
    pub head_norm: bool,
    /// Whether both branches of a block are scaled per channel before they are added (`init_values`).
    pub layer_scale: bool,
    /// The MLP's activation.
    pub activation: Activation,
    /// Epsilon of every LayerNorm.
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
    /// for each band from the lowest up and a column for each window.
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

    /// Patches of an image: rows times columns, and where it has frames times so many.
    pub fn patches(&self) -> u32 {
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
        match self.mlp {
            Mlp::Plain | Mlp::GateApart => self.mlp_hidden,
            Mlp::GateFirst | Mlp::GateLast => 2 * self.mlp_hidden,
        }
    }

    /// Values of a token where it is widest: q, k and v together, or the MLP's inside.
    pub(crate) fn widest(&self) -> u32 {
        (3 * self.embed_dim).max(self.mlp_hidden).max(self.pool_hidden())
    }

    /// Values of an image.
    pub fn image_values(&self) -> usize {
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

    /// Checks that the numbers fit together and are within what the kernels do.
    ///
    /// # Errors
    /// [`Error::Config`] for nonsense, [`Error::Unsupported`] for what makes sense and is not supported.
    pub fn check(&self) -> Result<()> {
        self.check_numbers()?;
        let wrong = |field: &str, why: String| Err(Error::Config { field: field.into(), why });
        let values = [self.patch_frames, self.in_chans, self.patch_size[0], self.patch_size[1]];
        let pixels = [self.frames, self.in_chans, self.image_size[0], self.image_size[1]];
        for (field, factors) in [("in_chans * patch_size", values), ("in_chans * img_size", pixels)] {
            if factors.map(u64::from).iter().product::<u64>() > 1 << 30 {
                return wrong(field, format!("{factors:?} are too many values"));
            }
        }
        // Tables of positions are made for so many.
        if self.patches() > 1 << 20 {
            return wrong("patch_size", format!("makes {} patches, which are too many", self.patches()));
        }
        if self.patch_frames > self.frames {
            return wrong("tubelet_size", format!("{} frames of {}", self.patch_frames, self.frames));
        }
        if self.patch_size[0] > self.image_size[0] || self.patch_size[1] > self.image_size[1] {
            return wrong(
                "patch_size",
                format!("{:?} is larger than the image, {:?}", self.patch_size, self.image_size),
            );
        }
        if !self.embed_dim.is_multiple_of(self.num_heads) {
            return wrong(
                "embed_dim",
                format!("{} is not divisible by {} heads", self.embed_dim, self.num_heads),
            );
        }
        let pools_token = matches!(self.pool, Pool::Token | Pool::Distilled | Pool::TokenAndAverage);
        if pools_token && !self.class_token {
            return wrong("global_pool", "`token` needs a class token".into());
        }
        if self.pool == Pool::Prefix && self.prefix() == 0 {
            return wrong("global_pool", "there are no tokens before the patches".into());
        }
        if self.head_norm && self.fc_norm {
            return wrong("fc_norm", "is there already, instead of the norm before pooling".into());
        }
        if self.pool == Pool::Distilled && !self.dist_token {
            return wrong("global_pool", "two heads need a distillation token".into());
        }
        for eps in [Some(self.norm_eps), self.pool_eps].into_iter().flatten() {
            if !(eps.is_finite() && eps > 0.0) {
                return wrong("norm_eps", format!("{eps} is not a positive number"));
            }
        }
        self.preprocess.check(self.in_chans)?;
        if let Some(sound) = &self.sound {
            sound.check()?;
            if [self.in_chans, self.frames] != [1, 1] {
                return wrong("num_channels", "a spectrogram is one image of one channel".into());
            }
        }
        let unsupported = |field: &str, value: u32, why: &str| {
            Err(Error::Unsupported { field: field.into(), value: value.to_string(), why: why.into() })
        };
        if !self.head_width().is_multiple_of(4) || self.head_width() > 128 {
            return unsupported(
                "embed_dim / num_heads",
                self.head_width(),
                "a head is a multiple of 4 wide, 128 at most",
            );
        }
        if !self.mlp_hidden.is_multiple_of(4) {
            return unsupported(
                "embed_dim * mlp_ratio",
                self.mlp_hidden,
                "the MLP's width is a multiple of 4",
            );
        }
        Ok(())
    }

    /// The part of [`check`](Self::check) that is about single numbers: nothing is to be made in their number before.
    pub(crate) fn check_numbers(&self) -> Result<()> {
        let wrong = |field: &str, why: String| Err(Error::Config { field: field.into(), why });
        for (field, value, most) in [
            ("img_size", self.image_size[0], 1 << 16),
            ("img_size", self.image_size[1], 1 << 16),
            ("patch_size", self.patch_size[0], 1 << 12),
            ("patch_size", self.patch_size[1], 1 << 12),
            ("patch_stride", self.patch_stride.map_or(1, |stride| stride[0]), 1 << 12),
            ("patch_stride", self.patch_stride.map_or(1, |stride| stride[1]), 1 << 12),
            ("num_frames", self.frames, 1 << 12),
            ("tubelet_size", self.patch_frames, 1 << 12),
            ("in_chans", self.in_chans, 1 << 12),
            ("embed_dim", self.embed_dim, 1 << 16),
            ("depth", self.depth, 1 << 12),
            ("num_heads", self.num_heads, 1 << 16),
            ("mlp_ratio", self.mlp_hidden, 1 << 20),
        ] {
            if value == 0 || value > most {
                return wrong(field, format!("{value} is not between 1 and {most}"));
            }
        }
        if self.num_classes > 1 << 20 || self.reg_tokens > 1 << 12 {
            return wrong(
                "num_classes, reg_tokens",
                format!("{}, {} are too many", self.num_classes, self.reg_tokens),
            );
        }
        Ok(())
    }
}
