"""Writes resized.safetensors: what timm's transforms, which are Pillow's, make of pictures by every filter, in bytes.

    python3 make_resized.py

Run with Python 3.11, torch 2.15.0 (CPU), timm 1.0.31, pillow 13.0.0, safetensors 0.8.0.
"""
from pathlib import Path

import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

HERE = Path(__file__).resolve().parent
FILTERS = ["bicubic", "bilinear", "lanczos", "box", "hamming"]
# The network's input, the share of it that is cut out, and how it is resized.
WAYS = [((28, 28), 0.9, "center"), ((17, 40), 1.0, "center"), ((28, 19), 0.875, "squash"), ((70, 90), 1.0, "squash")]


def main():
    pictures = load_file(HERE / "pictures.safetensors")
    pictures = {name.removeprefix("picture/"): p.numpy() for name, p in pictures.items() if name.startswith("picture/")}
    first = next(iter(pictures.values()))
    # Odd sides, which grow.
    pictures["9x13"] = first[20:29, 11:24]
    out = {f"picture/{name}": torch.from_numpy(p.copy()) for name, p in pictures.items()}
    for name, pixels in pictures.items():
        for resample in FILTERS:
            for size, crop, mode in WAYS:
                # A picture that grows need not be large.
                if size == (70, 90) and name != "9x13":
                    continue
                for grey in [False, True]:
                    # What differs in grey differs in one way.
                    if grey and (size != (28, 28) or resample not in ("bicubic", "bilinear")):
                        continue
                    image = Image.fromarray(pixels)
                    image = image.convert("L") if grey else image
                    channels = 1 if grey else 3
                    transform = timm.data.create_transform(
                        (channels, *size), interpolation=resample, crop_pct=crop, crop_mode=mode, mean=(0.0,) * channels, std=(1.0,) * channels
                    )
                    made = (transform(image) * 255).round().to(torch.uint8).permute(1, 2, 0)
                    assert made.shape == (*size, channels)
                    out[f"{resample}/{mode}/{crop}/{name}/{size[0]}x{size[1]}x{channels}"] = made.contiguous()
    save_file(out, HERE / "resized.safetensors")


main()
