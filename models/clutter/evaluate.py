"""Held-out accuracy of the network for several schedules, from the files of this folder alone.

    python3 evaluate.py             # some minutes; the table of README.md
    python3 evaluate.py --logits    # writes logits.json, which a test compares with

Merging is tests/golden/tome.py over timm's modules, proportional attention on. Versions as in train.py; nothing is random.
"""
import json
import sys

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from scenes import LETTERS
from train import HERE, build, normalise, tome

# The closest decision of a merge in the pictures of logits.json, in cosine similarity: rounding decides none of them.
DECIDED = 3e-5
PICTURES, SCHEDULES = 6, ("0", "24", "0,0,16,32,32,32,32,32")


def held_out():
    """Paths, pixels and classes."""
    paths = sorted((HERE / "heldout").glob("*/*.png"))
    pixels = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])
    return paths, normalise(pixels), torch.tensor([LETTERS.index(path.parent.name) for path in paths])


def network():
    model = build().eval()
    model.load_state_dict({name: t.float() for name, t in load_file(HERE / "model.safetensors").items()})
    return model


def work(model, left):
    """Multiplications of a forward pass with so many tokens in each block, up to a factor."""
    width, total = model.embed_dim, 0
    for before, after in zip(left, left[1:]):
        hidden = model.blocks[0].mlp.fc1.out_features
        total += before * (4 * width * width + 2 * before * width) + after * 2 * width * hidden
    return total


def table(model, schedules):
    _, images, labels = held_out()
    depth, tokens = len(model.blocks), model.pos_embed.shape[1]
    plain = None
    print("| r | tokens left | computes less by | right | accuracy | logits change, mean |\n|---|---|---|---|---|---|")
    for r in schedules:
        logits = []
        for batch in images.split(64):
            results = tome.forward(model, batch, r)[0]
            logits.append(results["logits"])
        logits = torch.cat(logits)
        plain = logits if plain is None else plain
        left = [tokens] + [results[f"layer{i:02}.tokens"].shape[1] for i in range(depth)]
        less = work(model, [tokens] * (depth + 1)) / work(model, left)
        right = (logits.argmax(1) == labels).sum().item()
        print(
            f"| {r} | {left[-1]} | {less:.2f} | {right} of {len(labels)} | {100 * right / len(labels):.1f} % "
            f"| {(logits - plain).abs().mean():.3f} |",
            flush=True,
        )


def write_logits(model):
    """The first picture of some classes whose merges are decided beyond rounding, and its logits for each schedule.

    Prints the shares that the test expects of every fourth picture.
    """
    paths, images, labels = held_out()
    for r in ("0", "24"):
        right = tome.forward(model, images[::4], r)[0]["logits"].argmax(1) == labels[::4]
        print(f"every fourth picture, r = {r}: {100 * right.float().mean():.1f} %")
    cases = []
    for path, image in zip(paths, images):
        if path.parent.name in {case["picture"].split("/")[0] for case in cases}:
            continue
        results = {r: tome.forward(model, image[None], r) for r in SCHEDULES}
        if min(gap for _, gap in results.values()) < DECIDED:
            continue
        logits = {r: [round(v, 6) for v in out["logits"][0].tolist()] for r, (out, _) in results.items()}
        cases.append({"picture": str(path.relative_to(HERE / "heldout")), "logits": logits})
        if len(cases) == PICTURES:
            break
    (HERE / "logits.json").write_text(json.dumps(cases, indent=1) + "\n")


def main():
    torch.set_num_threads(2)
    if "--logits" in sys.argv:
        write_logits(network())
    else:
        constant = [str(r) for r in (0, 4, 8, 12, 16, 20, 24, 28)]
        table(network(), sys.argv[1:] or constant)


if __name__ == "__main__":
    main()
