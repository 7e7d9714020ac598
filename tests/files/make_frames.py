"""Writes frames.safetensors: a clip of six frames as files of several kinds, and what transformers' processors make of it.

    python3 make_frames.py

Run with Python 3.11, numpy 2.4.6, Pillow 13.0.0, transformers 5.24.0, safetensors 0.8.0. Frames come from the GIF as Pillow gives
them, by Image.seek(i).convert("RGB"); the other files hold the same pixels. The GIF's frames are parts of the canvas, as Pillow
writes them.
"""
import io
from pathlib import Path

import numpy as np
import transformers as hf
from PIL import Image, ImageSequence
from safetensors.numpy import save_file

rng = np.random.default_rng(0)
ground = np.repeat(np.repeat(rng.integers(0, 256, (5, 6, 3)), 7, 0), 7, 1).astype(np.uint8)
drawn = []
for i in range(6):
    frame = ground.copy()
    frame[3 + 4 * i : 11 + 4 * i, 2 + 6 * i : 12 + 6 * i] = (250, 20 + 30 * i, 20)
    drawn.append(Image.fromarray(frame).quantize(64).convert("RGB"))


def file(kind, frames, **options):
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], **options)
    return np.frombuffer(out.getvalue(), dtype=np.uint8).copy()


tensors = {"gif": file("GIF", drawn, duration=50)}
frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(Image.open(io.BytesIO(tensors["gif"].tobytes())))]
assert len(frames) == 6
tensors["png"] = file("PNG", frames, duration=50)
tensors["webp"] = file("WEBP", frames, lossless=True, exact=True)
tensors["frames"] = np.stack([np.asarray(frame) for frame in frames])
arrays = [np.asarray(frame) for frame in frames]
values = hf.VideoMAEImageProcessorPil(size={"shortest_edge": 20}, crop_size={"height": 16, "width": 16}, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
tensors["videomae"] = values(arrays, return_tensors="np").pixel_values[0].astype(np.float32)
values = hf.VivitImageProcessor(size={"shortest_edge": 24}, crop_size={"height": 20, "width": 20})
tensors["vivit"] = np.asarray(values(arrays, return_tensors="np").pixel_values[0], dtype=np.float32)
save_file(tensors, Path(__file__).parent / "frames.safetensors")
print({name: tensor.shape for name, tensor in tensors.items()})
