//! One architecture as a row of a table, and the config that it makes.

use super::config::{Config, Mlp, Pool, PositionResample, Scores};
use super::preprocess::{Preprocess, Resample, Resize};
use crate::kernels::Activation;

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Preset {
    pub name: &'static str,
    pub size: Size,
    /// Side of a patch in pixels.
    pub patch: u32,
    /// Side of the input in pixels.
    pub pixels: u32,
    pub family: Family,
    pub picture: Picture,
    /// timm's `crop_pct`.
    pub crop: f32,
    pub classes: u32,
}

/// How large a network is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub dim: u32,
    pub depth: u32,
    pub heads: u32,
    pub mlp_ratio: f64,
}

/// Which options a network has: timm's arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    pub mlp: Mlp,
    pub activation: Activation,
    pub qkv_bias: bool,
    pub pool: Pool,
    pub class_token: bool,
    pub dist_token: bool,
    pub reg_tokens: u32,
    pub no_embed_class: bool,
    pub pre_norm: bool,
    /// None follows from the pooling.
    pub fc_norm: Option<bool>,
    pub final_norm: bool,
    pub layer_scale: bool,
    pub norm_eps: f32,
    pub position_resample: PositionResample,
}

/// How pictures were prepared, but for the crop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Picture {
    pub mean: [f32; 3],
    pub std: [f32; 3],
    pub resample: Resample,
    pub resize: Resize,
}

impl Preset {
    /// The row with every derived value.
    pub fn config(&self) -> Config {
        let Preset { name, size, patch, pixels, family, picture, crop, classes } = *self;
        // Truncated as Python's int() does it.
        let hidden = (f64::from(size.dim) * size.mlp_ratio) as u32;
        Config {
            name: name.into(),
            image_size: [pixels; 2],
            patch_size: [patch; 2],
            patch_stride: None,
            frames: 1,
            patch_frames: 1,
            in_chans: 3,
            num_classes: classes,
            embed_dim: size.dim,
            depth: size.depth,
            num_heads: size.heads,
            mlp: family.mlp,
            mlp_hidden: if family.mlp == Mlp::GateFirst { hidden / 2 } else { hidden },
            qkv_bias: family.qkv_bias,
            qk_norm: false,
            pool: family.pool,
            class_token: family.class_token,
            dist_token: family.dist_token,
            reg_tokens: family.reg_tokens,
            pos_embed: true,
            no_embed_class: family.no_embed_class,
            pre_norm: family.pre_norm,
            fc_norm: family.fc_norm.unwrap_or(family.pool == Pool::Average),
            final_norm: family.final_norm,
            head_norm: false,
            layer_scale: family.layer_scale,
            activation: family.activation,
            norm_eps: family.norm_eps,
            pool_eps: None,
            prop_attn: true,
            position_resample: family.position_resample,
            preprocess: Preprocess {
                mean: picture.mean.to_vec(),
                std: picture.std.to_vec(),
                resample: picture.resample,
                resize: picture.resize,
                floor_crop: false,
                bgr: false,
                exif: false,
                reduced: false,
                source: format!("timm's {}", self.name),
                crop,
            },
            sound: None,
            scores: if classes > 0 { Scores::Softmax } else { Scores::None },
            labels: Vec::new(),
        }
    }
}

pub(super) const fn size(dim: u32, depth: u32, heads: u32, mlp_ratio: f64) -> Size {
    Size { dim, depth, heads, mlp_ratio }
}

pub(super) const fn picture(mean: [f32; 3], std: [f32; 3]) -> Picture {
    Picture { mean, std, resample: Resample::Bicubic, resize: Resize::Shortest }
}

#[expect(clippy::too_many_arguments, reason = "a row of a table")]
pub(super) const fn row(
    name: &'static str,
    size: Size,
    patch: u32,
    pixels: u32,
    family: Family,
    picture: Picture,
    crop: f32,
    classes: u32,
) -> Preset {
    Preset { name, size, patch, pixels, family, picture, crop, classes }
}

impl Family {
    pub(super) const fn with_class_token(mut self) -> Self {
        self.class_token = true;
        self
    }

    pub(super) const fn registers(mut self, count: u32) -> Self {
        self.reg_tokens = count;
        self
    }

    /// Positions for patches only.
    pub(super) const fn unplaced(mut self) -> Self {
        self.no_embed_class = true;
        self
    }

    pub(super) const fn scaled(mut self) -> Self {
        self.layer_scale = true;
        self
    }

    pub(super) const fn tanh(mut self) -> Self {
        self.activation = Activation::GeluTanh;
        self
    }

    pub(super) const fn no_qkv_bias(mut self) -> Self {
        self.qkv_bias = false;
        self
    }

    pub(super) const fn no_final_norm(mut self) -> Self {
        self.final_norm = false;
        self
    }

    /// Positions resampled as in DINOv2's own code, before it had registers.
    pub(super) const fn offset(mut self) -> Self {
        self.position_resample = PositionResample { antialias: false, offset: 0.1 };
        self
    }
}

impl Picture {
    pub(super) const fn bilinear(mut self) -> Self {
        self.resample = Resample::Bilinear;
        self
    }

    pub(super) const fn squash(mut self) -> Self {
        self.resize = Resize::Squash;
        self
    }
}
