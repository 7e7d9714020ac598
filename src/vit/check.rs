//! Whether a network's numbers fit together.

use super::config::{Config, Mlp, Pool, Wiring};
use crate::error::{Error, Result};
use crate::kernels::Activation;

impl Config {
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
        if let Some(packed) = self.packed {
            let grid = packed.grid.map(u64::from);
            if packed.patches == 0 || grid.contains(&0) || grid[0] * grid[1] > 1 << 20 {
                return wrong(
                    "max_num_patches",
                    format!("{} patches, a table of {:?}", packed.patches, packed.grid),
                );
            }
            if self.prefix() > 0
                || self.pre_norm
                || self.embed_norm
                || self.frames > 1
                || self.rotary.is_some()
            {
                let why =
                    "pictures of any shape have no tokens before their patches, no norm there, and one frame";
                return wrong("max_num_patches", why.into());
            }
            if u64::from(packed.patches) * self.packed_row(packed) as u64 > 1 << 30 {
                return wrong("max_num_patches", format!("{} are too many", packed.patches));
            }
        }
        // Tables of positions are made for so many, of so many channels.
        let (patches, channels) = (self.patches(), self.embed_dim);
        if patches > 1 << 20 || u64::from(patches) * u64::from(channels) > 1 << 28 {
            let what = format!("makes {patches} patches of {channels} channels, which are too many");
            return wrong("patch_size", what);
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
        let fits = |heads: &u32| *heads > 0 && self.num_heads.is_multiple_of(*heads);
        let blocks = self.kv_heads.len();
        if blocks > 0 && (blocks != self.depth as usize || !self.kv_heads.iter().all(fits)) {
            return wrong(
                "num_kv_heads",
                format!(
                    "{:?} are not one for each of {} blocks and a part of {} heads",
                    self.kv_heads, self.depth, self.num_heads
                ),
            );
        }
        let pools_token = matches!(self.pool, Pool::Token | Pool::Distilled | Pool::TokenAndAverage);
        if pools_token && !self.class_token {
            return wrong("global_pool", "`token` needs a class token".into());
        }
        if self.pool == Pool::Prefix && self.prefix() == 0 {
            return wrong("global_pool", "there are no tokens before the patches".into());
        }
        if self.wiring == Wiring::PostNorm && self.layer_scale {
            return wrong("init_values", "the norms behind the branches scale them already".into());
        }
        if self.embed_norm && self.prefix() > 0 {
            return wrong("embed_norm", "is of patches alone, and there are tokens before them".into());
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
        self.rotary.map_or(Ok(()), |rotary| rotary.check(self))?;
        self.relative.map_or(Ok(()), |relative| relative.check(self))?;
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
        let keeps_zeros = self.mlp != Mlp::Plain || self.activation != Activation::Sigmoid;
        if self.mlp_norm && !self.mlp_hidden.is_multiple_of(4) && !keeps_zeros {
            return unsupported(
                "embed_dim * mlp_ratio",
                self.mlp_hidden,
                "a norm behind a sigmoid is a multiple of 4 wide",
            );
        }
        if self.pool == Pool::Attention {
            let heads = self.heads_of_pool();
            if !self.embed_dim.is_multiple_of(heads) {
                return wrong(
                    "attn_pool_num_heads",
                    format!("{} channels are not divisible by {heads} heads", self.embed_dim),
                );
            }
            let width = self.embed_dim / heads;
            if !width.is_multiple_of(4) || width > 128 {
                return unsupported(
                    "embed_dim / attn_pool_num_heads",
                    width,
                    "a head is a multiple of 4 wide, 128 at most",
                );
            }
            if !self.pool_hidden().is_multiple_of(4) {
                return unsupported(
                    "embed_dim * attn_pool_mlp_ratio",
                    self.pool_hidden(),
                    "the width of the head's MLP is a multiple of 4",
                );
            }
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
            ("attn_pool_num_heads", self.heads_of_pool(), 1 << 16),
            ("attn_pool_mlp_ratio", self.pool_mlp.unwrap_or(1), 1 << 20),
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
