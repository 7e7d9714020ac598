//! VideoMAE and ViViT.

use super::class::Head;
use super::family::Family;
use super::vit::VIT;
use crate::error::Result;
use crate::files::fields::{Fields, unsupported};
use crate::files::names::{self, Layout};
use crate::files::processor;
use crate::vit::{Config, Pool};

pub(super) const FAMILIES: [Family; 2] = [
    Family { name: "videomae", pictures: processor::VIDEO_MAE, own: video_mae, ..VIT },
    Family {
        name: "vivit",
        hidden_act: "gelu_fast",
        norm_eps: 1e-6,
        pictures: processor::VIVIT,
        own: vivit,
        ..VIT
    },
];

/// The mean of all patches. Where it goes into a classifier a norm follows, of PyTorch's own epsilon; the norm before is there
/// only where the config says that there is no mean, as it does for the autoencoder.
fn video_mae(config: &mut Config, fields: &mut Fields, head: Head) -> Result<&'static Layout> {
    config.frames = fields.take("num_frames")?.unwrap_or(16);
    config.patch_frames = fields.take("tubelet_size")?.unwrap_or(2);
    // The older name counts where both are; `qkv_bias` has been taken.
    let own = fields.take("qv_bias")?.unwrap_or(true);
    config.qkv_bias &= own;
    config.class_token = false;
    config.pool = Pool::Average;
    config.prop_attn = false;
    let mean = fields.take("use_mean_pooling")?.unwrap_or(true);
    match (head, mean) {
        (Head::Classes, true) => (config.fc_norm, config.pool_eps) = (true, Some(1e-5)),
        (Head::Classes, false) => {
            let why = "a classifier of the first patch alone is not run; the mean of all is";
            return Err(unsupported("use_mean_pooling", "false".into(), why));
        }
        _ => config.final_norm = !mean,
    }
    Ok(&names::VIDEO_MAE)
}

/// A class token, and tubelets whose size says that of a patch.
fn vivit(config: &mut Config, fields: &mut Fields, _: Head) -> Result<&'static Layout> {
    config.frames = fields.take("num_frames")?.unwrap_or(32);
    let [frames, height, width] = fields.take("tubelet_size")?.unwrap_or([2, 16, 16]);
    (config.patch_frames, config.patch_size) = (frames, [height, width]);
    Ok(&names::VIVIT)
}
