"""The class that engines take."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tome_wgpu
from conftest import CLUTTER, png
from tome_wgpu import encoder as module


def test_a_batch_is_encoded(clutter: tome_wgpu.Model, pictures: list[Path]) -> None:
    encoder = tome_wgpu.Encoder(CLUTTER, r=4, want=("features", "logits"), device="cpu")
    assert "not loaded yet" in repr(encoder)
    encoder = pickle.loads(pickle.dumps(encoder))
    batch = {"image": np.array([str(path) for path in pictures[:3]]), "id": np.arange(3)}
    encoded = encoder(batch)
    assert list(encoded) == ["id", "features", "logits", "error"]
    want = clutter(pictures[:3], 4, "features,logits")
    assert np.array_equal(encoded["features"], want.features) and np.array_equal(encoded["logits"], want.logits)
    assert encoded["error"].tolist() == [None] * 3
    # Loaded it is as small as before.
    assert len(pickle.dumps(encoder)) < 1000
    as_bytes = encoder({"image": np.array([path.read_bytes() for path in pictures[:3]], object)})
    pixels = np.stack([clutter.preprocess(path)[0] for path in pictures[:3]])
    for other in (as_bytes, tome_wgpu.Encoder(clutter, r=4)({"image": pixels})):
        assert other["features"].shape == want.features.shape
    assert np.array_equal(as_bytes["features"], want.features)


def test_prepared_pixels_are_taken_as_they_are(clutter: tome_wgpu.Model, pictures: list[Path]) -> None:
    pixels = clutter.preprocess(pictures[:3])
    want = clutter(pixels, want="features").features
    encoder = tome_wgpu.Encoder(clutter, prepared=True)
    rows = np.empty(3, object)
    rows[:] = list(pixels)
    for column in (pixels, rows):
        assert np.array_equal(encoder({"image": column})["features"], want)
    rows[1] = pixels[1, 1:]
    with pytest.raises(tome_wgpu.InputError, match="one size"):
        encoder({"image": rows})


def test_broken_rows_are_named() -> None:
    encoder = tome_wgpu.Encoder(CLUTTER, device="cpu", column="bytes", keep_column=True)
    batch = np.array([png(), b"nothing", None], object)
    encoded = encoder({"bytes": batch})
    assert encoded["bytes"] is batch
    assert encoded["error"][0] is None and "picture 1" in encoded["error"][1] and encoded["error"][2]
    assert np.isnan(encoded["features"][1:]).all() and np.isfinite(encoded["features"][0]).all()
    strict = tome_wgpu.Encoder(CLUTTER, device="cpu", column="bytes", error_column=None)
    with pytest.raises(tome_wgpu.FileError):
        strict({"bytes": batch})
    with pytest.raises(tome_wgpu.InputError, match="no column 'bytes'"):
        strict({"image": batch})
    assert list(strict({"bytes": batch[:0], "id": np.arange(0)})) == ["id"]


def test_wrong_arguments_are_found_where_it_is_made() -> None:
    with pytest.raises(tome_wgpu.InputError):
        tome_wgpu.Encoder(CLUTTER, want="")
    with pytest.raises(TypeError, match="colour"):
        tome_wgpu.Encoder(CLUTTER, colour=1)  # type: ignore[call-arg]


def adapter(index: int, pci: str | None, vendor: int = 0x10DE) -> tome_wgpu.Adapter:
    return tome_wgpu.Adapter(index, f"card {index}", "Vulkan", "", "discrete GPU", vendor, pci, ())


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Three cards of NVIDIA's, of which Vulkan lists the last first and one twice, and one of AMD's."""
    cards = [adapter(0, "00000000:C1:00.0"), adapter(1, "0000:01:00.0"), adapter(2, "0000:65:00.0")]
    cards += [adapter(3, "0000:01:00.0"), adapter(4, "0000:03:00.0", 0x1002), adapter(5, None, 0x10005)]
    monkeypatch.setattr(module, "adapters", lambda: cards)
    monkeypatch.setattr(module, "_on_the_bus", lambda vendor: [])
    monkeypatch.setattr(module, "_uuids", lambda: {"0000:65:00.0": "GPU-abc-def", "0000:01:00.0": "GPU-123"})
    for variable, _ in module._VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("variable", "value", "device"),
    [
        (None, None, "auto"),
        ("CUDA_VISIBLE_DEVICES", "0", "1"),
        ("CUDA_VISIBLE_DEVICES", "2,0", "0"),
        ("CUDA_VISIBLE_DEVICES", "GPU-abc", "2"),
        ("CUDA_VISIBLE_DEVICES", "", "cpu"),
        ("CUDA_VISIBLE_DEVICES", "-1", "cpu"),
        ("ROCR_VISIBLE_DEVICES", "0", "4"),
        ("HIP_VISIBLE_DEVICES", "0", "4"),
    ],
)
def test_the_engines_card_is_taken(machine: pytest.MonkeyPatch, variable: Any, value: Any, device: str) -> None:
    if variable:
        machine.setenv(variable, value)
    assert tome_wgpu.device_from_environment() == device


@pytest.mark.parametrize("value", ["3", "GPU-zzz", "MIG-1", "x"])
def test_a_card_that_is_not_there_is_an_error(machine: pytest.MonkeyPatch, value: str) -> None:
    machine.setenv("CUDA_VISIBLE_DEVICES", value)
    with pytest.raises(tome_wgpu.NoAdapterError, match="0000:65:00.0"):
        tome_wgpu.device_from_environment()


def test_cards_without_an_adapter_are_counted(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(module, "_on_the_bus", lambda vendor: ["0000:00:01.0"])
    machine.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert tome_wgpu.device_from_environment() == "1"
    machine.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(tome_wgpu.NoAdapterError):
        tome_wgpu.device_from_environment()
