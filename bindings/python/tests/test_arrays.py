"""Merging on arrays, against NumPy and against the reference implementations' results."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray

import tome_wgpu
from conftest import ROOT

MATCHING = json.loads((ROOT / "tests" / "golden" / "matching.json").read_text())


def lcg(seed: int, count: int) -> NDArray[np.float32]:
    """The generator that the reference's inputs come from."""
    values = np.empty(count)
    for i in range(count):
        seed = (seed * 1_664_525 + 1_013_904_223) % 2**32
        values[i] = (seed >> 8) / 2**24 * 2 - 1
    return values.astype(np.float32)


def merged_by_numpy(keys: NDArray, x: NDArray, size: NDArray, r: int, protect: int) -> tuple[NDArray, NDArray, NDArray]:
    """One image: bipartite soft matching as the paper has it, tokens by turns, means by size."""
    metric = keys.mean(1).astype(np.float64)
    metric /= np.linalg.norm(metric, axis=1, keepdims=True)
    sources, destinations = np.arange(0, len(x), 2), np.arange(1, len(x), 2)
    scores = metric[sources] @ metric[destinations].T
    scores[sources < protect] = -np.inf
    scores[:, destinations < protect] = -np.inf
    order = np.argsort(-scores.max(1), kind="stable")
    going, partner = sources[order[:r]], destinations[scores.argmax(1)[order[:r]]]
    staying = np.sort(sources[order[r:]])
    kept = np.concatenate([np.arange(protect), staying[staying >= protect], destinations[destinations >= protect]])
    place = {int(token): at for at, token in enumerate(kept)}
    target = np.array([place.get(token, -1) for token in range(len(x))])
    for token, to in zip(going, partner):
        target[token] = place[int(to)]
    sums, sizes = np.zeros((len(kept), x.shape[1])), np.zeros(len(kept))
    np.add.at(sums, target, x * size[:, None])
    np.add.at(sizes, target, size)
    return sums / sizes[:, None], sizes, target


