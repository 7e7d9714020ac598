"""Holds the tables of architectures in src/vit/presets against timm.

    python3 check_presets.py

Run with Python 3.11 and timm 1.0.31. For each row timm builds the network (without its numbers), and everything that the
row says is compared; then the architectures of timm that have no row are listed with the reason.
"""
import re
import warnings
from pathlib import Path

import timm
import torch
from torch import nn
from timm.models.vision_transformer import Block, VisionTransformer

PRESETS = Path(__file__).resolve().parents[2] / "src/vit/presets"
SOURCE = "\n".join((PRESETS / f"{name}.rs").read_text() for name in ("families", "timm", "dinov2"))
OPTIONS = {
    "mlp": "Plain", "activation": "GELU", "qkv_bias": True, "pool": "Token", "class_token": True, "dist_token": False,
    "reg_tokens": 0, "no_embed_class": False, "pre_norm": False, "fc_norm": None, "final_norm": True, "layer_scale": False,
    "norm_eps": 1e-6,
}
METHODS = {
    "with_class_token": {"class_token": True}, "unplaced": {"no_embed_class": True}, "scaled": {"layer_scale": True},
    "tanh": {"activation": "GELU_TANH"}, "no_qkv_bias": {"qkv_bias": False}, "no_final_norm": {"final_norm": False},
}
ACTIVATIONS = {"GELU": "GELU", "GELUTanh": "GELU_TANH", "QuickGELU": "QUICK_GELU", "SiLU": "SILU"}


def value(text):
    text = text.strip().rsplit("::", 1)[-1]
    some = re.fullmatch(r"Some\((\w+)\)", text)
    text = some[1] if some else text
    if text in ("true", "false", "None"):
        return {"true": True, "false": False, "None": None}[text]
    return eval(text) if text[0].isdigit() else text


def table():
    """The rows, with families and sizes spelt out."""
    sizes = {n: [eval(v) for v in args.split(",")] for n, args in re.findall(r"const (\w+): Size = size\((.*?)\);", SOURCE)}
    families = {}
    for name, fields in re.findall(r"const (\w+): Family =\s*Family \{(.*?)\};", SOURCE, re.S):
        fields = re.sub(r"position_resample: .*?\},?", "", fields, flags=re.S)
        base = re.search(r"\.\.(\w+)", fields)
        said = {k: value(v) for k, v in re.findall(r"(\w+): ([\w:().\-]+)", fields)}
        families[name] = (families[base[1]] if base else OPTIONS) | said
    for row in re.findall(r"^    row\((.*)\),$", SOURCE, re.M):
        name, size, patch, pixels, family, picture, crop, classes = row.split(", ")
        base, *methods = family.split(".")
        options = dict(families[base])
        for method in methods:
            registers = re.fullmatch(r"registers\((\d+)\)", method)
            options |= {"reg_tokens": int(registers[1])} if registers else METHODS.get(method[:-2], {})
        yield name.strip('"'), sizes[size], int(patch), int(pixels), options, picture, float(crop), int(classes)


def timms(model):
    """The same of timm's network."""
    block = model.blocks[0]
    glu = type(block.mlp).__name__ == "GluMlp" and not block.mlp.gate_last
    assert glu or type(block.mlp).__name__ == "Mlp"
    dist = hasattr(model, "dist_token")
    fc_norm = isinstance(model.fc_norm, nn.LayerNorm)
    eps = {m.eps for m in model.modules() if isinstance(m, nn.LayerNorm)}
    assert len(eps) == 1
    pool = {"token": "Distilled" if dist else "Token", "avg": "Average", "map": "Attention"}[model.global_pool]
    return [model.embed_dim, len(model.blocks), block.attn.num_heads, block.mlp.fc2.in_features], {
        "mlp": "GateFirst" if glu else "Plain",
        "activation": ACTIVATIONS[type(block.mlp.act).__name__],
        "qkv_bias": block.attn.qkv.bias is not None,
        "pool": pool,
        "class_token": model.cls_token is not None,
        "dist_token": dist,
        "reg_tokens": 0 if model.reg_token is None else model.reg_token.shape[1],
        "no_embed_class": model.no_embed_class,
        "pre_norm": isinstance(model.norm_pre, nn.LayerNorm),
        "fc_norm": fc_norm,
        "final_norm": fc_norm or isinstance(model.norm, nn.LayerNorm),
        "layer_scale": not isinstance(block.ls1, nn.Identity),
        "norm_eps": eps.pop(),
    }


def timms_picture(cfg):
    names = {0.485: "IMAGENET", 0.5: "HALF", 0.48145466: "OPENAI", 0.0: "UNIT"}
    picture = names[cfg["mean"][0]]
    picture += "" if cfg["interpolation"] == "bicubic" else ".bilinear()"
    return picture + {"center": "", "squash": ".squash()"}[cfg["crop_mode"]]


def build(name):
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return timm.create_model(name)


def why_not(model):
    if not isinstance(model, VisionTransformer):
        return None
    block = model.blocks[0]
    if type(block) is not Block:
        return type(block).__name__
    if type(block.attn).__name__ != "Attention":
        return type(block.attn).__name__
    if not isinstance(block.norm1, nn.LayerNorm):
        return type(block.norm1).__name__
    if isinstance(block.attn.norm, nn.LayerNorm):
        return "scale_attn_norm"
    return "made for timm's own tests" if model.embed_dim < 128 else "NO REASON"


if __name__ == "__main__":
    rows = list(table())
    for name, size, patch, pixels, options, picture, crop, classes in rows:
        if name.startswith("dinov2_"):
            # DINOv2's own name for what timm has under another.
            name = f"vit_{dict(s='small', b='base', l='large', g='giant')[name[10]]}_patch14_{'reg4_' if 'reg' in name else ''}dinov2"
        model = build(name)
        cfg = model.pretrained_cfg
        shape, theirs = timms(model)
        hidden = int(size[0] * size[3])
        ours = options | {"fc_norm": options["pool"] == "Average" if options["fc_norm"] is None else options["fc_norm"]}
        said = (size[:3] + [hidden // 2 if options["mlp"] == "GateFirst" else hidden], ours, (patch, patch), (pixels, pixels), picture, crop, classes)
        truth = (shape, theirs, model.patch_embed.patch_size, model.patch_embed.img_size, timms_picture(cfg), cfg["crop_pct"], model.num_classes)
        assert said == truth, f"{name}:\n{said}\n{truth}"
        assert tuple(cfg["input_size"]) == (3, pixels, pixels) and cfg["num_classes"] == classes, name
        assert (model.patch_embed.proj.bias is None) == options["pre_norm"], name
        assert model.blocks[0].attn.proj.bias is not None and model.pos_embed is not None, name
        positions = (pixels // patch) ** 2 + (0 if options["no_embed_class"] else model.num_prefix_tokens)
        assert model.pos_embed.shape[1] == positions, name
    print(len(rows), "rows agree")
    known = {row[0] for row in rows}
    for module in ("vision_transformer", "deit"):
        for name in timm.list_models(module=module):
            if name not in known and (reason := why_not(build(name))):
                print(f"no row: {name}: {reason}")
