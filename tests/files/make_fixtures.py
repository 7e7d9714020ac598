"""Writes positions.safetensors and pictures.safetensors: what other libraries make of position embeddings and of pictures.

    python3 make_fixtures.py [FOLDER]

Run with Python 3.11, torch 2.15.0 (CPU), timm 1.0.31, transformers 5.23.0, pillow 13.0.0, safetensors 0.8.0. With a FOLDER
it writes there a pictures.safetensors of large pictures instead, which the test takes where TOME_PICTURES_DIR names it.
"""
import json
import math
import sys
from pathlib import Path

import numpy as np
import timm
import torch
import transformers as hf
from PIL import Image
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed
from torch.nn.functional import interpolate

HERE = Path(__file__).resolve().parent
CHANNELS = 4


def transformers_positions(cls, config, state, size):
    """A family's own embeddings with patches of one pixel."""
    embeddings = cls(config(hidden_size=CHANNELS, image_size=5, patch_size=1, num_attention_heads=1))
    name = "position_embedding.weight" if hasattr(embeddings, "position_embedding") else "position_embeddings"
    with torch.no_grad():
        if name == "position_embeddings":
            embeddings.position_embeddings.copy_(state)
        else:
            embeddings.position_embedding.weight.copy_(state[0, -embeddings.position_embedding.weight.shape[0] :])
    prefix = state.shape[1] - 25
    out = embeddings.interpolate_pos_encoding(torch.zeros(1, size[0] * size[1] + prefix, CHANNELS), *size).detach()
    return out if out.shape[1] == size[0] * size[1] + prefix else torch.cat([state[:, :prefix], out], 1)


def dinov2_positions(state, size):
    """DINOv2's own code as its paper's repository describes it: a scale with 0.1 added."""
    patches = state[:, 1:].reshape(1, 5, 5, CHANNELS).permute(0, 3, 1, 2)
    scale = tuple((side + 0.1) / 5 for side in size)
    out = interpolate(patches, scale_factor=scale, mode="bicubic")
    assert out.shape[2:] == size
    return torch.cat([state[:, :1], out.permute(0, 2, 3, 1).reshape(1, -1, CHANNELS)], 1)


def positions():
    torch.manual_seed(0)
    square, rect = torch.randn(1, 1 + 25, CHANNELS), torch.randn(1, 1 + 4 * 6, CHANNELS)
    out = {"square": square, "rect": rect}
    families = {
        "vit": (hf.models.vit.modeling_vit.ViTEmbeddings, hf.ViTConfig),
        "deit": (hf.models.deit.modeling_deit.DeiTEmbeddings, hf.DeiTConfig),
        "dinov2": (hf.models.dinov2.modeling_dinov2.Dinov2Embeddings, hf.Dinov2Config),
        "dinov2_with_registers": (
            hf.models.dinov2_with_registers.modeling_dinov2_with_registers.Dinov2WithRegistersEmbeddings,
            hf.Dinov2WithRegistersConfig,
        ),
        "clip": (hf.models.clip.modeling_clip.CLIPVisionEmbeddings, hf.CLIPVisionConfig),
        "vit_mae": (hf.models.vit_mae.modeling_vit_mae.ViTMAEEmbeddings, hf.ViTMAEConfig),
    }
    for size in [(8, 8), (3, 3), (2, 7), (13, 4), (1, 1), (6, 5), (37, 3)]:
        text = f"{size[0]}x{size[1]}"
        out[f"timm/square/{text}"] = resample_abs_pos_embed(square, size, num_prefix_tokens=1)
        out[f"timm/rect/{text}"] = resample_abs_pos_embed(rect, size, old_size=(4, 6), num_prefix_tokens=1)
        out[f"original/square/{text}"] = dinov2_positions(square, size)
        for family, (cls, config) in families.items():
            state = torch.cat([square[:, :1], square], 1) if family == "deit" else square
            made = transformers_positions(cls, config, state, size)
            out[f"{family}/square/{text}"] = made[:, 1:] if family == "deit" else made
    save_file({k: v.contiguous() for k, v in out.items()}, HERE / "positions.safetensors")


def picture(height, width, seed):
    """Smooth noise with edges in it: flat shapes, a fine grid and a ramp."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(float)
    channels = []
    for _ in range(3):
        value = np.full((height, width), 120.0)
        for _ in range(12):
            fy, fx = rng.normal(0, 8, 2)
            value += rng.normal(0, 16) * np.sin(2 * math.pi * (fy * y / height + fx * x / width) + rng.uniform(0, 6.3))
        channels.append(value)
    image = np.stack(channels, 2)
    for _ in range(6):
        cy, cx, radius = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(0.05, 0.3) * min(height, width)
        image[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = rng.uniform(0, 255, 3)
    image[(y.astype(int) % 7 == 0) & (x < width / 4)] = 255
    image[y > height * 0.9] = (x / width * 255)[y > height * 0.9][:, None]
    return np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)


def pictures(folder, side, sizes):
    edge = {"size": {"shortest_edge": side * 8 // 7}, "crop_size": {"height": side, "width": side}}
    square = {"size": {"height": side, "width": side}}
    processors = {
        "hf_vit_classifier": hf.ViTImageProcessorPil(**square),
        "hf_deit_classifier": hf.DeiTImageProcessorPil(size={"height": side * 8 // 7, "width": side * 8 // 7}, crop_size=square["size"]),
        "hf_clip_vision": hf.CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size=square["size"]),
        "hf_dinov2_classifier": hf.BitImageProcessorPil(**edge, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]),
        "hf_siglip_classifier": hf.SiglipImageProcessorPil(**square),
        "hf_dinov3": hf.DINOv3ViTImageProcessor(**square),
    }
    out, said = {}, {name: json.dumps(p.to_dict()) for name, p in processors.items()}
    for seed, (height, width) in enumerate(sizes):
        pixels = picture(height, width, seed)
        out[f"picture/{height}x{width}"] = torch.from_numpy(pixels)
        image = Image.fromarray(pixels)
        for name, processor in processors.items():
            made = processor(images=image, return_tensors="pt").pixel_values[0]
            assert made.shape == (3, side, side)
            out[f"{name}/{height}x{width}"] = made
        for mode, crop in [("center", 0.9), ("squash", 1.0)]:
            transform = timm.data.create_transform((3, side, side), interpolation="bicubic", crop_pct=crop, crop_mode=mode, mean=(0.5,) * 3, std=(0.5,) * 3)
            out[f"timm_{mode}/{height}x{width}"] = transform(image)
    save_file({k: v.contiguous() for k, v in out.items()}, Path(folder) / "pictures.safetensors", metadata=said)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        pictures(sys.argv[1], 224, [(480, 641), (1200, 803), (225, 500), (1001, 1001)])
    else:
        positions()
        pictures(HERE, 28, [(61, 48), (40, 75)])
