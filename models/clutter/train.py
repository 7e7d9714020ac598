"""Trains the network that finds the letter that stands twice, and writes model.safetensors and config.json beside this file.

    python3 train.py --minutes 85                                       # from nothing
    python3 train.py --minutes 33 --start model.safetensors --rate 1.5e-3    # on from weights

The learning rate follows the clock, so that it has come down to nothing when the time is up. README.md says how the
weights there came about.
"""
import argparse
import functools
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import VisionTransformer
from torch import nn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "golden"))
import tome  # noqa: E402
from scenes import LETTERS, SIZE, STANDING, Bank, few_colours, scenes  # noqa: E402

SEED, BATCH, WARMUP = 0, 16, 200
PATCH = 4
CLASSES = len(LETTERS)
# After these blocks each patch is asked, in training alone, for its letter and for its letter if that stands twice.
LETTER_AFTER, TWICE_AFTER = 4, 6
# The easy beginning, in shares of the time: until when grounds are plainer, letters stand alone, tokens look around them
# more than far away. Without the last of these nothing is learned for a long time.
EASY = (0.15, 0.3, 0.4)

MODEL_ARGS = {
    "img_size": [SIZE, SIZE],
    "patch_size": PATCH,
    "in_chans": 3,
    "embed_dim": 96,
    "depth": 8,
    "num_heads": 3,
    "mlp_ratio": 3.0,
    "qkv_bias": True,
    "class_token": True,
    "global_pool": "token",
    "num_classes": CLASSES,
    "act_layer": "gelu",
    "norm_eps": 1e-6,
}
CONFIG = {
    "architecture": "vit_tiny_patch16_224",
    "num_classes": CLASSES,
    "num_features": MODEL_ARGS["embed_dim"],
    "global_pool": "token",
    "model_args": MODEL_ARGS,
    "pretrained_cfg": {
        "input_size": [3, SIZE, SIZE],
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "interpolation": "bicubic",
        "crop_pct": 1.0,
    },
    "label_names": list(LETTERS),
}


def build():
    """The network of config.json (timm has no string for the LayerNorm epsilon, so `norm_eps` is ours)."""
    args = dict(MODEL_ARGS)
    eps = args.pop("norm_eps")
    return VisionTransformer(**args, norm_layer=functools.partial(nn.LayerNorm, eps=eps))


def places(side, width):
    """Sines and cosines of row and column [side * side, width]: where the learned positions start."""
    quarter = width // 4
    waves = torch.arange(side)[:, None] * torch.exp(-math.log(50) * torch.arange(quarter) / quarter)
    line = torch.cat([waves.sin(), waves.cos()], 1)
    rows, columns = line[:, None].expand(-1, side, -1), line[None].expand(side, -1, -1)
    return torch.cat([rows, columns], 2).reshape(side * side, width)


def normalise(pixels):
    """[N, H, W, 3] of 8 bits -> [N, 3, H, W]."""
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5


def in_patches(inside):
    """Which letter stands in each patch [N, patches], CLASSES for none, from scenes()'s map of pixels."""
    n, side = len(inside), SIZE // PATCH
    pixels = torch.from_numpy(inside).view(n, side, PATCH, side, PATCH).transpose(2, 3).reshape(n, side * side, -1)
    letter = pixels.max(2).values
    return torch.where((pixels >= 0).sum(2) >= 2, letter, CLASSES)


def nearness(side):
    """Minus the squared distance of each two tokens in patches [tokens, tokens]; the class token is near to all."""
    rows, columns = torch.arange(side).repeat_interleave(side), torch.arange(side).repeat(side)
    apart = (rows[:, None] - rows) ** 2 + (columns[:, None] - columns) ** 2
    return F.pad(-apart.float(), (1, 0, 1, 0))


