//! The arguments of timm's `Eva`: EVA, EVA-02, DINOv3, Perception Encoder and ViTs with rotary positions.

use serde::Deserialize;

use super::fields::{Fields, Sides, quoted, set, unsupported};
use super::timm_config::{self, refuse_others};
use crate::error::Result;
use crate::kernels::matmul::Activation;
use crate::vit::preset::{Eva, Preset};
use crate::vit::{Angles, Config, Coordinates, Mlp, Pool, Rotary, Wiring};

/// Those that change nothing about a trained network.
const WITHOUT_EFFECT: [&str; 13] = [
    "drop_rate",
    "pos_drop_rate",
    "patch_drop_rate",
    "proj_drop_rate",
    "attn_drop_rate",
    "drop_path_rate",
    "dynamic_img_size",
    "head_init_scale",
    "rope_shift_coords",
    "rope_jitter_coords",
    "rope_rescale_coords",
    // What they change the tensors' names and shapes show.
    "qkv_fused",
    "attn_type",
];

/// Heads of keys and values.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a whole number or a list of them")]
enum KvHeads {
    Same(u32),
    Each(Vec<u32>),
}

/// Overrides the architecture's defaults, but for those that all classes of timm share; refuses what is left over.
pub(super) fn model_args(
    config: &mut Config,
    preset: &Preset,
    eva: &Eva,
    args: &mut Fields,
    pool: Option<String>,
) -> Result<()> {
    set(&mut config.reg_tokens, args.take("num_reg_tokens")?);
    set(&mut config.pre_norm, args.take("use_pre_transformer_norm")?);
    set(&mut config.pos_embed, args.take("use_abs_pos_emb")?);
    set(&mut config.attn_norm, args.take("scale_attn_inner")?);
    // Null is a value here.
    if args.has("init_values") {
        config.layer_scale = args.take::<f64>("init_values")?.is_some();
    }
    pooling(config, preset, args, pool)?;
    mlp(config, preset, args)?;
    config.rotary = rotary(eva, args)?;
    set(&mut config.attn_only_layer_scale, args.take("attn_only_layer_scale")?);
    if args.has("num_kv_heads") {
        config.kv_heads = match args.take("num_kv_heads")? {
            None => Vec::new(),
            Some(KvHeads::Same(heads)) => vec![heads; config.depth.min(1 << 12) as usize],
            Some(KvHeads::Each(heads)) => heads,
        };
    }
    if let Some(behind) = args.take("use_post_norm")? {
        config.wiring = if behind { Wiring::PostNorm } else { Wiring::Serial };
    }
    // Norms behind the branches scale them.
    config.layer_scale &= config.wiring != Wiring::PostNorm;
    let plain = [("dynamic_img_pad", false)];
    refuse_others(args, &WITHOUT_EFFECT, |key| {
        plain.iter().find(|(name, _)| *name == key).map(|&(_, value)| value.into())
    })
}

/// Pooling, the norms around it, and the head that attends.
fn pooling(config: &mut Config, preset: &Preset, args: &mut Fields, pool: Option<String>) -> Result<()> {
    if let Some(name) = args.take("global_pool")?.or(pool) {
        config.pool = timm_config::pool(&name)?;
    }
    // The head attends to all tokens, an average is of patches.
    config.pool_prefix = config.pool == Pool::Attention;
    let said = |args: &mut Fields, key, otherwise| if args.has(key) { args.take(key) } else { Ok(otherwise) };
    let behind_pool = said(args, "use_fc_norm", preset.family.fc_norm)?;
    config.fc_norm = behind_pool.unwrap_or(config.pool == Pool::Average);
    let behind_blocks = (!preset.family.final_norm).then_some(false);
    let behind_blocks = said(args, "use_post_transformer_norm", behind_blocks)?.unwrap_or(!config.fc_norm);
    if config.fc_norm && behind_blocks {
        let why = "with `use_fc_norm` it would be a second norm";
        return Err(unsupported("use_post_transformer_norm", "true".into(), why));
    }
    config.final_norm = config.fc_norm || behind_blocks;
    if let Some(heads) = args.take("attn_pool_num_heads")? {
        config.pool_heads = Some(heads);
    }
    if let Some(ratio) = args.take::<f64>("attn_pool_mlp_ratio")? {
        config.pool_mlp = Some((f64::from(config.embed_dim) * ratio) as u32);
    }
    Ok(())
}

