"""Writes cases/eva_* and cases/hf_dinov3*: tiny networks with rotary positions, and what they compute with merging.

    python3 make_rotary.py [NAME ...]

README.md describes the files. Run with Python 3.11, torch 2.15.0 (CPU), timm 1.0.31, transformers 5.23.0, safetensors 0.8.0. At
r = 0 the library's own class gives the same; the merging is rotary.py's.
"""
import functools
import json
import math
import sys

import timm
import torch
import transformers as hf
from safetensors.torch import save_file
from timm.layers import RmsNorm
from timm.models.eva import Eva
from torch import nn

import rotary
from make_golden import SMALLEST_GAP
from make_layouts import randomise as randomise_layout
from written import begun, ended

NET = {
    "img_size": [20, 20],
    "patch_size": 4,
    "in_chans": 3,
    "embed_dim": 32,
    "depth": 3,
    "num_heads": 2,
    "num_classes": 10,
    "mlp_ratio": 2.0,
    "use_rot_pos_emb": True,
}
RUN = {"r": "4", "prop_attn": "on", "pool": "size", "protect": "prefix"}
DINOV3 = {
    "rope_type": "dinov3", "rope_temperature": 100, "rope_rotate_half": True, "use_abs_pos_emb": False, "num_reg_tokens": 4,
    "use_fc_norm": False, "init_values": 1e-5, "qkv_bias": False, "norm_eps": 1e-5, "num_classes": 0,
}
EVA02 = {"qkv_fused": False, "swiglu_mlp": True, "scale_mlp": True, "ref_feat_shape": [4, 4], "mlp_ratio": 8 / 3}
NAVER = {
    "attn_type": "rope", "init_values": 1e-5, "global_pool": "token", "use_abs_pos_emb": False, "rope_grid_indexing": "xy",
    "rope_temperature": 100.0,
}
MIXED = NAVER | {"rope_type": "mixed", "rope_temperature": 10.0}
PE = {
    "attn_type": "rope", "use_pre_transformer_norm": True, "ref_feat_shape": [6, 6], "rope_grid_offset": 1.0,
    "rope_grid_indexing": "xy", "norm_eps": 1e-5, "num_classes": 0,
}

# name: (architecture, changes to NET, changes to RUN)
TABLE = {
    "eva_dinov3": ("vit_small_patch16_dinov3", DINOV3, {}),
    "eva_dinov3_kept": ("vit_small_patch16_dinov3", DINOV3, {"positions": "kept"}),
    "eva_dinov3_qkvb_rect": (
        "vit_small_plus_patch16_dinov3_qkvb",
        DINOV3 | {"qkv_bias": True, "swiglu_mlp": True, "swiglu_align_to": 8, "img_size": [16, 28], "mlp_ratio": 1.9},
        {},
    ),
    "eva_dinov3_keep_one": ("vit_small_patch16_dinov3", DINOV3 | {"depth": 2}, {"merge_mode": "keep-one"}),
    "eva_dinov3_r0": ("vit_small_patch16_dinov3", DINOV3 | {"depth": 2}, {"r": "0"}),
    "eva_sbb": ("vit_medium_patch16_rope_reg1_gap_256", {"class_token": False, "num_reg_tokens": 1, "use_abs_pos_emb": False, "init_values": 1e-5, "ref_feat_shape": [4, 4]}, {}),
    "eva_axial_xy": ("vit_small_patch16_rope_224", NAVER | {"img_size": [16, 24]}, {"pool": "plain"}),
    "eva_mixed": ("vit_small_patch16_rope_mixed_224", MIXED, {"pool": "plain"}),
    "eva_mixed_ape_rect_kept": ("vit_small_patch16_rope_mixed_ape_224", MIXED | {"use_abs_pos_emb": True, "no_embed_class": True, "img_size": [16, 24]}, {"positions": "kept", "pool": "plain"}),
    "eva02": ("eva02_base_patch14_224", EVA02, {}),
    "eva02_clip_45": ("eva02_base_patch16_clip_224", EVA02 | {"scale_attn_inner": True, "global_pool": "token", "mlp_ratio": 45 / 32}, {"pool": "plain"}),
    "eva02_small": ("eva02_small_patch14_224", EVA02 | {"qkv_fused": True, "scale_mlp": False}, {}),
    "eva02_enormous": (
        "eva02_enormous_patch14_clip_224", {"use_rot_pos_emb": False, "use_post_norm": True, "global_pool": "token"}, {"pool": "plain"},
    ),
    "eva_giant": ("eva_giant_patch14_224", {"use_rot_pos_emb": False}, {}),
    "eva_pe_spatial": ("vit_pe_spatial_tiny_patch16_512", PE | {"use_post_transformer_norm": False, "use_fc_norm": False}, {}),
    "eva_pe_core": ("vit_pe_core_tiny_patch16_384", PE | {"global_pool": "map", "attn_pool_num_heads": 4, "attn_pool_mlp_ratio": 3.0}, {}),
}
SAPIENS2 = {
    "attn_type": "rope", "qkv_fused": False, "qk_norm": True, "global_pool": "token", "swiglu_mlp": True, "mlp_ratio": 1.5,
    "init_values": 1.0, "attn_only_layer_scale": True, "rope_type": "dinov3", "rope_temperature": 100,
    "rope_rotate_half": True, "use_abs_pos_emb": False, "num_reg_tokens": 8, "use_fc_norm": False, "norm_layer": "rmsnorm",
    "norm_eps": 1e-6, "img_size": [28, 20], "num_classes": 0,
}
TABLE |= {
    "eva_sapiens2": ("vit_base_patch16_sapiens2", SAPIENS2 | {"depth": 2}, {"pool": "plain"}),
    "eva_sapiens2_grouped": (
        "vit_large_patch16_sapiens2", SAPIENS2 | {"num_heads": 4, "num_kv_heads": [4, 2, 1], "mlp_ratio": 1.0}, {"pool": "plain"},
    ),
}
PIXELS = 20
HF = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "image_size": PIXELS,
    "patch_size": 4, "num_register_tokens": 4,
}
HF_TABLE = {
    "hf_dinov3": (HF, [PIXELS, PIXELS], {}),
    "hf_dinov3_gated_kept": (HF | {"use_gated_mlp": True, "hidden_act": "silu"}, [PIXELS, PIXELS], {"positions": "kept"}),
    "hf_dinov3_gated_rect": (HF | {"use_gated_mlp": True, "hidden_act": "silu", "query_bias": False, "value_bias": False}, [16, 28], {}),
}


