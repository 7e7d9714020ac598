"""Holds the architectures that are known by name against timm, and counts what of timm's published networks is accepted.

    cargo build --release --example inspect
    python3 check_presets.py target/release/examples/inspect

Run with Python 3.11 and timm 1.0.31. For each of timm's published Vision Transformers (and for each that is not published and
has a row) timm builds the network without its numbers; a folder is made of its own config and of the names and shapes of its
tensors, as its hub has it, and the program is asked what that is. What it takes is compared with timm's network option by option;
what it refuses is listed with the reason.
"""
import collections
import json
import re
import struct
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import timm
import torch
from torch import nn

MODULES = "vision_transformer eva deit beit naflexvit vision_transformer_hybrid vision_transformer_relpos vision_transformer_sam"
ACTIVATIONS = {"GELU": "Gelu", "GELUTanh": "GeluTanh", "QuickGELU": "QuickGelu", "SiLU": "Silu"}
FILTERS = {"bicubic": "Bicubic", "bilinear": "Bilinear"}
CROPS = {"center": "Shortest", "squash": "Squash"}


def build(name):
    """Without a name's training: its classes come from the config."""
    config = timm.get_pretrained_cfg(name)
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return timm.create_model(name, num_classes=config.num_classes), config
        except TypeError:  # SAM's encoder
            return timm.create_model(name), config


def write_holes(state, path):
    """Names and shapes as safetensors, and a hole in the file for the numbers."""
    header, end = {}, 0
    for key, tensor in state.items():
        size = 2 * tensor.numel()
        header[key] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


def folder_of(name, model, config, parent):
    """As `save_for_hf` writes it, but for the numbers."""
    folder = parent / name
    folder.mkdir()
    written = {"architecture": model.pretrained_cfg["architecture"], "num_classes": model.num_classes}
    written |= {"num_features": model.num_features, "global_pool": getattr(model, "global_pool", None)}
    written["pretrained_cfg"] = config.to_dict()
    (folder / "config.json").write_text(json.dumps(written))
    write_holes(model.state_dict(), folder / "model.safetensors")
    return folder


def ours(line):
    """The fields of the program's config."""
    fields = dict(re.findall(r"\b(\w+): (\[[^\]]*\]|\"[^\"]*\"|[\w.+-]+)", line))
    read = {"true": True, "false": False, "None": None}
    return {key: read.get(value, value) for key, value in fields.items()}


def timms(model, cfg):
    """The same of timm's network, as far as names and shapes do not show it."""
    block = model.blocks[0]
    attention = getattr(block, "attn", block)
    eps = {m.eps for m in model.modules() if isinstance(m, nn.LayerNorm) or "RmsNorm" in type(m).__name__}
    assert len(eps) == 1, eps
    pool = {"token": "Token", "avg": "Average", "map": "Attention"}[model.global_pool]
    out = {
        "embed_dim": str(model.embed_dim),
        "depth": str(len(model.blocks)),
        "num_heads": str(attention.num_heads),
        "pool": "Distilled" if hasattr(model, "dist_token") else pool,
        "norm_eps": eps.pop(),
        "patch_size": list(getattr(model, "patch_embed", getattr(model, "embeds", None)).patch_size),
        "image_size": list(cfg.input_size[1:]),
        "num_classes": str(model.num_classes),
        "mean": list(cfg.mean),
        "std": list(cfg.std),
        "resample": FILTERS[cfg.interpolation],
        "resize": CROPS[cfg.crop_mode],
        "crop": cfg.crop_pct,
        "norm": "Rms" if "RmsNorm" in type(getattr(block, "norm1", getattr(block, "in_norm", None))).__name__ else "Layer",
        "no_embed_class": getattr(model, "no_embed_class", False),
    }
    if hasattr(model, "embeds"):
        # Positions of patches alone, and how they are resampled; those by rows and columns never with antialiasing.
        out["no_embed_class"] = model.num_prefix_tokens > 0
        factors = model.embeds.pos_embed_type == "factorized"
        out["antialias"] = model.embeds.pos_embed_antialias and not factors
        out["linear"] = factors or model.embeds.pos_embed_interp_mode == "bilinear"
        out["corners"] = model.embeds.pos_embed_align_corners
        out["square"] = model.embeds.pos_embed_ar_preserving
    mlp = getattr(block, "mlp", None)
    if mlp is not None:
        kind = type(mlp).__name__
        assert kind in ("Mlp", "GluMlp", "SwiGLU"), kind
        gate = "GateApart" if kind == "SwiGLU" else "GateLast" if getattr(mlp, "gate_last", False) else "GateFirst"
        out["mlp"] = "Plain" if kind == "Mlp" else gate
        out["activation"] = ACTIVATIONS[type(mlp.act).__name__]
    return out


