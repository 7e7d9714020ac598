"""How well labels can be told from features: for networks without classes, or for labels of your own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _images, _native
from .errors import InputError
from .evaluation import Interval


class Judged(NamedTuple):
    """Which rows are told right, and their share."""

    #: The share that is right, with its 95 % interval.
    share: Interval
    #: `[B]`, bool.
    right: NDArray[np.bool_]


def neighbours(features: _images.Array, labels: Sequence[Any]) -> Judged:
    """Whether the 20 nearest others of each row by the cosine vote for its label, as in DINO's evaluation.

    Args:
        features: `[B, C]`; a row that is zero or NaN is wrong.
        labels: `[B]`, of any kind that can be compared.
    """
    rows, numbers = _checked(features, labels)
    return _judged(_native.neighbours(rows, numbers.tolist()), numbers)


class Probe:
    """Logistic regression on features, fitted twice: on either half of the rows, for the other half.

    Args:
        features: `[B, C]`
        labels: `[B]`, of any kind that can be compared.
    """

    def __init__(self, features: _images.Array, labels: Sequence[Any]) -> None:
        rows, self._numbers = _checked(features, labels)
        self._shape = rows.shape
        self._probe = _native.Probe(rows, self._numbers.tolist())

    def judge(self, features: _images.Array) -> Judged:
        """Which rows are told right by these features of the same pictures, those it was fitted on or others."""
        rows = _images.floats(features, "features")
        if rows.shape != self._shape:
            raise InputError(f"features of shape {rows.shape}; the probe was fitted on {self._shape}")
        return _judged(self._probe.best(rows), self._numbers)


def _checked(features: _images.Array, labels: Sequence[Any]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rows = _images.floats(features, "features")
    given = np.asarray(labels)
    if rows.ndim != 2 or given.ndim != 1 or len(given) != len(rows) or len(rows) == 0:
        raise InputError(f"features of shape {rows.shape} and labels of {given.shape}; give [B, C] and [B]")
    return rows, np.unique(given, return_inverse=True)[1].astype(np.int64)


def _judged(told: Sequence[int | None], numbers: NDArray[np.int64]) -> Judged:
    right = np.array([one == number for one, number in zip(told, numbers.tolist())])
    return Judged(Interval(*_native.binomial(int(right.sum()), len(right))), right)
