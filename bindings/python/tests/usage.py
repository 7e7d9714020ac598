"""The package as people use it, for the type checkers: never run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import tome_wgpu

model: tome_wgpu.Model = tome_wgpu.load("hf-hub:facebook/dinov2-small", device=0, precision="f16", mean=0.5, exif=True, jpeg="reduced")
floats: NDArray[np.float32] = np.zeros((1, 3, 224, 224), np.float32)
pixels: NDArray[np.uint8] = np.zeros((1, 224, 224, 3), np.uint8)

shaped: NDArray[np.float32] = model(model.preprocess.patches(["a.jpg", Image.new("RGB", (30, 50))]), r=13).logits
logits: NDArray[np.float32] = model(floats, r=13, want=("logits", "features")).logits
source: NDArray[np.uint32] = model(pixels, r="16:-1", want="source", metric="keys", by_size=1.0).source
features: NDArray[np.float32] = model(["a.jpg", Path("b.jpg"), b"", Image.new("RGB", (1, 1))], r=[1, 2]).features
names: list[str] = [row[0].label for row in model.classify(Path("cat.jpg"), top=1)]
for outputs in model.stream((str(path) for path in Path().iterdir()), r=model.options(13), batch_size=32):
    rows: dict[int, Exception] = outputs.errors
merged: tome_wgpu.Merged = tome_wgpu.merge(floats[0], floats[0], r=8)
back: NDArray[np.float32] = tome_wgpu.unmerge(merged.x, merged.source)
picture: Image.Image = model.visualize("cat.jpg", 13)
array: NDArray[np.uint8] = model.visualize("cat.jpg", 13, array=True)
fitted: tome_wgpu.Options = model.fit(pixels, "2x", progress=True).options
change: tome_wgpu.Interval | None = model.evaluate(["a.jpg"], [0], r=[fitted, 8]).rows[1].top1_change
encoder = tome_wgpu.Encoder("folder", r=13, want=["features"], prop_attn=True)
encoded: dict[str, NDArray[np.float32]] = encoder({"image": pixels})
tokens: tuple[int, ...] = model.plan(13).tokens
