"""Writes cases/NAME/*: tiny Vision Transformers with random weights, and what they compute with merging.

    python3 make_golden.py [NAME ...]

README.md describes the files. Run with Python 3.11, torch 2.15.0 (CPU), timm 1.0.31, safetensors 0.8.0; every case states
its seed. The expected values are those of timm's modules with the merging of tome.py in between, in f32; logits also in f64.
"""
import functools
import json
import math
import sys
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from timm.layers import GluMlp, Mlp, RmsNorm, SwiGLU, SwiGLUPacked
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import ParallelScalingBlock, ResPostBlock, VisionTransformer
from torch import nn

import rules
import tome

CASES = Path(__file__).resolve().parent / "cases"
# A smaller gap between two decisions could be closed by rounding, and then f32 implementations may rightly differ.
SMALLEST_GAP = 1e-3

NET = {
    "img_size": [20, 20],
    "patch_size": 4,
    "in_chans": 3,
    "embed_dim": 32,
    "depth": 3,
    "num_heads": 2,
    "num_classes": 10,
    "class_token": True,
    "global_pool": "token",
    "qkv_bias": True,
    "qk_norm": False,
    "reg_tokens": 0,
    "no_embed_class": False,
    "pre_norm": False,
    "fc_norm": False,
    "final_norm": True,
    "act_layer": "gelu",
    "mlp_layer": "Mlp",
    "norm_eps": 1e-6,
    "mlp_ratio": 2.0,
}
RUN = {"r": "4", "prop_attn": "on", "pool": "plain", "protect": "cls"}
AVERAGE = {"global_pool": "avg", "class_token": False, "fc_norm": True}
MAP = {"global_pool": "map", "class_token": False}
REGISTERS = {"reg_tokens": 4, "no_embed_class": True}

