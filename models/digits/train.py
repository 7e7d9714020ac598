"""Trains the small digit classifier that ships with the crate, and writes everything next to this file.

    python3 train.py          # 23 minutes on two CPU cores

Writes model.safetensors, config.json, heldout.bin and digit_*.png; `evaluate.py` measures the result.
Run with Python 3.11, torch 2.15.0 (CPU), timm 1.0.31, scikit-learn 1.9.1, safetensors 0.8.0, Pillow 13.0.0,
numpy 2.4.6; seed 0 throughout. Another version or thread count trains a slightly different network.
"""
import functools
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from timm.models.vision_transformer import VisionTransformer
from torch import nn

HERE = Path(__file__).resolve().parent
SEED = 0
SIZE = 56
HELD_OUT = 450
BATCH = 64
# (epochs, share of the patches left out at random). Patch dropout makes the early epochs several times cheaper and
# is a strong augmentation on 1347 pictures; the last phase sees every patch, as inference does. Nothing is merged.
PHASES = [(150, 0.75), (100, 0.5), (50, 0.0)]

MODEL_ARGS = {
    "img_size": [SIZE, SIZE],
    "patch_size": 4,
    "in_chans": 1,
    "embed_dim": 64,
    "depth": 8,
    "num_heads": 4,
    "mlp_ratio": 2.0,
    "qkv_bias": True,
    "class_token": True,
    "global_pool": "token",
    "num_classes": 10,
    "act_layer": "gelu",
    "norm_eps": 1e-6,
}
CONFIG = {
    "architecture": "vit_tiny_patch16_224",
    "num_classes": 10,
    "num_features": 64,
    "global_pool": "token",
    "model_args": MODEL_ARGS,
    "pretrained_cfg": {
        "input_size": [1, SIZE, SIZE],
        "mean": [0.5],
        "std": [0.5],
        "interpolation": "bicubic",
        "crop_pct": 1.0,
    },
    "label_names": [str(digit) for digit in range(10)],
}


def build(**extra):
    """The network of config.json (timm has no string for the LayerNorm epsilon, so `norm_eps` is ours)."""
    args = dict(MODEL_ARGS)
    eps = args.pop("norm_eps")
    return VisionTransformer(**args, norm_layer=functools.partial(nn.LayerNorm, eps=eps), **extra)


def load_split():
    """8-bit 8x8 pictures and labels, stratified into training and held-out parts."""
    data = load_digits()
    pixels = np.round(data.images * 255 / 16).astype(np.uint8)
    return train_test_split(pixels, data.target, test_size=HELD_OUT, stratify=data.target, random_state=SEED)


def enlarge(pixels, filter=Image.BICUBIC):
    """One 8x8 picture -> 56x56, both 8-bit grey."""
    return Image.fromarray(pixels).resize((SIZE, SIZE), filter)


def to_unit(pictures):
    """PIL pictures -> [N,1,H,W] in 0..1."""
    return torch.from_numpy(np.stack([np.asarray(p) for p in pictures])).float().div(255).unsqueeze(1)


def normalise(unit):
    return (unit - 0.5) / 0.5


def uniform(n, low, high):
    return torch.empty(n).uniform_(low, high)


def augment(x):
    """Light random affine map and contrast change of pictures in 0..1 (0 = paper, so zero padding is paper too)."""
    n = len(x)
    angle, scale = uniform(n, -12, 12) * math.pi / 180, uniform(n, 0.87, 1.15)
    shear, shift = uniform(n, -0.15, 0.15), uniform((n, 2), -0.2, 0.2)
    cos, sin = angle.cos() / scale, angle.sin() / scale
    row0 = torch.stack([cos, shear - sin, shift[:, 0]], 1)
    row1 = torch.stack([sin, cos, shift[:, 1]], 1)
    grid = F.affine_grid(torch.stack([row0, row1], 1), x.shape, align_corners=False)
    x = F.grid_sample(x, grid, align_corners=False).clamp(0, 1)
    gamma, gain = uniform((n, 1, 1, 1), -0.3, 0.3).exp(), uniform((n, 1, 1, 1), 0.8, 1.0)
    return x ** gamma * gain


def train(variants, labels):
    """`variants`: the training pictures enlarged in several ways, the first of them the way inference does it."""
    model = build(patch_drop_rate=0.5, drop_path_rate=0.05).train()
    decay = [p for p in model.parameters() if p.ndim == 2]
    rest = [p for p in model.parameters() if p.ndim != 2]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}], lr=1e-3
    )
    per_epoch = len(labels) // BATCH
    total = per_epoch * sum(epochs for epochs, _ in PHASES)
    warmup = total // 20
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda s: min((s + 1) / warmup, 0.5 * (1 + math.cos(math.pi * max(0, s - warmup) / (total - warmup))) + 1e-3),
    )
    start, epoch = time.time(), 0
    for epochs, dropped in PHASES:
        model.patch_drop.prob = dropped
        for _ in range(epochs):
            order, losses = torch.randperm(len(labels)), []
            for step in range(per_epoch):
                pick = order[step * BATCH : (step + 1) * BATCH]
                way = torch.multinomial(torch.tensor([0.7, 0.15, 0.15]), len(pick), replacement=True)
                x = normalise(augment(variants[way, pick]))
                loss = F.cross_entropy(model(x), labels[pick], label_smoothing=0.05)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                losses.append(loss.item())
            epoch += 1
            if epoch % 10 == 0:
                print(f"epoch {epoch:3} loss {np.mean(losses):.4f} {time.time() - start:.0f} s", flush=True)
    return model


def main():
    torch.manual_seed(SEED)
    train_pixels, held_pixels, train_labels, held_labels = load_split()

    # The held-out file: 450 records of 64 pixels (8-bit grey, row by row) and one label byte.
    records = np.concatenate([held_pixels.reshape(HELD_OUT, 64), held_labels.astype(np.uint8)[:, None]], 1)
    (HERE / "heldout.bin").write_bytes(records.tobytes())
    (HERE / "config.json").write_text(json.dumps(CONFIG, indent=1) + "\n")
    for digit in (0, 3, 5, 8):
        first = int(np.flatnonzero(held_labels == digit)[0])
        enlarge(held_pixels[first]).save(HERE / f"digit_{digit}.png")
        print(f"digit_{digit}.png is held-out record {first}")

    filters = (Image.BICUBIC, Image.BILINEAR, Image.LANCZOS)
    variants = torch.stack([to_unit([enlarge(p, f) for p in train_pixels]) for f in filters])
    # The number of epochs is fixed beforehand and the last one is kept: the held-out part takes no part in training.
    model = train(variants, torch.from_numpy(train_labels))
    weights = {name: tensor.detach().half().contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, HERE / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    main()
