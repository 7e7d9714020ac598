"""`python -m tome_wgpu` is the command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tome_wgpu
from conftest import CLUTTER, tensors


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "tome_wgpu", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=300)


def test_help_version_and_wrong_usage() -> None:
    assert "Usage: tome" in command("--help").stdout
    assert command("--version").stdout == f"tome {tome_wgpu.__version__}\n"
    wrong = command("nothing")
    assert wrong.returncode == 2 and "nothing" in wrong.stderr
    missing = command("classify", "missing.png")
    assert missing.returncode == 1 and "missing.png" in missing.stderr and "Traceback" not in missing.stderr


def test_it_gives_what_the_package_gives(tmp_path: Path, device: str, pictures: list[Path]) -> None:
    out = tmp_path / "out.safetensors"
    done = command(
        "infer", "--model", CLUTTER, "--input", *pictures[:4], "--output", out, "--r", "4", "--device", device
    )
    assert done.returncode == 0, done.stderr
    written = tensors(out)
    outputs = tome_wgpu.load(CLUTTER, device)(pictures[:4], 4, list(written))
    for name in written:
        assert np.array_equal(outputs[name], written[name]), name


def test_devices_are_the_packages() -> None:
    listed = command("devices").stdout
    assert all(adapter.name in listed for adapter in tome_wgpu.adapters())


def test_it_works_without_a_vulkan_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WGPU_BACKEND", "gl")
    assert "no Vulkan, Metal or DX12 adapter" in command("devices").stdout
    code = "import tome_wgpu; print(tome_wgpu.adapters(), tome_wgpu.load().device)"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out.startswith("[] CPU, f32: no Vulkan, Metal or DX12 adapter")


@pytest.mark.skipif(sys.platform != "linux", reason="Mesa's layers are Linux's")
def test_drivers_are_kept_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    code = "import os, tome_wgpu; tome_wgpu.load(); tome_wgpu.adapters(); assert 'XDG_RUNTIME_DIR' not in os.environ"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stderr == ""
