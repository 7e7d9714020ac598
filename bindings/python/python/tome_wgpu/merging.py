"""Token merging on arrays, for people with a model of their own."""

from __future__ import annotations

import threading
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _images
from ._native import Merger
from ._vulkan import quiet
from .errors import InputError

_mergers: dict[str, Merger] = {}
_lock = threading.Lock()


class Merged(NamedTuple):
    """What a merge leaves; hand all of it to the next."""

    #: `[B, M, C]`, f32.
    x: NDArray[np.float32]
    #: `[B, M]`, f32: how many original tokens each stands for.
    size: NDArray[np.float32]
    #: `[B, N]`, u32: for each original token the token that holds it.
    source: NDArray[np.uint32]


class Match(NamedTuple):
    """Which tokens would merge."""

    #: `[B, N]`, u32: the place that each token goes to.
    target: NDArray[np.uint32]
    #: `[B, M]`, u32: the token that stays in each place.
    kept: NDArray[np.uint32]


def _merger(device: str | int) -> Merger:
    with _lock:
        if str(device) not in _mergers:
            with quiet():
                _mergers[str(device)] = Merger(str(device))
        return _mergers[str(device)]


def merge(
    keys: _images.Array,
    x: _images.Array,
    size: _images.Array | None = None,
    source: _images.Array | None = None,
    *,
    r: int,
    protect: int = 0,
    partition: str = "alternating",
    similarity: Literal["cosine", "dot", "euclidean"] = "cosine",
    by_size: float = 0.0,
    merge_mode: Literal["wmean", "mean", "sum", "max", "min", "keep-one", "mlerp", "max-magnitude"] = "wmean",
    threshold: float | None = None,
    least: int = 0,
    cells: tuple[int, int, int, int] | None = None,
    seed: int | None = None,
    device: str | int = "cpu",
) -> Merged:
    """Merges the `r` most similar pairs of tokens of each image.

    Args:
        keys: `[B, N, heads, head width]`, the attention's keys, which are averaged over the heads; or `[B, N, C]`, any
            rows to match by, also `x`.
        x: `[B, N, C]`
        size: `[B, N]`, how many original tokens each stands for; absent before the first merge.
        source: `[B, original tokens]`, for each the token that holds it; absent before the first merge.
        r: Tokens to merge; as many as the partition allows where that is less.
        protect: Tokens at the front that never merge, such as the class token.
        partition: Which tokens may merge: `alternating`, `sequential`, `every:K`, `random:SEED`, `lines:ROWSxCOLUMNS`,
            `frames:GROUPS`, `energy:MARGIN`.
        similarity: The measure by which two tokens are alike.
        by_size: How much the sizes of two tokens count against their match, from 0 to 2.
        merge_mode: The way tokens of a group become one.
        threshold: Two tokens merge only where they are more alike than this; then `r` is the most that do, and places
            that become empty have a size of 0.
        least: With a threshold the places that disappear.
        cells: Rows, columns of a grid of tokens, and rows, columns of a cell, each with one token that others merge into, as
            tomesd has it; `seed` puts that at random places.
        device: `cpu`, or what `load` takes; on a GPU channels and head width are multiples of 4.

    Returns:
        Tokens in the order: protected, unmerged sources, destinations; along lines and within frame groups in the order in
        which they stood.
    """
    rows, values = _images.floats(keys, "keys"), _images.floats(x, "x")
    if rows.ndim == 3:
        rows = rows[:, :, np.newaxis, :]
    sizes = None if size is None else _images.floats(size, "size")
    map_ = None if source is None else _indices(source, "source")
    way: dict[str, Any] = {
        "r": r,
        "protect": protect,
        "partition": partition,
        "similarity": similarity,
        "by_size": by_size,
        "merge_mode": merge_mode,
        "threshold": threshold,
        "least": least,
        "cells": cells,
        "seed": seed,
    }
    for name in ("r", "protect", "least"):
        if not 0 <= way[name] < 2**32:
            raise InputError(f"{name} is {way[name]}; give a whole number from 0 on")
    return Merged(*_merger(device).merge(rows, values, sizes, map_, way))


def match(
    keys: _images.Array, size: _images.Array | None = None, *, r: int, device: str | int = "cpu", **way: Any
) -> Match:
    """Which tokens `merge` with the same arguments would merge, for tensors that merge by them elsewhere.

    Sums by `np.add.at(out, target, x)`, rows by `np.take_along_axis(x, kept[..., None], 1)`.
    """
    unknown = set(way) - set(merge.__kwdefaults__ or ())
    if unknown or "merge_mode" in way:
        raise TypeError(f"match() got an unexpected argument {(sorted(unknown) or ['merge_mode'])[0]!r}")
    rows = _images.floats(keys, "keys")
    if rows.ndim not in (3, 4):
        raise InputError(f"`keys` is of shape {rows.shape}; give [B, N, heads, head width] or [B, N, C]")
    # The number of each token goes along and stays where its token does.
    numbers = np.zeros((*rows.shape[:2], 4), np.float32)
    numbers[:, :, 0] = np.arange(rows.shape[1])
    merged = merge(rows, numbers, size, r=r, merge_mode="keep-one", device=device, **way)
    return Match(merged.source, merged.x[:, :, 0].astype(np.uint32))


def unmerge(
    x: _images.Array,
    source: _images.Array,
    residual: _images.Array | None = None,
    *,
    device: str | int = "cpu",
) -> NDArray[np.float32]:
    """The way back: every original token gets a copy of the token that holds it, plus a residual.

    Args:
        x: `[B, M, C]`
        source: `[B, N]`, as a merge gives it.
        residual: `[B, N, C]`

    Returns:
        `[B, N, C]`, f32.
    """
    added = None if residual is None else _images.floats(residual, "residual")
    return _merger(device).unmerge(_images.floats(x, "x"), _indices(source, "source"), added)


def _indices(value: Any, name: str) -> NDArray[np.uint32]:
    given = _images.array(value, name)
    if given.dtype.kind not in "ui" or (given.size > 0 and not 0 <= int(given.min()) <= int(given.max()) < 2**32):
        raise InputError(f"`{name}` is of type {given.dtype}; give whole numbers from 0 on")
    return np.ascontiguousarray(given, dtype=np.uint32)
