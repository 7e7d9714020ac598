"""Held-out accuracy of the digits network for several r, from the files of this folder alone.

    python3 evaluate.py       # a minute or two

Merging is tests/golden/tome.py over timm's modules, proportional attention on. Versions as in train.py; nothing is random.
"""
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "golden"))
import tome  # noqa: E402
from train import build, enlarge, normalise, to_unit  # noqa: E402


def main():
    model = build().eval()
    model.load_state_dict({name: t.float() for name, t in load_file(HERE / "model.safetensors").items()})
    records = np.frombuffer((HERE / "heldout.bin").read_bytes(), np.uint8).reshape(-1, 65)
    labels = torch.from_numpy(records[:, 64].astype(np.int64))
    images = normalise(to_unit([enlarge(r[:64].reshape(8, 8)) for r in records]))
    plain = torch.cat([tome.forward(model, batch, "0")[0]["logits"] for batch in images.split(150)])
    print("| r | tokens left | right | accuracy | logits change, mean | largest |\n|---|---|---|---|---|---|")
    for r in (0, 4, 8, 12, 16, 20, 24, 1000):
        parts = [tome.forward(model, batch, str(r))[0] for batch in images.split(150)]
        logits = torch.cat([part["logits"] for part in parts])
        left = parts[0][f"layer{len(model.blocks) - 1:02}.tokens"].shape[1]
        right = (logits.argmax(1) == labels).sum().item()
        share, change = 100 * right / len(labels), (logits - plain).abs()
        print(
            f"| {r} | {left} | {right} of {len(labels)} | {share:.1f} % | {change.mean():.3f} | {change.max():.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
