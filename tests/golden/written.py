"""How a golden case is written: what its generators share."""

import json
import shutil

import torch
from make_golden import CASES
from safetensors.torch import save_file


def begun(name, single, double, **more):
    """A case's empty folder, its expected tensors with `more` of them, and how far the logits in 32 bits are from those in 64."""
    assert torch.equal(single["source"], double["source"])
    error = (single["logits"] - double["logits"]).abs().max().item()

    def stored(key, tensor):
        if not tensor.is_floating_point():
            tensor = tensor.to(torch.uint32 if key == "source" else torch.int32)
        return tensor.clone(memory_format=torch.contiguous_format)

    expected = {key: stored(key, tensor) for key, tensor in single.items()}
    expected |= {key: tensor.contiguous() for key, tensor in ({"logits_f64": double["logits"]} | more).items()}
    folder = CASES / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder, expected, error


def ended(folder, case, inputs, expected):
    """Writes what every case has, and gives the bytes of all of it."""
    (folder / "case.json").write_text(json.dumps(case, indent=1) + "\n")
    save_file(inputs, folder / "input.safetensors")
    save_file(expected, folder / "expected.safetensors")
    size = sum(file.stat().st_size for file in folder.iterdir())
    assert size < 300_000, (folder.name, size)
    return size