# name: (changes to NET, changes to RUN, and for the script: `images`, `embed_scale`)
TABLE = {
    "cls": ({}, {}, {}),
    "cls_noprop": ({}, {"prop_attn": "off"}, {}),
    "cls_odd_3_images": ({"img_size": [24, 24], "num_heads": 4, "num_classes": 7}, {"r": "5"}, {"images": 3}),
    "r0": ({"depth": 2}, {"r": "0"}, {}),
    "clamp": ({"depth": 5, "img_size": [16, 16]}, {"r": "1000"}, {}),
    "clamp_nocls_to_1": ({"depth": 5, "img_size": [16, 16], **AVERAGE}, {"r": "1000", "pool": "size"}, {}),
    "list_0_5_3": ({"depth": 4}, {"r": "0,5,3"}, {}),
    "decreasing": ({"img_size": [24, 24]}, {"r": "6:-1"}, {}),
    "increasing": ({"img_size": [24, 24]}, {"r": "6:+0.5"}, {}),
    "rect": ({"img_size": [24, 40], "patch_size": 8}, {"r": "3"}, {}),
    "grey_50": ({"img_size": [28, 28], "in_chans": 1, "depth": 2, "num_classes": 7}, {"r": "8"}, {}),
    "no_qkv_bias": ({"qkv_bias": False, "depth": 2}, {}, {}),
    "avg_size": ({**AVERAGE}, {"r": "3", "pool": "size"}, {}),
    "avg_plain": ({**AVERAGE, "img_size": [16, 24]}, {"r": "3"}, {}),
    "avg_cls_size": ({**AVERAGE, "class_token": True}, {"pool": "size"}, {}),
    "avg_cls_plain_noprop": ({**AVERAGE, "class_token": True, "depth": 2}, {"prop_attn": "off"}, {}),
    "avg_norm_first_size": ({**AVERAGE, "fc_norm": False}, {"r": "3", "pool": "size"}, {}),
    "avg_norm_first_cls_plain": ({**AVERAGE, "class_token": True, "fc_norm": False, "depth": 2}, {}, {}),
    "reg4": ({**REGISTERS}, {"protect": "prefix"}, {}),
    "reg4_embed_prefix_clamp": ({"reg_tokens": 4}, {"protect": "prefix", "r": "1000"}, {}),
    "reg4_avg_nocls_size": ({**REGISTERS, **AVERAGE}, {"protect": "prefix", "pool": "size"}, {}),
    "layerscale": ({"init_values": 1e-5, "depth": 2}, {}, {}),
    "gelu_tanh": ({"act_layer": "gelu_tanh", "depth": 2}, {}, {}),
    "quick_gelu": ({"act_layer": "quick_gelu", "depth": 2}, {}, {}),
    # Tokens of small variance (about 2e-5), so that the epsilon is seen in the result.
    "norm_eps_1e-5": ({"norm_eps": 1e-5, "depth": 2}, {}, {"embed_scale": 0.005}),
    "pre_norm": ({"pre_norm": True, "depth": 2}, {}, {}),
    "qk_norm": ({"qk_norm": True, "depth": 2}, {}, {}),
    "swiglu_packed": ({"mlp_layer": "SwiGLUPacked", "act_layer": "silu", "mlp_ratio": 3.0, "depth": 2}, {}, {}),
    "swiglu_apart": ({"mlp_layer": "SwiGLU", "act_layer": "silu", "mlp_ratio": 1.5, "depth": 2}, {}, {}),
    "glu_gate_last": ({"mlp_layer": "GluMlp", "act_layer": "sigmoid", "mlp_ratio": 3.0, "depth": 2}, {}, {}),
    "relu": ({"act_layer": "relu", "depth": 2}, {}, {}),
    "map_size": ({**MAP, "act_layer": "gelu_tanh", "depth": 2}, {"r": "3", "pool": "size"}, {}),
    "map_plain": ({**MAP, "depth": 2}, {"r": "3"}, {}),
    # The registers are left out of the pooling, or not.
    "map_reg2": ({**MAP, "reg_tokens": 2, "depth": 2}, {"r": "3", "pool": "size", "protect": "prefix"}, {}),
    "map_reg2_whole_r0": (
        {**MAP, "reg_tokens": 2, "pool_include_prefix": True, "depth": 2}, {"r": "0", "protect": "prefix"}, {},
    ),
    "avg_reg2_whole": (
        {**AVERAGE, "reg_tokens": 2, "pool_include_prefix": True, "depth": 2},
        {"r": "3", "pool": "size", "protect": "prefix"}, {},
    ),
    "map_r0": ({**MAP, "depth": 2, "num_classes": 0}, {"r": "0"}, {}),
    "distilled": ({"depth": 2}, {}, {"architecture": "deit_tiny_distilled_patch16_224"}),
    "distilled_clamp": (
        {"img_size": [16, 16], "depth": 5}, {"r": "1000"}, {"architecture": "deit_tiny_distilled_patch16_224"},
    ),
    # As whole families have them together.
    "deit3_like": ({"no_embed_class": True, "init_values": 1e-6, "depth": 2}, {}, {}),
    "dinov2_giant_like": (
        {**REGISTERS, "init_values": 1e-5, "mlp_layer": "SwiGLUPacked", "act_layer": "silu", "mlp_ratio": 3.0,
         "img_size": [28, 42], "patch_size": 14, "num_classes": 0},
        {"r": "1", "protect": "prefix"}, {},
    ),
    "rms_norm": ({"norm_layer": "rmsnorm", "depth": 2}, {}, {}),
    "rms_norm_qk_reg2_final": (
        {"norm_layer": "rmsnorm", "reg_tokens": 2, "qk_norm": True, "pre_norm": True, "depth": 2},
        {"protect": "prefix", "metric": "final"}, {},
    ),
    "inner_norms": ({"scale_attn_norm": True, "scale_mlp_norm": True, "depth": 2}, {}, {}),
    "swiglu_rms_inner_norms": (
        {"scale_attn_norm": True, "scale_mlp_norm": True, "norm_layer": "rmsnorm", "mlp_layer": "SwiGLU",
         "act_layer": "silu", "mlp_ratio": 1.5, "init_values": 1e-5, "depth": 2},
        {}, {},
    ),
    "no_proj_bias": ({"proj_bias": False, "qkv_bias": False, "depth": 2}, {}, {}),
    "swiglu_packed_no_bias": (
        {"mlp_layer": "SwiGLUPacked", "act_layer": "silu", "mlp_ratio": 3.0, "proj_bias": False, "depth": 2}, {}, {},
    ),
    "parallel": ({"block_fn": "ParallelScalingBlock", "init_values": 1e-5, "depth": 2}, {}, {}),
    "parallel_rms_qk_reg1": (
        {"block_fn": "ParallelScalingBlock", "norm_layer": "rmsnorm", "qk_norm": True, "qkv_bias": False, "pre_norm": True,
         "reg_tokens": 1, "no_embed_class": True, "depth": 3},
        {"protect": "prefix", "metric": "attention"}, {},
    ),
    "post_norm": ({"block_fn": "ResPostBlock", "depth": 3}, {}, {}),
    "post_norm_swiglu_nocls_input": (
        {**AVERAGE, "block_fn": "ResPostBlock", "mlp_layer": "SwiGLU", "act_layer": "silu", "mlp_ratio": 1.5,
         "qkv_bias": False, "depth": 2},
        {"r": "3", "pool": "size", "metric": "input"}, {},
    ),
    "aimv2_like": (
        {**AVERAGE, "fc_norm": False, "norm_layer": "rmsnorm", "embed_norm_layer": "rmsnorm", "norm_eps": 1e-5,
         "qkv_bias": False, "proj_bias": False, "mlp_layer": "SwiGLU", "act_layer": "silu", "mlp_ratio": 1.5, "depth": 2},
        {"r": "3", "pool": "size"}, {},
    ),
    "mae_like": ({**AVERAGE, "class_token": True}, {"prop_attn": "off", "pool": "size"}, {}),
    # The knobs of the paper's Table 1.
    "mode_mean_queries": ({"depth": 2}, {"merge_mode": "mean", "metric": "queries"}, {}),
    "mode_sum_values": ({"depth": 2}, {"merge_mode": "sum", "metric": "values"}, {}),
    "mode_max_input": ({"depth": 2}, {"merge_mode": "max", "metric": "input"}, {}),
    "mode_min_attention_dot": (
        {"depth": 2},
        {"merge_mode": "min", "metric": "attention", "similarity": "dot"},
        {},
    ),
    "mode_keep_one_euclidean": ({"depth": 2}, {"merge_mode": "keep-one", "similarity": "euclidean"}, {}),
    "mode_mlerp": ({}, {"merge_mode": "mlerp"}, {}),
    "mode_max_magnitude_nocls": ({**AVERAGE}, {"merge_mode": "max-magnitude", "pool": "size", "r": "3"}, {}),
    "final": ({}, {"metric": "final"}, {}),
    "final_nocls_fc_norm": ({**AVERAGE}, {"metric": "final", "pool": "size", "r": "3"}, {}),
    "by_size": ({}, {"metric": "attention", "by_size": "0.5"}, {}),
    "by_size_ward_nocls": ({**AVERAGE}, {"by_size": "1", "similarity": "euclidean", "pool": "size", "r": "5"}, {}),
    "by_size_sequential": ({}, {"by_size": "2", "partition": "sequential"}, {}),
    "sequential": ({"depth": 2}, {"partition": "sequential"}, {}),
    "sequential_nocls_odd": ({**AVERAGE, "depth": 2}, {"partition": "sequential", "pool": "size", "r": "3"}, {}),
    "every_3_reg4_clamp": (
        {**REGISTERS, "depth": 2},
        {"partition": "every:3", "protect": "prefix", "r": "1000", "similarity": "dot"},
        {},
    ),
    "every_3_nocls_input_euclidean": (
        {**AVERAGE, "depth": 2},
        {"partition": "every:3", "pool": "size", "metric": "input", "similarity": "euclidean"},
        {},
    ),
    # Merging that keeps the grid, and what the paper compares its matching with.
    "lines": ({}, {"partition": "lines", "r": "4"}, {}),
    "lines_rect_reg4_clamp": (
        {**REGISTERS, "img_size": [12, 28]},
        {"partition": "lines", "protect": "prefix", "r": "1000", "similarity": "euclidean"},
        {},
    ),
    "lines_nocls_size": ({**AVERAGE, "img_size": [24, 16]}, {"partition": "lines", "pool": "size", "r": "7"}, {}),
    "greedy": ({}, {"matching": "greedy"}, {}),
    "greedy_nocls_clamp": ({**AVERAGE, "depth": 2}, {"matching": "greedy", "pool": "size", "r": "1000"}, {}),
    "kmeans_2": ({"depth": 2}, {"matching": "kmeans:2"}, {}),
    "kmeans_5_nocls_euclidean": (
        {**AVERAGE, "depth": 2},
        {"matching": "kmeans:5", "pool": "size", "r": "9", "similarity": "euclidean"},
        {},
    ),
    "prune_random": ({"depth": 2}, {"matching": "prune-random:7"}, {}),
    "prune_attention": ({}, {"matching": "prune-attention"}, {}),
    # As many tokens as an image needs.
    "threshold": ({}, {"threshold": 0.3, "r": "6"}, {"images": 3}),
    "threshold_least": ({}, {"threshold": 0.45, "least": "2", "r": "8"}, {"images": 3}),
    "threshold_noprop_reg4": (
        {**REGISTERS},
        {"threshold": 0.3, "least": "0,3", "r": "8", "protect": "prefix", "prop_attn": "off"},
        {"images": 3},
    ),
    "threshold_nocls_plain": ({**AVERAGE}, {"threshold": 0.3, "least": "1", "r": "7", "prop_attn": "off"}, {"images": 3}),
    "threshold_nocls_size_input": (
        {**AVERAGE},
        {"threshold": -14.0, "least": "1", "r": "7", "pool": "size", "metric": "input", "similarity": "euclidean"},
        {"images": 3},
    ),
    "threshold_map_plain": ({**MAP, "depth": 2}, {"threshold": 0.6, "r": "9"}, {"images": 3}),
    # PiToMe's rule.
    "energy": ({}, {"partition": "energy", "r": "3"}, {}),
    "energy_nocls_odd_clamp": (
        {**AVERAGE, "img_size": [12, 12]}, {"partition": "energy:0.25", "pool": "size", "r": "1000"}, {},
    ),
    "energy_reg4_queries": ({**REGISTERS, "depth": 2}, {"partition": "energy", "protect": "prefix", "metric": "queries"}, {}),
}