def build(args):
    args = dict(args)
    eps = args.pop("norm_eps", None)
    kind = {"layernorm": nn.LayerNorm, "rmsnorm": RmsNorm}[args.pop("norm_layer", "layernorm")]
    norm = {"norm_layer": functools.partial(kind, eps=eps)} if eps else {}
    for pair in ("img_size", "ref_feat_shape"):
        if pair in args:
            args[pair] = tuple(args[pair])
    return Eva(**args, **norm).eval()


@torch.no_grad()
def randomise(model):
    """Weights that keep tokens apart, as make_golden.py does it."""
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape)
        if name.endswith("_token") or name == "pos_embed" or name == "attn_pool.latent":
            p.copy_(noise * 0.5)
        elif name == "rope.freqs":
            p.copy_(p + 0.1 * noise)
        elif p.ndim == 4:
            p.copy_(noise * 0.5 / math.sqrt(p[0].numel()))
        elif "gamma" in name:
            p.copy_(0.4 + 0.2 * noise)
        elif p.ndim == 2:
            gain = 1.5 if any(part in name for part in ("qkv", "q_proj", "k_proj", "v_proj")) else 1.0
            p.copy_(noise * gain / math.sqrt(p.shape[1]))
        elif name.endswith("bias"):
            p.copy_(noise * 0.1)
        else:
            p.copy_(1.0 + 0.2 * noise)


def run_all(model, x, run, library):
    """f32 and f64 values, and the smaller of the two decisive gaps."""
    options = {k: v for k, v in run.items() if k != "positions"}
    options |= {"prop_attn": run["prop_attn"] == "on", "positions_of": run.get("positions", "mean")}
    unmerged, _ = rotary.forward(model, x, **(options | {"r": "0"}))
    torch.testing.assert_close(unmerged["logits"], library, rtol=1e-5, atol=1e-5)
    single, gap = rotary.forward(model, x, **options)
    double, gap64 = rotary.forward(model.double(), x.double(), **options)
    return single, double, min(gap, gap64)


@torch.no_grad()
def timm_attempt(name, seed):
    architecture, net, run = TABLE[name]
    args, run = NET | net, RUN | run
    torch.manual_seed(seed)
    model = build(args)
    randomise(model)
    x = torch.randn(2, 3, *args["img_size"])
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    single, double, gap = run_all(model, x, run, model(x))

    def save(folder):
        pool = args.get("global_pool", "avg")
        config = {
            "architecture": architecture,
            "num_classes": args["num_classes"],
            "num_features": args["embed_dim"],
            "global_pool": pool,
            "model_args": args,
            "pretrained_cfg": {
                "input_size": [3, *args["img_size"]], "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "crop_pct": 1.0,
            },
        }
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    return args["depth"], run, x, single, double, gap, save, {}


