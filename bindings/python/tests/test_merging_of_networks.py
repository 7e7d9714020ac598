"""Schedules and knobs, plans, and what they are written as."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import tome_wgpu
from conftest import CLUTTER


def test_a_schedule_is_written_in_several_ways(clutter: tome_wgpu.Model, pictures: list[Path]) -> None:
    depth = clutter.config.depth
    want = clutter(pictures[:2], r=4).logits
    for r in (np.int64(4), "4", [4] * depth, (4,) * depth, np.full(depth, 4), clutter.options(4)):
        assert np.array_equal(clutter(pictures[:2], r=r).logits, want), r
    assert clutter.options("4:-1").r[0] == 8 and clutter.options("4:-1").r[-1] == 0
    assert clutter.options([5]).r == [5] + [0] * (depth - 1)
    assert clutter.options([]).r == [0] * depth


@pytest.mark.parametrize("r", [-1, "x", "1:x", 1.5, True, None, [1.5], "3;4", {}, object()])
def test_what_is_no_schedule_is_refused(clutter: tome_wgpu.Model, r: object) -> None:
    with pytest.raises(tome_wgpu.InputError):
        clutter.options(r)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("knobs", "error"),
    [
        ({"metric": "nothing"}, tome_wgpu.InputError),
        ({"partition": "every:1"}, tome_wgpu.InputError),
        ({"by_size": 3.0}, tome_wgpu.InputError),
        ({"threshold": float("nan")}, tome_wgpu.InputError),
        ({"threshold": 0.5, "partition": "sequential"}, tome_wgpu.UnsupportedError),
        ({"colour": "red"}, TypeError),
    ],
)
def test_what_is_no_knob_is_refused(clutter: tome_wgpu.Model, knobs: dict, error: type[Exception]) -> None:
    with pytest.raises(error):
        clutter.options(4, **knobs)


def test_options_are_kept(clutter: tome_wgpu.Model, tmp_path: Path, pictures: list[Path]) -> None:
    options = clutter.options("5:-1", metric="values", similarity="euclidean", by_size=0.5, prop_attn=False)
    again = pickle.loads(pickle.dumps(options))
    assert again == options != clutter.options(5) and again.r == options.r
    file = tmp_path / "own.json"
    file.write_text(options.to_json())
    want = clutter(pictures[:1], options).logits
    assert np.array_equal(clutter(pictures[:1], file).logits, want)
    assert np.array_equal(clutter(pictures[:1], str(file)).logits, want)
    changed = clutter(pictures[:1], options, metric="keys").logits
    assert not np.array_equal(changed, want)
    for word in ("5:-1", "values", "euclidean", "by_size=0.5", "prop_attn=False"):
        assert word in repr(options)


def test_a_fitted_file_beside_a_network(clutter: tome_wgpu.Model, pictures: list[Path]) -> None:
    assert np.array_equal(clutter(pictures[:1], "fitted").logits, clutter(pictures[:1], CLUTTER / "fitted.json").logits)
    digits = tome_wgpu.load()
    with pytest.raises(tome_wgpu.InputError, match="beside"):
        digits.options("fitted")
    with pytest.warns(tome_wgpu.TomeWarning, match="fitted to images of 257 tokens, and these have 197"):
        digits.options(CLUTTER / "fitted.json")


def test_a_plan_is_readable(clutter: tome_wgpu.Model) -> None:
    plan = clutter.plan(6)
    assert plan.tokens[0] == clutter.config.tokens and plan.tokens[1] == plan.tokens[0] - 6
    assert plan.promised_speedup > 1 and plan.calls is None
    assert "6 merge" in str(plan) and "block 0" in str(plan)
    assert clutter.measure(6, batch_size=2) > 0


def test_a_plan_on_a_device_lists_its_calls(device: str) -> None:
    model = tome_wgpu.load(None, device)
    calls = model.plan(4, batch_size=3).calls
    assert calls is None if device == "cpu" else "merge_tokens" in (calls or "")


def test_a_threshold_leaves_padding(clutter: tome_wgpu.Model, pictures: list[Path]) -> None:
    outputs = clutter(pictures[:4], 8, want="size", threshold=0.8, least=4)
    assert outputs.size.shape[1] == clutter.config.tokens - 4 * clutter.config.depth
    assert np.allclose(outputs.size.sum(1), clutter.config.tokens)


def test_painting(clutter: tome_wgpu.Model, pictures: list[Path]) -> None:
    painted = clutter.visualize(pictures[0], 8, array=True)
    assert painted.dtype == np.uint8 and painted.shape[2] == 3
    image = clutter.visualize(pictures[0], 8)
    assert np.array_equal(np.asarray(image), painted)
    strip = clutter.visualize(pictures[0], 8, strip=True)
    assert strip.width > image.width


def test_words(clutter: tome_wgpu.Model) -> None:
    assert "clutter" in repr(clutter) and "on CPU, f32: asked for" in repr(clutter)
    assert "bicubic" in str(clutter.preprocess) or "bilinear" in str(clutter.preprocess)
    assert clutter.config.label(10**6) == "class 1000000"
    assert "vit_base_patch16_224" in tome_wgpu.architectures()


def test_preprocessing_is_overruled() -> None:
    model = tome_wgpu.load(
        CLUTTER, "cpu", mean=0.5, std=[0.2, 0.3, 0.4], crop=0.5, interpolation="box", resize="squash"
    )
    assert model.preprocess.mean == (0.5,) * 3 and model.preprocess.crop == 0.5
    assert "changed by the caller" in model.preprocess.source
    for wrong in ({"std": 0}, {"crop": 2.0}, {"interpolation": "x"}, {"resize": "x"}, {"mean": [1, 2]}):
        with pytest.raises(tome_wgpu.TomeError):
            tome_wgpu.load(CLUTTER, "cpu", **wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="colour"):
        tome_wgpu.load(CLUTTER, "cpu", colour=1)  # type: ignore[call-arg]


def test_another_size() -> None:
    model = tome_wgpu.load(CLUTTER, "cpu", image_size=(64, 96))
    assert model.config.image_size == (64, 96)
    assert model(np.zeros((1, 64, 96, 3), np.uint8), 3).logits.shape == (1, model.config.classes)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"source": "/nowhere/at/all"}, tome_wgpu.FileError),
        ({"source": CLUTTER, "device": "no such card"}, tome_wgpu.NoAdapterError),
        ({"source": CLUTTER, "device": 99}, tome_wgpu.NoAdapterError),
        ({"source": CLUTTER, "device": ""}, tome_wgpu.InputError),
        ({"source": CLUTTER, "device": "cpu", "precision": "f16"}, tome_wgpu.DeviceError),
        ({"source": CLUTTER, "precision": "f8"}, tome_wgpu.InputError),
        ({"source": CLUTTER, "arch": "no_such_net"}, tome_wgpu.TomeError),
        ({"source": "hf-hub:a/b/c"}, tome_wgpu.HubError),
    ],
)
def test_what_cannot_be_loaded_is_refused(arguments: dict, error: type[Exception]) -> None:
    with pytest.raises(error):
        tome_wgpu.load(**arguments)
