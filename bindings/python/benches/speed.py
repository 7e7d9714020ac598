"""The package against the command on one network: `model(...)` against `tome bench`, `model.stream(...)` against `tome infer`.

    python speed.py TOME [--model FOLDER] [--device auto] [--precision f32] [--r 13] [--pictures 400]

TOME is the built command. The two take turns, medians of the rounds count, and results are compared before anything is timed.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

import tome_wgpu

ROUNDS, BATCH, SECONDS = 5, 8, 1.0


def album(folder: Path, count: int) -> list[Path]:
    """JPEGs of 500 x 375, eight of them different."""
    rng = np.random.default_rng(0)
    kinds = []
    for _ in range(8):
        small = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(small).resize((500, 375), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        kinds.append(file.getvalue())
    paths = [folder / f"{i:05}.jpg" for i in range(count)]
    for i, path in enumerate(paths):
        path.write_bytes(kinds[i % 8])
    return paths


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("tome")
    ask.add_argument("--model", default=str(Path(__file__).parents[3] / "models" / "clutter"))
    ask.add_argument("--device", default="auto")
    ask.add_argument("--precision", default="f32")
    ask.add_argument("--r", type=int, default=13)
    ask.add_argument("--pictures", type=int, default=400)
    given = ask.parse_args()
    model = tome_wgpu.load(given.model, given.device, given.precision)
    print(f"{model.config.name}, {model.device}, r = {given.r}")
    own = ["--model", given.model, "--device", given.device, "--precision", given.precision, "--r", str(given.r)]
    rng = np.random.default_rng(0)
    height, width = model.config.image_size
    images = rng.standard_normal((BATCH, model.config.image_channels, height, width), dtype=np.float32)

    def call() -> float:
        model(images, given.r)
        times, begin = [], time.perf_counter()
        while time.perf_counter() - begin < SECONDS:
            start = time.perf_counter()
            model(images, given.r)
            times.append(time.perf_counter() - start)
        return BATCH / statistics.median(times)

    def bench() -> float:
        said = subprocess.run(
            [given.tome, "bench", "--json", "--batch", str(BATCH), *own], check=True, capture_output=True
        )
        rows = json.loads(said.stdout)["rows"]
        return float(next(row["images_per_s"] for row in rows if row["r"] == given.r))

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = album(folder, given.pictures)

        def infer(count: int) -> float:
            """Seconds of the command, its start included."""
            begin = time.perf_counter()
            subprocess.run(
                [given.tome, "infer", "--quiet", "--want", "features", "--batch", str(BATCH), *own,
                 "--output", folder / "out.safetensors", "--input", *paths[:count]],
                check=True,
            )  # fmt: skip
            return time.perf_counter() - begin

        def through_command() -> float:
            few = infer(4 * BATCH)
            return (given.pictures - 4 * BATCH) / (infer(given.pictures) - few)

        def through_stream() -> float:
            begin, rows = time.perf_counter(), 0
            for outputs in model.stream(paths, given.r, "features", batch_size=BATCH):
                rows += len(outputs.features)
            assert rows == given.pictures
            return rows / (time.perf_counter() - begin)

        infer(given.pictures)
        # The bytes behind the header are the only tensor's.
        stored = (folder / "out.safetensors").read_bytes()
        begin = 8 + int.from_bytes(stored[:8], "little")
        theirs = np.frombuffer(stored[begin:], np.float32)[: given.pictures * model.config.channels]
        ours = np.concatenate([outputs.features for outputs in model.stream(paths, given.r, "features", batch_size=BATCH)])
        assert np.allclose(ours.ravel(), theirs, atol=1e-5 * np.abs(theirs).max()), "the results differ"

        rows = {"model(...)": (call, bench, "tome bench"), "model.stream": (through_stream, through_command, "tome infer")}
        print(f"\n| | images/s | beside it | images/s | share |\n|---|---|---|---|---|")
        for what, (one, other, beside) in rows.items():
            pairs = [(one(), other()) for _ in range(ROUNDS)]
            share = statistics.median(a / b for a, b in pairs)
            first, second = (statistics.median(values) for values in zip(*pairs))
            print(f"| {what} | {first:.0f} | {beside} | {second:.0f} | {100 * share:.0f} % |", flush=True)


if __name__ == "__main__":
    main()
