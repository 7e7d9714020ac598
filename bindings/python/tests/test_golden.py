"""The cases that PyTorch computed, on the CPU path and on the first adapter."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tome_wgpu
from conftest import CASES, tensors

NAMES = sorted(folder.name for folder in CASES.iterdir() if (folder / "case.json").is_file())
#: Other matchings than the paper's run on the CPU path only; the message says so.
CPU_ONLY = ("greedy", "kmeans", "prune")
#: f32 sums of the device and of PyTorch differ in order; the crate's own tests measure 2e-5 at most.
TOLERANCE = 1e-4


def knobs(case: dict[str, Any]) -> dict[str, Any]:
    given = {
        "prop_attn": case["prop_attn"] == "on",
        "pool": case["pool"],
        "protect": case["protect"],
    }
    for name in ("merge_mode", "positions", "partition", "threshold", "least", "matching", "metric", "similarity", "by_size"):
        if name in case:
            given[name] = float(case[name]) if name == "by_size" else case[name]
    return given


def load(folder: Path, device: str) -> tome_wgpu.Model:
    with warnings.catch_warnings():
        # Some cases leave out how pictures are prepared.
        warnings.simplefilter("ignore", tome_wgpu.TomeWarning)
        return tome_wgpu.load(folder, device)


def network_input(tensors: dict[str, np.ndarray]) -> np.ndarray:
    """A case's input as the network's own: a spectrogram is an image whose rows are the bands."""
    if "input_values" in tensors:
        return tensors["input_values"].astype(np.float32).transpose(0, 2, 1)[:, None]
    return tensors["images" if "images" in tensors else "pixel_values"].astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_results_are_pytorchs(name: str, device: str) -> None:
    folder = CASES / name
    case = json.loads((folder / "case.json").read_text())
    expected = tensors(folder / "expected.safetensors")
    images = network_input(tensors(folder / "input.safetensors"))
    model = load(folder, device)
    given = knobs(case)
    if device != "cpu" and name.startswith(CPU_ONLY):
        with pytest.raises(tome_wgpu.UnsupportedError, match="CPU"):
            model(images, case["r"], **given)
        return
    outputs = model(images, case["r"], ("logits", "features", "size", "source"), **given)
    assert list(model.plan(case["r"], **given).tokens) == case["tokens_per_layer"]
    for result in ("logits", "features"):
        want = expected[result].astype(np.float64)
        got = outputs[result]
        assert got.dtype == np.float32 and got.shape == want.shape
        assert np.abs(got - want).max() <= TOLERANCE * max(1.0, np.abs(want).max()), result
    if "source" in expected:
        assert np.array_equal(outputs.source, expected["source"])
    assert outputs.size.shape == (len(images), case["tokens_per_layer"][-1])


def test_there_are_cases() -> None:
    assert len(NAMES) > 70


def test_what_python_does_not_run_is_refused() -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    for name, why in (("hf_ast", "spectrograms"), ("hf_videomae", "one frame")):
        with pytest.raises(tome_wgpu.UnsupportedError, match=why):
            load(CASES / name, "cpu")([picture])