def dinov3_state(state, depth):
    """transformers' names to those of timm's `Eva`."""
    out = {
        "cls_token": state["embeddings.cls_token"], "reg_token": state["embeddings.register_tokens"],
        "patch_embed.proj.weight": state["embeddings.patch_embeddings.weight"],
        "patch_embed.proj.bias": state["embeddings.patch_embeddings.bias"],
        "norm.weight": state["norm.weight"], "norm.bias": state["norm.bias"],
    }
    for i in range(depth):
        old, new = f"model.layer.{i}.", f"blocks.{i}."
        out[new + "attn.qkv.weight"] = torch.cat([state[f"{old}attention.{n}_proj.weight"] for n in "qkv"])
        if f"{old}attention.q_proj.bias" in state:
            out[new + "attn.q_bias"], out[new + "attn.v_bias"] = state[f"{old}attention.q_proj.bias"], state[f"{old}attention.v_proj.bias"]
        out[new + "gamma_1"], out[new + "gamma_2"] = state[f"{old}layer_scale1.lambda1"], state[f"{old}layer_scale2.lambda1"]
        for kind in ("weight", "bias"):
            out[f"{new}attn.proj.{kind}"] = state[f"{old}attention.o_proj.{kind}"]
            out[f"{new}norm1.{kind}"], out[f"{new}norm2.{kind}"] = state[f"{old}norm1.{kind}"], state[f"{old}norm2.{kind}"]
            out[f"{new}mlp.fc2.{kind}"] = state[f"{old}mlp.down_proj.{kind}"]
            up = state[f"{old}mlp.up_proj.{kind}"]
            gate = state.get(f"{old}mlp.gate_proj.{kind}")
            out[f"{new}mlp.fc1.{kind}"] = up if gate is None else torch.cat([gate, up])
    return out


@torch.no_grad()
def hf_attempt(name, seed):
    config, pixels, run = HF_TABLE[name]
    run = RUN | run
    torch.manual_seed(seed)
    model = hf.DINOv3ViTModel(hf.DINOv3ViTConfig(**config)).eval()
    randomise_layout(model)
    x = torch.randn(2, 3, *pixels)
    library = model(pixel_values=x).pooler_output
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    biased = config.get("query_bias", True)
    body = build(NET | DINOV3 | {
        "img_size": pixels, "depth": 2, "qkv_bias": biased, "global_pool": "token", "swiglu_mlp": config.get("use_gated_mlp", False),
    })
    missing = body.load_state_dict(dinov3_state(weights, 2), strict=False)
    assert not missing.unexpected_keys and not missing.missing_keys, missing
    single, double, gap = run_all(body, x, run, library)

    def save(folder):
        model.save_pretrained(folder)
        processor = hf.DINOv3ViTImageProcessor(size={"height": pixels[0], "width": pixels[1]})
        processor.save_pretrained(folder)

    return 2, run, x, single | {"library": library}, double, gap, save, {"transformers": hf.__version__}


def make(name):
    seed = 0
    while True:
        depth, run, x, single, double, gap, save, versions = (timm_attempt if name in TABLE else hf_attempt)(name, seed)
        if gap > SMALLEST_GAP:
            break
        seed += 1
    folder, expected, error = begun(name, single, double)
    save(folder)
    case = run | {
        "tokens_per_layer": [single["embed"].shape[1]] + [single[f"layer{i:02}.tokens"].shape[1] for i in range(depth)],
        "smallest_decisive_gap": gap if math.isfinite(gap) else None,
        "logits_f32_minus_f64": error,
        "seed": seed,
        "reference": "rotary.py over timm's modules" if name in TABLE else "DINOv3ViTModel, and rotary.py over timm's modules",
        "versions": {"torch": torch.__version__, "timm": timm.__version__} | versions,
    }
    size = ended(folder, case, {"images": x}, expected)
    tokens = " ".join(map(str, case["tokens_per_layer"]))
    print(f"| {name} | {tokens} | {run['r']} | {size / 1000:.0f} | {gap:.4f} | {error:.1e} | {seed} |", flush=True)


if __name__ == "__main__":
    print("| case | tokens | r | kB | gap | logits f32 - f64 | seed |")
    for name in sys.argv[1:] or [*TABLE, *HF_TABLE]:
        make(name)