BLOCKS = {"ResPostBlock": ResPostBlock, "ParallelScalingBlock": ParallelScalingBlock}
MLPS = {"Mlp": Mlp, "GluMlp": GluMlp, "SwiGLU": SwiGLU, "SwiGLUPacked": SwiGLUPacked}


def build(args, architecture):
    """The timm model of a config.json (timm has no string for the LayerNorm epsilon and none for MLPs)."""
    args = dict(args)
    mlp = MLPS[args.pop("mlp_layer")]
    norms = {"layernorm": nn.LayerNorm, "rmsnorm": RmsNorm}
    norm = functools.partial(norms[args.pop("norm_layer", "layernorm")], eps=args.pop("norm_eps"))
    if args.pop("embed_norm_layer", None):
        args["embed_norm_layer"] = norm
    if "block_fn" in args:
        args["block_fn"] = BLOCKS[args["block_fn"]]
    network = VisionTransformerDistilled if "distilled" in architecture else VisionTransformer
    return network(**args, mlp_layer=mlp, norm_layer=norm).eval()


@torch.no_grad()
def randomise(model, embed_scale):
    """Weights that keep tokens apart: timm's own initialisation leaves them so alike that rounding picks the partners."""
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape)
        if name.endswith("_token") or name == "pos_embed" or name == "attn_pool.latent":
            p.copy_(noise * 0.5 * embed_scale)
        elif name == "patch_embed.proj.weight":
            p.copy_(noise * 0.5 * embed_scale / math.sqrt(p[0].numel()))
        elif name == "patch_embed.proj.bias":
            p.copy_(noise * 0.1 * embed_scale)
        elif name.endswith("gamma"):  # LayerScale
            p.copy_(0.4 + 0.2 * noise)
        elif p.ndim == 2:
            gain = 1.5 if "qkv" in name else 1.0
            p.copy_(noise * gain / math.sqrt(p.shape[1]))
        elif name.endswith("bias"):
            p.copy_(noise * 0.1)
        else:  # LayerNorm gain
            p.copy_(1.0 + 0.2 * noise)


