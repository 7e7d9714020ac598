"""Counts which of open_clip's image towers are accepted.

    cargo build --release --example inspect
    python3 check_open_clip.py target/release/examples/inspect

Run with Python 3.11, open_clip_torch 3.3.0 and timm 1.0.31. For each of open_clip's own configs it builds the image tower without its
numbers, makes a folder of the config and of the names and shapes of the tower's tensors, and asks the program what that is.
"""
import collections
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import open_clip
import torch
from open_clip.model import _build_vision_tower

from check_presets import write_holes

if __name__ == "__main__":
    folders, names = [], sorted(open_clip.list_models())
    with tempfile.TemporaryDirectory() as parent, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            config = open_clip.get_model_config(name)
            with torch.device("meta"):
                tower = _build_vision_tower(config["embed_dim"], dict(config["vision_cfg"]), config.get("quick_gelu", False))
            folder = Path(parent) / name
            folder.mkdir()
            (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
            state = {f"visual.{key}": tensor for key, tensor in tower.state_dict().items()}
            write_holes(state, folder / "open_clip_model.safetensors")
            folders.append(folder)
        lines = subprocess.run([sys.argv[1], *folders], check=True, capture_output=True, text=True).stdout.splitlines()
    refused = collections.defaultdict(list)
    for name, line in zip(names, lines, strict=True):
        _, verdict, rest = line.split("\t")
        if verdict == "refused":
            refused[rest.split("is not supported: ")[-1].split(", among them")[0]].append(name)
    print(f"{len(names) - sum(map(len, refused.values()))} of {len(names)} towers are accepted; refused are")
    for reason, names in sorted(refused.items(), key=lambda item: -len(item[1])):
        print(f"{len(names):4} {reason}: {' '.join(names)}")
