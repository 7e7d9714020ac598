"""JPEG decoders beside Pillow's, on 400 random files: sizes, qualities, samplings, progressive, restarts, CMYK.

    pip install pillow numpy
    cargo build --release --manifest-path benches/jpeg/Cargo.toml
    python3 benches/jpeg/compare.py
"""
import subprocess
import tempfile
from pathlib import Path

import numpy
from PIL import Image

HERE = Path(__file__).resolve().parent
DECODERS = ["libjpeg-turbo-rs", "zune-jpeg", "jpeg-decoder"]


def write(folder):
    rng = numpy.random.default_rng(1)
    for i in range(400):
        width, height = (int(v) for v in rng.integers(*((200, 700) if i % 10 == 0 else (1, 200)), 2))
        coarse = rng.integers(0, 256, (max(height // 8, 1), max(width // 8, 1), 3), dtype=numpy.uint8)
        picture = Image.fromarray(coarse).resize((width, height), Image.BICUBIC)
        noisy = numpy.asarray(picture).astype(int) + rng.integers(-20, 21, (height, width, 3))
        mode = rng.choice(["RGB", "RGB", "RGB", "L", "CMYK"]) if i % 7 == 0 else "RGB"
        options = {"quality": int(rng.integers(30, 101)), "progressive": bool(rng.random() < 0.3)}
        if mode == "RGB":
            options["subsampling"] = str(rng.choice(["4:4:4", "4:2:2", "4:2:0"]))
        if rng.random() < 0.2:
            options["restart_marker_blocks"] = int(rng.integers(1, 20))
        Image.fromarray(noisy.clip(0, 255).astype(numpy.uint8)).convert(mode).save(folder / f"{i:03}.jpg", **options)


with tempfile.TemporaryDirectory() as folder:
    folder = Path(folder)
    write(folder)
    subprocess.run([HERE / "target/release/jpeg-decoders", folder], check=True)
    print("| decoder | decoded | largest difference of 255 | values off by more than 1 |\n|---|---|---|---|")
    for decoder in DECODERS:
        largest, off = [], []
        for path in sorted(folder.glob("*.jpg")):
            want = numpy.asarray(Image.open(path).convert("RGB")).astype(int)
            got = path.with_suffix(f".{decoder}")
            got = numpy.fromfile(got, numpy.uint8) if got.exists() else numpy.zeros(0)
            if got.size == want.size:
                apart = abs(got.reshape(want.shape).astype(int) - want)
                largest.append(apart.max())
                off.append((apart > 1).mean())
        print(f"| {decoder} | {len(off)} | {max(largest)} | {100 * numpy.mean(off):.1f} % |")
