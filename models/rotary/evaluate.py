"""Held-out accuracy of the network by PyTorch, with merging from tests/golden/rotary.py: all pictures, and every fourth.

    python3 evaluate.py        # some minutes; the shares that tests/golden/clutter.rs expects
"""
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "tests" / "golden")]
import rotary  # noqa: E402
from train_rotary import build, held_out  # noqa: E402

WAYS = [("0", "keys", "mean"), ("24", "keys", "mean"), ("24", "keys", "kept"), ("24", "input", "mean"), ("24", "input", "kept")]


def main():
    model = build().eval()
    model.load_state_dict({name: t.float() for name, t in load_file(HERE / "model.safetensors").items()})
    _, images, labels = held_out()
    for r, metric, positions in WAYS:
        logits = torch.cat(
            [rotary.forward(model, batch, r, metric=metric, positions_of=positions)[0]["logits"] for batch in images.split(32)]
        )
        right = (logits.argmax(1) == labels).float()
        print(
            f"r = {r}, metric {metric}, positions {positions}: {int(right.sum())} of {len(right)}, "
            f"{100 * right[::4].mean():.1f} % of every fourth",
            flush=True,
        )


if __name__ == "__main__":
    main()