/// The MLP's kind and width.
fn mlp(config: &mut Config, preset: &Preset, args: &mut Fields) -> Result<()> {
    set(&mut config.mlp_norm, args.take("scale_mlp")?);
    let gated = args.take("swiglu_mlp")?.unwrap_or(config.mlp != Mlp::Plain);
    let align: u32 = args.take("swiglu_align_to")?.unwrap_or(match preset.family.mlp {
        Mlp::GateApart => 1,
        _ => 0,
    });
    // `as` truncates as Python's int() does; what is out of range is refused when the config is checked.
    let ratio: f64 = args.take("mlp_ratio")?.unwrap_or(preset.size.mlp_ratio);
    config.mlp_hidden = (f64::from(config.embed_dim) * ratio) as u32;
    (config.mlp, config.activation) = match gated {
        false => (Mlp::Plain, Activation::Gelu),
        true if config.mlp_norm || align > 0 => (Mlp::GateApart, Activation::Silu),
        true => (Mlp::GateFirst, Activation::Silu),
    };
    if config.mlp == Mlp::GateApart && align > 1 {
        config.mlp_hidden = config.mlp_hidden.checked_next_multiple_of(align).unwrap_or(u32::MAX);
    }
    Ok(())
}

/// The rotary positions, where the network has some.
fn rotary(eva: &Eva, args: &mut Fields) -> Result<Option<Rotary>> {
    let there = args.take("use_rot_pos_emb")?.unwrap_or(eva.rotary.is_some());
    let before = eva.rotary.unwrap_or(Rotary {
        coordinates: Coordinates::Numbers { first: 0.0, reference: None },
        angles: Angles::Powers { theta: 10000.0 },
        columns_first: false,
        halves: false,
    });
    let known = match (before.coordinates, before.angles) {
        (Coordinates::Centres, _) => "dinov3",
        (_, Angles::Learned) => "mixed",
        _ => "cat",
    };
    let kind: String = args.take("rope_type")?.unwrap_or(known.into());
    let theta: Option<f32> = args.take("rope_temperature")?;
    let theta = theta.unwrap_or(match before.angles {
        Angles::Powers { theta } => theta,
        Angles::Learned => 10000.0,
    });
    let (mut first, mut reference) = match before.coordinates {
        Coordinates::Numbers { first, reference } => (first, reference),
        Coordinates::Centres => (0.0, None),
    };
    set(&mut first, args.take("rope_grid_offset")?);
    if args.has("ref_feat_shape") {
        reference = args.take("ref_feat_shape")?.map(Sides::pair);
    }
    let indexing: Option<String> = args.take("rope_grid_indexing")?;
    let columns_first = match indexing.as_deref() {
        None => before.columns_first,
        Some("ij") => false,
        Some("xy") => true,
        Some(other) => {
            return Err(unsupported("rope_grid_indexing", quoted(other), "known are `ij` and `xy`"));
        }
    };
    let halves = args.take("rope_rotate_half")?.unwrap_or(before.halves);
    let powers = Angles::Powers { theta };
    let (coordinates, angles) = match kind.as_str() {
        "cat" => (Coordinates::Numbers { first, reference }, powers),
        "dinov3" if first == 0.0 => (Coordinates::Centres, powers),
        "dinov3" => {
            let why = "DINOv3's positions are the patches' centres";
            return Err(unsupported("rope_grid_offset", first.to_string(), why));
        }
        "mixed" => (Coordinates::Numbers { first: 0.0, reference: None }, Angles::Learned),
        other => {
            return Err(unsupported("rope_type", quoted(other), "known are `cat`, `mixed` and `dinov3`"));
        }
    };
    Ok(there.then_some(Rotary { coordinates, angles, columns_first, halves }))
}