def timms_rotary(model):
    """timm's rotary positions, as the program's config shows them."""
    rope = getattr(model, "rope", None)
    if rope is None:
        return "rotary: None"
    numbers = {"first": float(getattr(rope, "grid_offset", 0.0)), "reference": getattr(rope, "ref_feat_shape", None)}
    angles = f"Powers {{ theta: {float(rope.temperature)} }}"
    coordinates = "Centres"
    if type(rope).__name__ == "RotaryEmbeddingMixed":
        angles = "Learned"
    if type(rope).__name__ != "RotaryEmbeddingDinoV3":
        reference = f"Some({list(numbers['reference'])})" if numbers["reference"] else "None"
        coordinates = f"Numbers {{ first: {numbers['first']}, reference: {reference} }}"
    first, halves = (str(v).lower() for v in (rope.grid_indexing == "xy", bool(model.blocks[0].attn.rotate_half)))
    return f"rotary: Some(Rotary {{ coordinates: {coordinates}, angles: {angles}, columns_first: {first}, halves: {halves} }})"


def timms_relative(model):
    """timm's relative position bias, likewise."""
    attention = getattr(model.blocks[0], "attn", None)
    of_block, shared = getattr(attention, "rel_pos", None), getattr(model, "shared_rel_pos", None)
    if mlp := of_block or shared:
        source = f"Mlp {{ hidden: {mlp.mlp.fc1.out_features} }}"
    elif getattr(attention, "relative_position_bias_table", None) is not None:
        of_block, source = True, "Table(Progression)"
    else:
        return "relative: None"
    there = [str(part is not None).lower() for part in (of_block, shared)]
    return f"relative: Some(Relative {{ of_blocks: {there[0]}, shared: {there[1]}, source: {source} }})"


def same(key, ours, theirs):
    if isinstance(theirs, list):
        return all(abs(a - b) < 1e-6 for a, b in zip(json.loads(ours), theirs, strict=True))
    return abs(float(ours) - theirs) < 1e-6 * max(1e-6, abs(theirs)) if isinstance(theirs, float) else ours == theirs


if __name__ == "__main__":
    published = [name for module in MODULES.split() for name in timm.list_models(module=module, pretrained=True)]
    accepted, refused = 0, collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as parent:
        built = {name: build(name) for name in published}
        folders = [folder_of(name, *built[name], Path(parent)) for name in published]
        lines = subprocess.run([sys.argv[1], *folders], check=True, capture_output=True, text=True).stdout.splitlines()
    for name, line in zip(published, lines, strict=True):
        _, verdict, rest = line.split("\t")
        if verdict == "refused":
            # Without what differs from name to name.
            refused[rest.split("is not supported: ")[-1].split(", among them")[0]].append(name)
            continue
        accepted += 1
        got, want = ours(rest), timms(*built[name])
        differing = {key: (got.get(key), value) for key, value in want.items() if not same(key, got.get(key), value)}
        assert not differing, f"{name}: {differing}"
        for part in (timms_rotary(built[name][0]), timms_relative(built[name][0])):
            assert part in rest, f"{name}: {part}"
    print(f"{accepted} of {len(published)} published networks are accepted, each as timm has it; refused are")
    for reason, names in sorted(refused.items(), key=lambda item: -len(item[1])):
        print(f"{len(names):4} {reason}: {' '.join(sorted({name.split('.')[0] for name in names}))}")
