"""Writes cases/naflexvit*: tiny networks of timm's `NaFlexVit` for pictures of one size.

    python3 make_naflexvit.py [NAME ...]

Run with Python 3.11, torch 2.15.0 (CPU), timm 1.0.31, safetensors 0.8.0. `library` is what the class computes of pictures; its weights
in timm's `VisionTransformer`, with the positions that the class itself makes of its table, give the other values through tome.py.
"""
import sys

import torch
from timm.models.naflexvit import NaFlexVit, NaFlexVitCfg
from timm.models.vision_transformer import VisionTransformer
from torch import nn

import tome
from make_autoencoders import SIZES, make
from make_layouts import CLASSES, WIDTH

PATCH = 4


def plain_state(model, grid, dtype):
    state = {name.removeprefix("embeds."): tensor.clone() for name, tensor in model.state_dict().items()}
    rows = state.pop("proj.weight")
    state["patch_embed.proj.weight"] = rows.unflatten(1, (PATCH, PATCH, 3)).permute(0, 3, 1, 2)
    state["patch_embed.proj.bias"] = state.pop("proj.bias")
    places = torch.zeros(1, grid[0] * grid[1], WIDTH, dtype=dtype)
    if state.pop("pos_embed", None) is None:
        del state["pos_embed_y"], state["pos_embed_x"]
        model.embeds._apply_factorized_pos_embed(places, list(grid))
    else:
        model.embeds._apply_learned_pos_embed(places, list(grid))
    return state | {"pos_embed": places}


def case(architecture, size, classes, **options):
    own = {"class_token": False, "reg_tokens": 0, "fc_norm": None, "final_norm": True, "init_values": None, "act_layer": None} | options
    table = {key: own.pop(key) for key in list(own) if key.startswith("pos_embed")}
    model = NaFlexVit(cfg=NaFlexVitCfg(patch_size=PATCH, **SIZES, **own, **table), img_size=size, num_classes=classes)
    grid = [side // PATCH for side in size]

    def run(x, r):
        args = dict(own, no_embed_class=True, img_size=size, num_classes=classes, patch_size=PATCH)
        if args["act_layer"] == "gelu_tanh":
            args["act_layer"] = lambda: nn.GELU(approximate="tanh")
        inner = VisionTransformer(**SIZES, **args).eval()
        inner.load_state_dict(plain_state(model, grid, x.dtype))
        return tome.forward(inner.to(x.dtype), x, r, pool="size")

    return dict(
        model=model,
        library=model,
        run=run,
        saved=model.state_dict,
        config={
            "architecture": architecture,
            "num_classes": classes,
            "global_pool": own["global_pool"],
            "pretrained_cfg": {"input_size": [3, *size], "num_classes": classes},
            "model_args": {"patch_size": PATCH} | SIZES,
        },
        x=torch.randn(2, 3, *size),
        key="images",
        prop_attn="on",
        reference="timm's NaFlexVit, and tome.py over timm's VisionTransformer",
    )


GAP = {"global_pool": "avg", "reg_tokens": 4, "fc_norm": True, "init_values": 1e-5}
RADIO = {"class_token": True, "reg_tokens": 7, "global_pool": "token", "final_norm": False, "init_values": 1e-5}
RADIO |= {"pos_embed_grid_size": (13, 13), "pos_embed_interp_mode": "bilinear", "pos_embed_ar_preserving": True, "pos_embed_antialias": False}
FEW = {"pos_embed_grid_size": (4, 4)}
TABLE = {
    "naflexvit_gap": lambda: case("naflexvit_base_patch16_gap", (20, 28), CLASSES, **GAP),
    "naflexvit_par": lambda: case("naflexvit_base_patch16_par_gap", (20, 28), CLASSES, **GAP, **FEW, pos_embed_ar_preserving=True),
    "naflexvit_parfac": lambda: case("naflexvit_base_patch16_parfac_gap", (28, 20), CLASSES, **GAP, pos_embed="factorized", pos_embed_ar_preserving=True),
    "naflexvit_map": lambda: case("naflexvit_base_patch16_map", (20, 20), CLASSES, global_pool="map", reg_tokens=1, init_values=1e-5),
    "naflexvit_siglip": lambda: case("naflexvit_base_patch16_siglip", (20, 24), 0, global_pool="map", act_layer="gelu_tanh", pos_embed_interp_mode="bilinear", **FEW),
    "naflexvit_radio": lambda: case("naflexvit_large_patch16_radio_v3", (20, 24), 0, **RADIO),
    "naflexvit_radio_corners": lambda: case("naflexvit_base_patch16_radio_v3", (20, 24), 0, **RADIO, pos_embed_align_corners=True),
}


if __name__ == "__main__":
    print("| case | tokens | kB | gap | logits f32 - f64 | seed |")
    for name in sys.argv[1:] or TABLE:
        make(TABLE, name)