def attempt(args, run, architecture, images, embed_scale, seed):
    """Model, input, f32 and f64 values of one seed, and the smaller of the two decisive gaps."""
    torch.manual_seed(seed)
    model = build(args, architecture)
    randomise(model, embed_scale)
    x = torch.randn(images, args["in_chans"], *args["img_size"])
    options = dict(run, prop_attn=run["prop_attn"] == "on")
    with torch.no_grad():
        plain = {key: value for key, value in options.items() if key not in ("threshold", "least")}
        unmerged, _ = tome.forward(model, x, **dict(plain, r="0"))
        torch.testing.assert_close(unmerged["logits"], model(x), rtol=1e-4, atol=1e-4)
    forward = tome.forward
    if "threshold" in options:
        options = {"least": "0"} | options

        def forward(*args, **options):
            out, gap, counts = rules.forward_padded(*args, **options)
            # Images must differ in how many tokens they have, or there is no padding to see.
            return out, gap if any(len(set(column)) > 1 for column in zip(*counts)) else 0

    single, gap = forward(model, x, **options)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    double, gap64 = forward(model.double(), x.double(), **options)
    return weights, x, single, double, min(gap, gap64)


def make(name):
    net, run, extra = TABLE[name]
    args, run = NET | net, RUN | run
    images, embed_scale = extra.get("images", 2), extra.get("embed_scale", 1.0)
    architecture = extra.get("architecture", "vit_tiny_patch16_224")
    seed = 0
    while True:
        weights, x, single, double, gap = attempt(args, run, architecture, images, embed_scale, seed)
        if gap > SMALLEST_GAP:
            break
        seed += 1
    layers = [f"layer{i:02}." for i in range(args["depth"])]
    assert torch.equal(single["source"], double["source"])
    error = (single["logits"] - double["logits"]).abs().max().item()

    def stored(key, tensor):
        if not tensor.is_floating_point():
            tensor = tensor.to(torch.uint32 if key == "source" else torch.int32)
        return tensor.clone(memory_format=torch.contiguous_format)  # without merging, names share one tensor

    expected = {key: stored(key, tensor) for key, tensor in single.items()}
    expected["logits_f64"] = double["logits"].contiguous()
    config = {
        "architecture": architecture,
        "num_classes": args["num_classes"],
        "num_features": args["embed_dim"],
        "global_pool": args["global_pool"],
        "model_args": args,
        "pretrained_cfg": {
            "input_size": [args["in_chans"], *args["img_size"]],
            "mean": [0.5] * args["in_chans"],
            "std": [0.5] * args["in_chans"],
            "interpolation": "bicubic",
            "crop_pct": 1.0,
        },
    }
    case = run | {
        "tokens_per_layer": [single["embed"].shape[1]] + [single[layer + "tokens"].shape[1] for layer in layers],
        "smallest_decisive_gap": gap if math.isfinite(gap) else None,
        "logits_f32_minus_f64": error,
        "seed": seed,
        "reference": "tome.py over timm's modules",
        "versions": {"torch": torch.__version__, "timm": timm.__version__},
    }
    folder = CASES / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    (folder / "case.json").write_text(json.dumps(case, indent=1) + "\n")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    save_file({"images": x}, folder / "input.safetensors")
    save_file(expected, folder / "expected.safetensors")
    size = sum(file.stat().st_size for file in folder.iterdir())
    assert size < 300_000, name
    tokens = " ".join(map(str, case["tokens_per_layer"]))
    print(f"| {name} | {tokens} | {run['r']} | {size / 1000:.0f} | {gap:.4f} | {error:.1e} | {seed} |", flush=True)


if __name__ == "__main__":
    print("| case | tokens | r | kB | gap | logits f32 - f64 | seed |")
    for name in sys.argv[1:] or TABLE:
        make(name)
