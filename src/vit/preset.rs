//! One architecture as a row of a table, and the config that it makes.

use super::autoencoder::Autoencoder;
use super::config::{Config, Mlp, Pool, PositionResample, Scores, Wiring};
use super::preprocess::{Preprocess, Resample, Resize};
use super::relative::Relative;
use super::rotary::Rotary;
use crate::kernels::{Activation, NormKind};

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
    pub wiring: Wiring,
    pub mlp: Mlp,
    pub activation: Activation,
    pub qkv_bias: bool,
    /// timm's `proj_bias`, of the MLP as well.
    pub proj_bias: bool,
    /// timm's `scale_attn_norm` and `scale_mlp_norm`.
    pub inner_norms: bool,
    pub qk_norm: bool,
    pub pool: Pool,
    pub class_token: bool,
    pub dist_token: bool,
    pub reg_tokens: u32,
    pub no_embed_class: bool,
    pub embed_norm: bool,
    pub pre_norm: bool,
    pub pool_prefix: bool,
    /// None follows from the pooling.
    pub fc_norm: Option<bool>,
    pub final_norm: bool,
    pub layer_scale: bool,
    pub norm: NormKind,
    pub norm_eps: f32,
    pub position_resample: PositionResample,
    /// Of timm's `Eva`.
    pub eva: Option<Eva>,
    /// What sees or hears something else than pictures.
    pub autoencoder: Option<Autoencoder>,
    /// Of timm's `Beit`, by a table, or `VisionTransformerRelPos`, by an MLP.
    pub relative: Option<Relative>,
}

/// What timm's `Eva` has beside what its `VisionTransformer` has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Eva {
    pub rotary: Option<Rotary>,
    pub pos_embed: bool,
    pub attn_norm: bool,
    pub mlp_norm: bool,
    pub pool_heads: Option<u32>,
    /// Of so many blocks in the middle half as many heads of keys and values as of queries.
    pub half_kv: u32,
    /// LayerScale behind attention only.
    pub attn_only_layer_scale: bool,
    /// Height and width, where they are not the row's.
    pub pixels: Option<[u32; 2]>,
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
        let packs = family.mlp == Mlp::GateFirst && family.eva.is_none();
        let of_eva = |part: fn(&Eva) -> bool| family.eva.as_ref().is_some_and(part);
        let pool_heads = family.eva.and_then(|eva| eva.pool_heads);
        let config = Config {
            name: name.into(),
            image_size: family.eva.and_then(|eva| eva.pixels).unwrap_or([pixels; 2]),
            patch_size: [patch; 2],
            patch_stride: None,
            frames: 1,
            patch_frames: 1,
            packed: None,
            in_chans: 3,
            num_classes: classes,
            embed_dim: size.dim,
            depth: size.depth,
            num_heads: size.heads,
            kv_heads: kv_heads(size, family.eva.map_or(0, |eva| eva.half_kv)),
            wiring: family.wiring,
            mlp: family.mlp,
            mlp_hidden: if packs { hidden / 2 } else { hidden },
            qkv_bias: family.qkv_bias,
            proj_bias: family.proj_bias,
            mlp_bias: family.proj_bias,
            qk_norm: family.qk_norm,
            attn_norm: family.inner_norms || of_eva(|eva| eva.attn_norm),
            mlp_norm: family.inner_norms || of_eva(|eva| eva.mlp_norm),
            pool: family.pool,
            class_token: family.class_token,
            dist_token: family.dist_token,
            reg_tokens: family.reg_tokens,
            pos_embed: family.eva.map_or(family.relative.is_none(), |eva| eva.pos_embed),
            rotary: family.eva.and_then(|eva| eva.rotary),
            relative: family.relative,
            no_embed_class: family.no_embed_class,
            embed_norm: family.embed_norm,
            pre_norm: family.pre_norm,
            pool_prefix: family.pool_prefix,
            fc_norm: family.fc_norm.unwrap_or(family.pool == Pool::Average),
            final_norm: family.final_norm,
            head_norm: false,
            layer_scale: family.layer_scale,
            attn_only_layer_scale: of_eva(|eva| eva.attn_only_layer_scale),
            activation: family.activation,
            norm: family.norm,
            norm_eps: family.norm_eps,
            pool_eps: None,
            prop_attn: true,
            pool_heads,
            // Four times the channels in all that have heads of their own there.
            pool_mlp: pool_heads.map(|_| 4 * size.dim),
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
        };
        match family.autoencoder {
            Some(kind) => config.with(|config| kind.apply(config)),
            None => config,
        }
    }
}

/// Heads of keys and values, half as many in so many blocks in the middle.
fn kv_heads(size: Size, half: u32) -> Vec<u32> {
    if half == 0 {
        return Vec::new();
    }
    let first = (size.depth - half) / 2;
    let heads = |block| if (first..first + half).contains(&block) { size.heads / 2 } else { size.heads };
    (0..size.depth).map(heads).collect()
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

    /// All tokens are pooled, those before the patches too.
    pub(super) const fn pooled_whole(mut self) -> Self {
        self.pool_prefix = true;
        self
    }

    pub(super) const fn wired(mut self, wiring: Wiring) -> Self {
        self.wiring = wiring;
        self
    }

    pub(super) const fn rms(mut self) -> Self {
        self.norm = NormKind::Rms;
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

    /// A linear head over the class token and the mean of the patches.
    pub(super) const fn linear(mut self) -> Self {
        self.pool = Pool::TokenAndAverage;
        self
    }

    /// Positions resampled as in DINO's and DINOv2's own code, before it had registers.
    pub(super) const fn offset(mut self) -> Self {
        self.position_resample = PositionResample { offset: 0.1, ..PositionResample::BICUBIC };
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
