"""Compares whole-size networks with random weights against PyTorch, through the command.

    cargo build --release
    python3 full_size.py target/release/tome [--device NAME] [ARCHITECTURE ...]

Weights are drawn as make_golden.py draws them, so that tokens stay apart. Of every image it says how far the features are
from timm's modules with the merging of tome.py (largest difference over largest value), and whether the same tokens
merged; where they did not, how close the nearest decision was: decisions closer than rounding may rightly differ.
Needs torch, timm and safetensors; nothing in the tests needs this script.
"""
import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file, save_file

import make_golden
import tome

NETWORKS = {
    "vit_base_patch16_224": ({}, ["0", "8", "13", "16"]),
    "vit_small_patch14_dinov2": ({"img_size": 224}, ["0", "8", "16:-1"]),
}
IMAGES = 2


@torch.no_grad()
def check(command, device, architecture, folder):
    args, schedules = NETWORKS[architecture]
    torch.manual_seed(0)
    model = timm.create_model(architecture, pretrained=False, **args).eval()
    make_golden.randomise(model, 1.0)
    images = torch.randn(IMAGES, 3, *model.patch_embed.img_size)
    save_file({name: tensor.clone() for name, tensor in model.state_dict().items()}, folder / "model.safetensors")
    save_file({"images": images}, folder / "input.safetensors")
    config = {"architecture": architecture, "num_classes": model.num_classes, "model_args": args}
    (folder / "config.json").write_text(json.dumps(config))
    for r in schedules:
        call = [command, "infer", "--model", folder, "--input", folder / "input.safetensors", "--output",
                folder / "out.safetensors", "--r", r, "--device", device, "--quiet", "--want", "logits,features,source"]
        subprocess.run(call, check=True)
        got = load_file(folder / "out.safetensors")
        want, gap = tome.forward(model, images, r, protect="prefix", pool="size")
        for image in range(IMAGES):
            apart = (got["source"][image].long() != want["source"][image]).sum().item()
            errors = [
                ((got[key][image] - want[key][image]).abs().max() / want[key][image].abs().max()).item()
                for key in ("features", "logits")
            ]
            merged = "the same tokens merged" if apart == 0 else f"{apart} tokens went elsewhere"
            print(f"{architecture} r={r} image {image}: features {errors[0]:.1e}, logits {errors[1]:.1e}, {merged}; "
                  f"nearest decision of the batch {gap:.1e}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("architecture", nargs="*", default=list(NETWORKS))
    given = parser.parse_args()
    for architecture in given.architecture:
        with tempfile.TemporaryDirectory() as folder:
            check(given.command, given.device, architecture, Path(folder))