@pytest.mark.parametrize(
    ("tokens", "heads", "r", "protect"), [(50, 3, 12, 1), (33, 1, 16, 0), (16, 2, 0, 1), (20, 2, 99, 2)]
)
def test_a_merge_is_numpys(device: str, tokens: int, heads: int, r: int, protect: int) -> None:
    random = np.random.default_rng(tokens)
    keys = random.normal(size=(2, tokens, heads, 8)).astype(np.float32)
    x = random.normal(size=(2, tokens, 12)).astype(np.float32)
    size = random.integers(1, 5, (2, tokens)).astype(np.float32)
    merged = tome_wgpu.merge(keys, x, size, r=r, protect=protect, device=device)
    matched = tome_wgpu.match(keys, r=r, protect=protect, device=device)
    clamped = min(r, (tokens - protect) // 2)
    assert merged.x.shape == (2, tokens - clamped, 12)
    for image in range(2):
        if clamped == 0:
            want_x, want_size, want_source = x[image], size[image], np.arange(tokens)
        else:
            want_x, want_size, want_source = merged_by_numpy(keys[image], x[image], size[image], clamped, protect)
        assert np.array_equal(merged.source[image], want_source)
        assert np.array_equal(matched.target[image], want_source)
        assert np.array_equal(merged.size[image], want_size)
        assert np.allclose(merged.x[image], want_x, atol=1e-6)
        assert np.array_equal(matched.target[image][matched.kept[image]], np.arange(tokens - clamped))
    back = tome_wgpu.unmerge(merged.x, merged.source, x, device=device)
    want = np.take_along_axis(merged.x, merged.source[:, :, None].astype(int), 1) + x
    assert np.allclose(back, want, atol=1e-6)


def test_merges_follow_each_other(device: str) -> None:
    random = np.random.default_rng(5)
    x = random.normal(size=(1, 40, 8)).astype(np.float32)
    state = tome_wgpu.merge(x, x, r=10, device=device)
    state = tome_wgpu.merge(state.x, *state, r=10, device=device)
    assert state.x.shape == (1, 20, 8) and state.size.sum() == 40
    assert np.array_equal(np.bincount(state.source[0].astype(int), minlength=20), state.size[0])
    # Means by size are means of all members.
    means = np.stack([x[0][state.source[0] == token].mean(0) for token in range(20)])
    assert np.allclose(state.x[0], means, atol=1e-5)


def test_groups_are_the_originals(device: str) -> None:
    for case in MATCHING["bsm"]:
        batch, tokens, channels = case["B"], case["N"], case["C"]
        protect = int(case["class_token"]) + int(case["distill_token"])
        keys = lcg(case["seed"], batch * tokens * channels).reshape(batch, tokens, channels)
        matched = tome_wgpu.match(keys, r=case["r"], protect=protect, device=device)
        for target, groups in zip(matched.target, case["groups"]):
            got = [np.flatnonzero(target == place).tolist() for place in range(len(groups))]
            assert got == groups


def test_all_ways_merge(device: str) -> None:
    x = np.random.default_rng(7).normal(size=(2, 36, 8)).astype(np.float32)
    for way in (
        {"partition": "sequential"},
        {"partition": "every:3"},
        {"partition": "random:1"},
        {"partition": "lines:6x6", "r": 6},
        {"partition": "frames:4"},
        {"partition": "energy"},
        {"similarity": "euclidean", "merge_mode": "max"},
        {"by_size": 1.0, "size": np.full((2, 36), 2.0)},
        {"cells": (6, 6, 2, 2), "merge_mode": "mean"},
        {"cells": (6, 6, 2, 2), "seed": 3},
        {"threshold": 0.2, "least": 2},
    ):
        merged = tome_wgpu.merge(x, x, **({"r": 5} | way), device=device)
        on_cpu = tome_wgpu.merge(x, x, **({"r": 5} | way))
        assert merged.x.shape[1] < 36
        assert np.array_equal(merged.source, on_cpu.source), way
        assert np.allclose(merged.x, on_cpu.x, atol=1e-5), way


@pytest.mark.parametrize(
    "arguments",
    [
        {"x": np.zeros((2, 9, 8))},
        {"keys": np.zeros((2, 10))},
        {"size": np.ones((2, 9))},
        {"source": np.full((2, 10), 10)},
        {"source": np.full((2, 10), -1)},
        {"source": np.zeros((1, 10), int)},
        {"r": -1},
        {"protect": -1},
        {"by_size": 9.0},
        {"partition": "lines"},
        {"partition": "frames"},
        {"partition": "frames:4"},
        {"partition": "x"},
        {"merge_mode": "x"},
        {"cells": (3, 3, 2, 2)},
        {"keys": np.zeros((2, 0, 8)), "x": np.zeros((2, 0, 8))},
        {"keys": np.zeros((2, 10, 8), object)},
    ],
)
def test_what_does_not_fit_is_refused(arguments: dict) -> None:
    fitting = {"keys": np.ones((2, 10, 8)), "x": np.ones((2, 10, 8)), "r": 2}
    with pytest.raises(tome_wgpu.InputError):
        tome_wgpu.merge(**(fitting | arguments))


def test_a_map_that_leads_nowhere_is_refused() -> None:
    with pytest.raises(tome_wgpu.InputError, match="token 5 of 4"):
        tome_wgpu.unmerge(np.ones((1, 4, 8)), np.full((1, 6), 5))
    with pytest.raises(TypeError, match="merge_mode"):
        tome_wgpu.match(np.ones((1, 4, 8)), r=1, merge_mode="sum")


def test_nan_costs_its_token_only() -> None:
    x = np.random.default_rng(0).normal(size=(1, 10, 8)).astype(np.float32)
    x[0, 4] = np.nan
    merged = tome_wgpu.merge(x, x, r=2)
    assert np.isnan(merged.x).any(-1).sum() == 1
