//! The arguments of timm's `Beit` and `VisionTransformerRelPos`.

use super::fields::{Fields, quoted, set, unsupported};
use super::timm_config::{self, refuse_others};
use crate::error::Result;
use crate::kernels::matmul::Activation;
use crate::vit::preset::Preset;
use crate::vit::{BiasSource, Config, Mlp, Pool, Relative, TableResample, Wiring};

/// Those that change nothing about a trained network.
const WITHOUT_EFFECT: [&str; 8] = [
    "drop_rate",
    "pos_drop_rate",
    "proj_drop_rate",
    "attn_drop_rate",
    "drop_path_rate",
    "head_init_scale",
    "weight_init",
    "fix_init",
];

/// Overrides the architecture's defaults, but for those that all classes of timm share; refuses what is left over.
pub(super) fn model_args(
    config: &mut Config,
    preset: &Preset,
    relative: Relative,
    args: &mut Fields,
    pool: Option<String>,
) -> Result<()> {
    // Null is a value here and in `use_fc_norm`: it takes back what the architecture says.
    if args.has("init_values") {
        config.layer_scale = args.take::<f64>("init_values")?.is_some_and(|value| value != 0.0);
    }
    // Norms behind the branches scale them.
    config.layer_scale &= config.wiring != Wiring::PostNorm;
    if let Some(name) = args.take("global_pool")?.or(pool) {
        config.pool = timm_config::pool(&name)?;
    }
    let mut fc_norm = preset.family.fc_norm;
    match relative.source {
        BiasSource::Table(_) => {
            set(&mut config.pos_embed, args.take("use_abs_pos_emb")?);
            if args.has("use_fc_norm") {
                fc_norm = args.take("use_fc_norm")?;
            }
            let of_blocks = args.take("use_rel_pos_bias")?.unwrap_or(relative.of_blocks);
            let shared = args.take("use_shared_rel_pos_bias")?.unwrap_or(relative.shared);
            config.relative = (of_blocks || shared).then_some(Relative { of_blocks, shared, ..relative });
            set(&mut config.mlp_norm, args.take("scale_mlp")?);
            if args.take("swiglu_mlp")?.unwrap_or(false) {
                (config.mlp, config.activation) = (Mlp::GateApart, Activation::Silu);
            }
        }
        BiasSource::Mlp { hidden } => {
            fc_norm = args.take("fc_norm")?.or(fc_norm);
            let shared = args.take("shared_rel_pos")?.unwrap_or(relative.shared);
            let hidden = args.take("rel_pos_dim")?.filter(|&hidden| hidden > 0).unwrap_or(hidden);
            let source = match args.take::<String>("rel_pos_type")?.as_deref() {
                None | Some("mlp") => BiasSource::Mlp { hidden },
                Some("bias") => BiasSource::Table(TableResample::Progression),
                Some(other) => {
                    return Err(unsupported("rel_pos_type", quoted(other), "known are `mlp` and `bias`"));
                }
            };
            config.relative = Some(Relative::new(source, shared));
        }
    }
    config.fc_norm = fc_norm.unwrap_or(config.pool == Pool::Average);
    // `as` truncates as Python's int() does; what is out of range is refused when the config is checked.
    let ratio: f64 = args.take("mlp_ratio")?.unwrap_or(preset.size.mlp_ratio);
    config.mlp_hidden = (f64::from(config.embed_dim) * ratio) as u32;
    refuse_others(args, &WITHOUT_EFFECT, |key| (key == "act_layer").then(|| "gelu".into()))
}
