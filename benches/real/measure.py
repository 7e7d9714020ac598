"""r against what a real network loses, on photographs that no fit has seen.

    python benches/real/measure.py FOLDER other path/to/tome [NAME=FITTED.json ...]

FOLDER is what prepare.py made; a FITTED.json is what

    tome fit --model FOLDER/model --image-size 224 --images FOLDER/one --target 1.65x --want features,dense --device cpu

wrote; then `other` are the photographs that it has not seen. Runs `tome infer --want features,dense` on them for every way, applies the package's own decoder in ONNX
Runtime, and prints 1 - cosine of the class token and of the dense features (after the final norm, mean over patches), the
IoU of the pixels whose saliency is above one half, and the speed-up that FLOPs promise and that `tome bench` measures.
Needs numpy, safetensors and onnxruntime.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from safetensors.numpy import load_file

COMMON = ["--image-size", "224", "--device", "cpu"]
WAYS = [
    ("0", ["--r", "0"]),
    *[
        (name, flags)
        for r in (13, 16)
        for name, flags in [
            (f"keys, r = {r} (ToMe)", ["--r", f"{r}"]),
            (f"keys, falling {r}:-1", ["--r", f"{r}:-1"]),
            (f"keys, rising {r}:1", ["--r", f"{r}:1"]),
            (f"attention, r = {r}", ["--r", f"{r}", "--metric", "attention"]),
            (f"final, r = {r}", ["--r", f"{r}", "--metric", "final"]),
            (f"final by size .5, r = {r}", ["--r", f"{r}", "--metric", "final", "--by-size", "0.5"]),
        ]
    ],
]


def rows(folder, half, tome, flags):
    """Features and normed dense features of the photographs."""
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as out:
        command = [tome, "--quiet", "infer", "--model", folder / "model", "--input", folder / half]
        subprocess.run([*command, "--output", out.name, "--want", "features,dense", *COMMON, *flags], check=True)
        values = load_file(out.name)
    weights = load_file(folder / "model" / "model.safetensors")
    x = values["dense"].astype(np.float64)
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    return values["features"], x * weights["layernorm.weight"] + weights["layernorm.bias"]


def saliency(session, dense):
    maps = dense.astype(np.float32).transpose(0, 3, 1, 2)
    names = [i.name for i in session.get_inputs()]
    image = np.zeros((len(maps), 3, 224, 224), np.float32)
    return session.run(None, dict(zip(names, [maps, image])))[0]


def apart(a, b):
    """1 - cosine of the last axis."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return 1 - (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))


def speed(folder, tome, flags):
    command = [tome, "--quiet", "bench", "--json", "--batch", "8", "--model", folder / "model", *COMMON, *flags]
    document = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    row = document["rows"][-1]
    return row["promised_speedup"], row["speedup"]


def main():
    folder, half, tome = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    fitted = [argument.split("=", 1) for argument in sys.argv[4:]]
    decoder = onnxruntime.InferenceSession(folder / "decoder.onnx")
    whole = onnxruntime.InferenceSession(folder / "whole.onnx")
    reference = None
    print("| way | promised | measured | class token | dense | IoU |\n|---|---|---|---|---|---|")
    for name, flags in WAYS + [(name, ["--r", path]) for name, path in fitted]:
        features, dense = rows(folder, half, tome, flags)
        maps = saliency(decoder, dense)
        if reference is None:
            reference = features, dense, maps
            check(folder / half, whole, maps)
        inside, around = (maps > 0.5) & (reference[2] > 0.5), (maps > 0.5) | (reference[2] > 0.5)
        inside, around = inside.sum((1, 2, 3)), around.sum((1, 2, 3))
        # Where neither has such a pixel they agree.
        iou = np.where(around > 0, inside / np.maximum(around, 1), 1)
        promised, measured = speed(folder, tome, flags)
        figures = f"{apart(features, reference[0]).mean():.4f} | {apart(dense, reference[1]).mean():.4f} | {iou.mean():.3f}"
        print(f"| {name} | {promised:.2f}x | {measured:.2f}x | {figures} |", flush=True)


def check(photographs, whole, maps):
    """Without merging the network is the package's own, of which ONNX Runtime runs the whole graph."""
    from PIL import Image

    pictures = np.stack([np.asarray(Image.open(path), np.float32) for path in sorted(photographs.glob("*.png"))])
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    images = ((pictures / 255 - mean) / deviation).transpose(0, 3, 1, 2).astype(np.float32)
    theirs = np.concatenate([whole.run(None, {"input_image": images[i : i + 8]})[0] for i in range(0, len(images), 8)])
    distance = np.abs(theirs - maps).max()
    print(f"saliency without merging against ONNX Runtime's run of the whole graph: at most {distance:.1e} apart", file=sys.stderr)
    assert distance < 1e-4, "this is another network"


if __name__ == "__main__":
    main()
