"""JPEGs like photographs that a core decodes and resizes to 224 pixels in a second, by the time of the process itself.

    python decode.py [NETWORK]
"""

from __future__ import annotations

import io
import os
import sys
import time
from pathlib import Path

os.environ["RAYON_NUM_THREADS"] = "1"

import numpy as np
from PIL import Image

import tome_wgpu

TRIES = 12
SIZES = ((500, 375), (1024, 768), (1920, 1080), (4000, 3000))


def photo(width: int, height: int) -> bytes:
    """Noise of all scales as in photographs, and a sensor's: 0.42 bytes a pixel at quality 88, 4:2:0."""
    rng = np.random.default_rng(0)
    pixels = np.zeros((height, width, 3))
    for octave in range(8):
        cell = 256 >> octave
        small = rng.integers(0, 256, (max(height // cell, 1) + 1, max(width // cell, 1) + 1, 3), dtype=np.uint8)
        pixels += 0.6**octave * np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))
    pixels = (pixels - pixels.min()) * (255 / np.ptp(pixels)) + 14 * rng.standard_normal((height, width, 1))
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=88)
    return file.getvalue()


def main() -> None:
    network = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[3] / "models" / "clutter"
    model = tome_wgpu.load(network, "cpu", image_size=224)
    print(f"{model.config.name}: {model.preprocess}")
    for width, height in SIZES:
        data = photo(width, height)
        times = []
        for _ in range(TRIES):
            begin = time.process_time()
            model.preprocess([data])
            times.append(time.process_time() - begin)
        rate, bytes_a_pixel = 1 / min(times), len(data) / (width * height)
        print(f"{width} x {height}, {bytes_a_pixel:.2f} bytes a pixel: {1000 / rate:.2f} ms, {rate:.0f} a second and core")


if __name__ == "__main__":
    main()
