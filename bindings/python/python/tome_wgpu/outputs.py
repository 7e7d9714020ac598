"""The results of a forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from .config import Config
from .errors import InputError, TomeError

#: Where a picture could not be read, indices are this, and floats are NaN.
NO_INDEX = 0xFFFFFFFF


@dataclass(frozen=True)
class Class:
    """A class of a network, and how probable it is."""

    index: int
    label: str
    probability: float


@dataclass(init=False, eq=False, repr=False)
class Outputs:
    """Results for B images, as arrays. Those that were not wanted are not there, and asking for one says so.

    Where a picture could not be read its row is NaN, or 4294967295 in indices, and `errors` says why.
    """

    #: `[B, classes]`, f32.
    logits: NDArray[np.float32]
    #: `[B, C]`, f32: pooled, as it enters the head.
    features: NDArray[np.float32]
    #: `[B, M, C]`, f32: after the last block, before the final norm.
    tokens: NDArray[np.float32]
    #: `[B, M]`, f32: how many original tokens each stands for; 0 for the padding of a threshold.
    size: NDArray[np.float32]
    #: `[B, N]`, u32: for each original token the final token that holds it. With pictures of any shape what is behind a
    #: picture's own patches is padding, here and in `dense` and `source_per_block`.
    source: NDArray[np.uint32]
    #: `[B, rows, columns, C]`, f32: for each patch the token that holds it; with pictures of any shape `[B, N, C]`.
    dense: NDArray[np.float32]
    #: `[B, blocks, N]`, u32: for each original token the token that holds it after each block.
    source_per_block: NDArray[np.uint32]
    #: Rows that are missing, and why.
    errors: dict[int, Exception]

    def __init__(self, values: Mapping[str, NDArray[Any]], errors: Mapping[int, Exception], config: Config) -> None:
        self._names = tuple(values)
        self._config = config
        self.errors = dict(errors)
        for name, array in values.items():
            for row in errors:
                array[row] = NO_INDEX if array.dtype == np.uint32 else np.nan
            setattr(self, name, array)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            if name in type(self).__annotations__:
                there = ", ".join(self._names)
                raise AttributeError(f"`{name}` was not asked for: want=({there}); add it to `want`")
            raise AttributeError(f"{type(self).__name__!r} has no {name!r}")

    def __len__(self) -> int:
        """Images."""
        return len(getattr(self, self._names[0]))

    def __iter__(self) -> Iterator[str]:
        """The names of the results that are there."""
        return iter(self._names)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """A result by its name."""
        array: NDArray[Any] = getattr(self, name)
        return array

    def as_dict(self) -> dict[str, NDArray[Any]]:
        """The results that are there, by their names."""
        return {name: self[name] for name in self._names}

    def probabilities(self) -> NDArray[np.float64]:
        """`[B, classes]`: softmax of the logits, or sigmoid where classes do not exclude each other."""
        if self._config.scores is None:
            raise InputError(f"{self._config.name} has no classes; its features can be had")
        logits = self.logits.astype(np.float64)
        if self._config.scores == "sigmoid":
            return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)))
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def top(self, count: int = 5) -> list[list[Class]]:
        """The most probable classes of each image, best first; none of an image that could not be read."""
        rows: list[list[Class]] = []
        for row, values in enumerate(self.probabilities()):
            if row in self.errors:
                rows.append([])
                continue
            if np.isnan(values).any():
                raise TomeError(f"image {row} gives NaN")
            order = np.argsort(-values, kind="stable")[:count]
            rows.append([Class(int(i), self._config.label(int(i)), float(values[i])) for i in order])
        return rows

    def __repr__(self) -> str:
        parts = [f"{name}={self[name].dtype.name}{list(self[name].shape)}" for name in self._names]
        if self.errors:
            parts.append(f"errors in {len(self.errors)} of {len(self)} rows")
        return f"Outputs({', '.join(parts)})"
