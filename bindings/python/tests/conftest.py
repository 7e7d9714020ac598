"""What the tests share: networks of the repository, and pictures that are made here."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import tome_wgpu

ROOT = Path(__file__).parents[3]
CASES = ROOT / "tests" / "golden" / "cases"
DIGITS = ROOT / "models" / "digits"
CLUTTER = ROOT / "models" / "clutter"

_TYPES = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8", "U32": "<u4", "U8": "u1", "F16": "<f2"}


def tensors(path: Path) -> dict[str, NDArray[Any]]:
    """A safetensors file's tensors."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    made = {}
    for name, tensor in header.items():
        begin, end = (8 + length + offset for offset in tensor["data_offsets"])
        made[name] = np.frombuffer(data[begin:end], _TYPES[tensor["dtype"]]).reshape(tensor["shape"])
    return made


def has_adapter() -> bool:
    """Whether there is a device that is no CPU path; software drivers count."""
    return bool(tome_wgpu.adapters())


@pytest.fixture(params=["cpu", "0"], scope="session")
def device(request: pytest.FixtureRequest) -> str:
    """The CPU path, and the first adapter."""
    if request.param != "cpu" and not has_adapter():
        pytest.skip("no adapter")
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def clutter() -> tome_wgpu.Model:
    """A network of the repository for pictures of 64 x 64 with 24 classes, on the CPU path."""
    return tome_wgpu.load(CLUTTER, "cpu")


@pytest.fixture(scope="session")
def pictures() -> list[Path]:
    """Pictures that it has not seen."""
    return sorted(CLUTTER.glob("heldout/*/*.png"))[::16]


def png(size: tuple[int, int] = (40, 60), seed: int = 0) -> bytes:
    """A PNG file of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