class Trained(nn.Module):
    """The network with the two heads of training."""

    def __init__(self):
        super().__init__()
        self.vit, width = build(), MODEL_ARGS["embed_dim"]
        with torch.no_grad():
            self.vit.pos_embed[:, 1:] = places(SIZE // PATCH, width) * 0.3
        self.heads = nn.ModuleList(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, CLASSES + 1)) for _ in range(2))
        self.register_buffer("near", nearness(SIZE // PATCH))

    def forward(self, x, short_sight):
        """Up to the first head's block tokens look around them the less far the larger `short_sight` is."""
        mask = (short_sight * self.near).to(torch.bfloat16) if short_sight > 0 else None
        x = self.vit._pos_embed(self.vit.patch_embed(x))
        asked = []
        for i, block in enumerate(self.vit.blocks):
            x = block(x, attn_mask=mask if i <= LETTER_AFTER else None)
            if i in (LETTER_AFTER, TWICE_AFTER):
                asked.append(self.heads[len(asked)](x[:, 1:]).float())
        return self.vit.head(self.vit.norm(x[:, 0])).float(), *asked


def altered(rng, pixels):
    """Pictures, every second with a palette, and all with other brightness and contrast."""
    pixels = pixels.copy()
    for i in range(0, len(pixels), 2):
        pixels[i] = few_colours(pixels[i], int(rng.integers(16, 65))).convert("RGB")
    n = len(pixels)
    gain, shift = (rng.uniform(*ends, (n, 3, 1, 1)).astype(np.float32) for ends in ((0.75, 1.1), (-0.1, 0.1)))
    return (normalise(pixels) * torch.from_numpy(gain) + torch.from_numpy(shift)).clamp(-1, 1)


def check(model, pixels, labels, r):
    """Share of right answers in percent with `r` tokens merged in each block."""
    right = 0
    for x, y in zip(normalise(pixels).split(64), torch.from_numpy(labels).split(64)):
        right += (tome.forward(model, x, str(r))[0]["logits"].argmax(1) == y).sum().item()
    return 100 * right / len(labels)


def pictures_to_watch():
    """Pictures that are neither trained on nor held out, and their classes."""
    rng = np.random.default_rng(1)
    pixels, classes, _ = scenes(rng, Bank(rng, 50), 256)
    return np.stack([few_colours(picture).convert("RGB") for picture in pixels]), classes


def save(model, path):
    save_file({k: t.detach().half().contiguous() for k, t in model.state_dict().items()}, path, metadata={"format": "pt"})


def main():
    ask = argparse.ArgumentParser()
    ask.add_argument("--minutes", type=float, default=85)
    ask.add_argument("--rate", type=float, default=3e-3)
    ask.add_argument("--threads", type=int, default=1)
    ask.add_argument("--start", type=Path, help="weights to go on from, without the easy beginning")
    ask.add_argument("--out", type=Path, default=HERE)
    given = ask.parse_args()
    torch.manual_seed(SEED)
    torch.set_num_threads(given.threads)
    rng = np.random.default_rng(SEED)
    bank = Bank(rng, 1000)
    watched = pictures_to_watch()

    model, easy = Trained().train(), given.start is None
    if given.start:
        model.vit.load_state_dict({name: t.float() for name, t in load_file(given.start).items()})
        rng = np.random.default_rng(SEED + 100)
    blocks = [p for name, p in model.vit.blocks.named_parameters() if p.ndim == 2]
    known = {id(p) for p in blocks}
    rest = [p for p in model.parameters() if id(p) not in known]
    optimizers = [
        torch.optim.Muon(blocks, lr=given.rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=given.rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    asked_weight = [torch.ones(CLASSES + 1), torch.ones(CLASSES + 1)]
    asked_weight[0][-1], asked_weight[1][-1] = 0.3, 0.1
    (given.out / "config.json").write_text(json.dumps(CONFIG, indent=1) + "\n")

    start, told, checked, step, sums = time.time(), time.time(), time.time(), 0, []
    while (past := (time.time() - start) / (60 * given.minutes)) < 1:
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = given.rate * min((step + 1) / WARMUP, 1, (1 - past) / (0.7 if easy else 1))
        # At first every other batch shows letters alone, on plain grounds.
        standing = 23 if easy and past < EASY[1] and step % 2 else STANDING
        clutter = min(1, past / EASY[0]) if easy else 1
        pixels, classes, inside = scenes(rng, bank, BATCH, standing=standing, clutter=clutter)
        classes, letters = torch.from_numpy(classes), in_patches(inside)
        twice = torch.where(letters == classes[:, None], letters, CLASSES)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            answer, letter, pair = model(altered(rng, pixels), 0.3 * max(0, 1 - past / EASY[2]) if easy else 0)
        losses = [
            F.cross_entropy(answer, classes),
            F.cross_entropy(letter.flatten(0, 1), letters.flatten(), asked_weight[0]),
            F.cross_entropy(pair.flatten(0, 1), twice.flatten(), asked_weight[1]),
        ]
        # The heads learn as fast whatever the factor; it keeps untrained ones from changing a trained network.
        loss = losses[0] + min(1, (step + 1) / WARMUP) * (losses[1] + 0.5 * losses[2])
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        step += 1
        known_letter = letters != CLASSES
        found = (letter.argmax(2) == letters)[known_letter].float().mean().item()
        sums.append([l.item() for l in losses] + [found, (answer.argmax(1) == classes).float().mean().item()])
        if time.time() - told > 30:
            told, mean = time.time(), np.mean(sums, 0)
            print(
                f"{(told - start) / 60:5.1f} min, {step * BATCH} pictures: loss {mean[0]:.3f}, letter {mean[1]:.3f}, "
                f"twice {mean[2]:.3f}; letters {100 * mean[3]:.1f} %, answers {100 * mean[4]:.1f} %",
                flush=True,
            )
            sums = []
        if time.time() - checked > 400:
            model.eval()
            save(model.vit, given.out / "model.safetensors")
            # As inference is: with the sight that it will have, so that this says little before sight is full.
            shares = [f"r {r}: {check(model.vit, *watched, r):.1f} %" for r in (0, 12, 24)]
            print("      " + ", ".join(shares), flush=True)
            model.train()
            checked = time.time()
    print(f"{step * BATCH} pictures", flush=True)
    save(model.vit, given.out / "model.safetensors")


if __name__ == "__main__":
    main()
